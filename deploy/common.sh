# shellcheck shell=bash
# What the scripts of this folder share.

: "${here:?is set by the script that reads this}"

# one decimal point for printf, awk and gnuplot
unset LC_ALL
export LC_NUMERIC=C

# A checkout has its build; installed, and on a host that was sent a bundle, bin/
# and models/ lie beside this folder. SOFTQ_BUILD: another folder of programs,
# sanitised for example.
# shellcheck disable=SC2034 # the scripts use them
if [[ -e $here/../meson.build ]]; then
    installed='' build_folder=${SOFTQ_BUILD:-$here/../build}
    models_folder=$here/../actor/models bundle_folder=$build_folder
else
    installed=yes build_folder=${SOFTQ_BUILD:-${here%/*}/bin}
    models_folder=${here%/*}/models
    bundle_folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/softq
fi
built() { echo "$build_folder/$1"; }

say() {
    local clear=''
    [[ -t 2 ]] && clear=$'\r\e[K' # what a live progress line left
    printf '%s%s: %s\n' "$clear" "$(basename -- "$0" .sh)" "$(as_typed <<<"$*")" >&2
}

# Scripts by the names that the reader types: installed, softq's commands.
as_typed() {
    if [[ -n $installed ]]; then
        sed -E -e 's#(^|[^/])deploy/([a-z]+)\.sh#\1softq \2#g' \
            -e "s#(^|[^/])deploy/#\\1$here/#g"
    else
        cat
    fi
}

# The same for a line to be copied: a script as we were called ourselves.
call() { # name, arguments
    local words=("${0%/*}/$1.sh")
    [[ -z $installed ]] || words=(softq "$1")
    printf '%q ' "${words[@]}" "${@:2}" | sed 's/ $//'
}

refuse() {
    say "$@"
    exit 2
}

# The comment at the head of a script.
help() {
    sed -n '/^set /q; /^#SBATCH/d; 2,$s/^# \{0,1\}//p' "$1" | as_typed
    exit 0
}

# The absolute path of a run that has begun, or one line and status 1.
existing_run() {
    local run
    run=$(readlink -f -- "$1")
    if [[ ! -d $run ]]; then
        say "there is no run $1"
    elif [[ ! -e $run/config.ini ]]; then
        say "$1 is no run: it has no config.ini"
    else
        echo "$run" && return
    fi
    return 1
}

# The value of `name = value` in an INI file, or nothing.
option_of() { # file, name
    sed -n "s/^$2 *= *//p" "$1" 2>/dev/null | tail -n 1
}

# A number of a flat JSON file, or nothing.
number_of() { # file, name
    sed -n "s/^.*\"$2\":[[:space:]]*\\([-+0-9.eE]*\\).*$/\\1/p" "$1" 2>/dev/null |
        head -n 1
}

newest_checkpoint() { # run
    local list=("$1"/checkpoints/*.safetensors)
    [[ ! -e ${list[-1]} ]] || echo "${list[-1]}"
}

# A run's own copy of a program, else the newest build's.
program() { # run, name
    if [[ -x $1/bin/$2 ]]; then
        echo "$1/bin/$2"
    else
        built "$2"
    fi
}

# -- a launch --

# Quiet unless it fails; two launches at once build one after the other.
build() { # program...
    local log root=$here/.. lock status=0
    [[ -z $installed ]] || return 0
    log=$(mktemp) || exit 2
    exec {lock}<"$root"
    flock "$lock"
    if [[ ! -e $build_folder/build.ninja ]]; then
        say 'building (once)'
        in_build meson setup ${MUJOCO:+"-Dmujoco=$MUJOCO"} "$build_folder" \
            "$root" >"$log" 2>&1 || status=2
    fi
    ((status)) || in_build ninja -C "$build_folder" "$@" >"$log" 2>&1 ||
        status=2
    exec {lock}<&-
    if ((status)); then
        grep -q 'interrupted by user' "$log" || tail -n 40 "$log" >&2
        say 'the build failed'
    fi
    rm -f "$log"
    ((status == 0)) || exit 2
}

# It must not outlive us, and must not hold the lock for its own children.
in_build() { setpriv --pdeathsig TERM -- "$@" {lock}<&-; }

# A run's own programs, which no rebuild swaps.
keep_programs() { # run, program...
    local run=$1 p
    shift
    mkdir -p -- "$run/bin" || exit 2
    for p; do
        ln -f -- "$(built "$p")" "$run/bin/$p" 2>/dev/null ||
            cp -f -- "$(built "$p")" "$run/bin/$p" || exit 2
    done
}

# --idle_priority of actors beside the learner: they take what time it leaves,
# unless the options say otherwise.
beside_learner() { # options
    local option said=true
    for option; do
        case $option in
        --idle_priority) said=true ;;
        --idle_priority=*) said=${option#*=} ;;
        esac
    done
    echo "--idle_priority=$said"
}

# The pipe's only writer is the caller, so that kill -9 of it ends the run.
supervise_under() { # run, the pipe, supervise's commands
    local run=$1 line=$2
    shift 2
    exec 3<"/proc/self/fd/$line" {line}>&-
    exec "$here/supervise" "--run=$run" --lifeline=3 "$@"
}

# As the user would type it.
shown_path() {
    case $1 in
    "$PWD"/*) echo "${1#"$PWD"/}" ;;
    *) echo "$1" ;;
    esac
}

# Programs that were killed leave their sockets behind.
remove_sockets() { # run
    local run=$1 folder
    folder=$(readlink -- "$run/sock") || return 0
    rm -f -- "$folder"/*.sock
    rmdir -- "$folder" 2>/dev/null && rm -f -- "$run/sock"
}
