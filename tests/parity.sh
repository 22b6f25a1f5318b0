#!/bin/bash
# The benchmark tasks against Gymnasium's, number by number.
#
#   tests/parity.sh [TASK ...]
#
# Installs a pinned Gymnasium and MuJoCo's wheel from PyPI into a folder that is
# removed afterwards, builds tests/parity/driver.c against the wheel's library,
# so that both sides run the same simulator, and compares dimensions, horizons,
# 1000 free-running steps, single steps and the law of resets on Gymnasium's
# model files (compare.py), then our compiled models with theirs (models.py).
# Prints `ok NAME` or `not ok NAME: why` a case; needs Python 3.10 or later
# with venv, and the network.
set -u
root=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
# of MuJoCo 4 there is no library of the layout that our build finds
readonly packages=('gymnasium[mujoco]==1.4.0' 'mujoco>=2.3.3,<4')

# shellcheck disable=SC2317 # a trap calls it
clean_up() { rm -rf -- "$work"; }

give_up() { # skip or not ok, why
    echo "$1 parity${2:+: $2}"
    [[ $1 != 'not ok' ]]
    exit
}

quiet() { "$@" >>"$work/log" 2>&1; }

install() {
    if ! quiet python3 -m venv "$work/venv" ||
        ! quiet "$work/venv/bin/pip" -q install "${packages[@]}"; then
        give_up skip "no Gymnasium: $(tail -n 1 "$work/log")"
    fi
}

build() {
    wheel=$("$work/venv/bin/python" -c 'import mujoco, os
print(os.path.dirname(mujoco.__file__))')
    driver=$work/build/tests/parity/parity_driver
    if ! quiet meson setup "$work/build" "$root" -Dmujoco="$wheel" ||
        ! quiet ninja -C "$work/build" tests/parity/parity_driver; then
        give_up 'not ok' "the build failed: $(tail -n 3 "$work/log")"
    fi
    ldd "$driver" | grep -qF "$wheel/libmujoco.so" ||
        give_up 'not ok' "linked with another libmujoco: $(ldd "$driver" |
            grep mujoco)"
}

compare() {
    # MuJoCo for Python leaves MUJOCO_LOG.TXT where it stands
    cd -- "$work" || exit 1
    "$work/venv/bin/pip" list 2>/dev/null | grep -E '^(gymnasium|mujoco) ' |
        sed 's/^/# /'
    "$work/venv/bin/python" "$root/tests/parity/compare.py" "$driver" "$@" \
        2>log
    local steps=$?
    "$work/venv/bin/python" "$root/tests/parity/models.py" \
        "$root/actor/models" 2>>log
    local models=$?
    ((steps == 0 && models == 0)) || tail -n 5 log >&2
    ((steps == 0 && models == 0))
}

work=$(mktemp -d /tmp/softq-parity-XXXXXX)
trap clean_up EXIT
trap 'exit 1' INT TERM
export PYTHONDONTWRITEBYTECODE=1
install
build
compare "$@"
