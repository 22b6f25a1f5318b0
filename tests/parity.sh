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
readonly driver=tests/parity/parity_driver

# shellcheck disable=SC2317 # a trap calls it
clean_up() { rm -rf -- "$work"; }

compare() {
    # MuJoCo for Python leaves MUJOCO_LOG.TXT where it stands
    cd -- "$work" || exit 1
    versions_in "$work/venv" gymnasium mujoco
    "$work/venv/bin/python" "$root/tests/parity/compare.py" \
        "$work/build/$driver" "$@" 2>log
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
# shellcheck source=tests/python.bash
. "$root/tests/python.bash"
python_environment "$work/venv" "${packages[@]}" ||
    give_up skip "no Gymnasium: $(tail -n 1 "$work/log")"
build_with_mujoco_of "$work/venv" "$work/build" "$driver"
compare "$@"
