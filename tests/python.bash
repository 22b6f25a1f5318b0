# Sourced by the tests that compare with Python's packages: pinned ones in an
# environment of their own, never the project's. $work: the caller's folder,
# which it removes; its log is there.
# shellcheck shell=bash

: "${work:?is set by the script that reads this}" "${root:?likewise}"
export PYTHONDONTWRITEBYTECODE=1

give_up() { # skip or not ok, why
    local name
    name=$(basename -- "$0" .sh)
    echo "$1 $name${2:+: $2}"
    [[ $1 != 'not ok' ]]
    exit
}

quiet() { "$@" >>"$work/log" 2>&1; }

# 0 when all are there, else the log's last line says why not.
python_environment() { # folder, package...
    local folder=$1
    shift
    quiet python3 -m venv "$folder" && quiet "$folder/bin/pip" -q install "$@"
}

versions_in() { # folder, package...: `# package version` lines
    local folder=$1 IFS='|'
    shift
    "$folder/bin/pip" list 2>/dev/null | grep -E "^($*) " | sed 's/^/# /'
}

# Ours, linked with the MuJoCo of an environment, so that both sides run the
# same simulator.
build_with_mujoco_of() { # folder of the environment, build folder, target...
    local folder=$1 to=$2 wheel target
    shift 2
    wheel=$("$folder/bin/python" -c 'import mujoco, os
print(os.path.dirname(mujoco.__file__))') || give_up 'not ok' 'no MuJoCo'
    if [[ ! -e $to/build.ninja ]]; then
        quiet meson setup "$to" "$root" -Dmujoco="$wheel"
    fi
    quiet ninja -C "$to" "$@" ||
        give_up 'not ok' "the build failed: $(tail -n 3 "$work/log")"
    for target; do
        ldd "$to/$target" | grep -qF "$wheel/libmujoco.so" ||
            give_up 'not ok' "linked with another libmujoco: $(
                ldd "$to/$target" | grep mujoco
            )"
    done
}
