#!/bin/bash
# Every benchmark: ours, what limits it, and what one would take instead.
#
#   tests/bench.sh [--quick] [--long] [--only=TEXT] [--rounds=N] [--json=FILE]
#                  [--peers=DIR | --no-peers] [PART ...]
#
#   learner     updates/s: sgemm's limit in the same run, PyTorch, JAX
#   actor       environment steps/s: the simulator's limit, Gymnasium, EnvPool
#   replay      rows/s and latency: ZeroMQ alone, memcpy, Reverb
#   startup     deploy/local.sh from a built tree to the first update
#   scale       updates/s and steps/s of runs of 1, 4, 16, 64, 256 actors
#   savings     updates/s of multigoal with each saving, and what it learns; 3 seeds
#   end-to-end  seconds to 97 % on multigoal: PyTorch in one process; 3 seeds
#
# All parts if none is named. Prints one table and writes FILE (bench.json):
# minimum, median and maximum over N interleaved rounds (5), and how ours
# compares with each in the same rounds. The machine should do nothing else.
#
# --quick: one short round of fewer cases, to see that all works (minutes).
# --only: of the learner's settings, the rows of scale, the savings and the tasks
# end to end those with TEXT in their name.
# --long: end-to-end also on swimmer (to a mean return of 30).
# The peers are pinned packages from the package registry, and jemalloc of
# Debian, in a folder that is removed afterwards; --peers=DIR keeps it there
# for the next time, --no-peers goes without. They take 3 GB; their learners
# must first come to our learner's golden numbers (tests/bench/peers/check.py).
#
# Exit status: 0; 1 when one thread of the learner at the paper's settings
# comes below 0.80 of sgemm's speed; 2 when something that is ours failed.
set -u
root=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
build=${SOFTQ_BUILD:-$root/build}
readonly least=0.80
readonly peers_packages=(torch==2.13.0 jax==0.10.2 jaxlib==0.10.2
    'gymnasium[mujoco]==1.4.0' 'mujoco==3.17.0' envpool==1.2.5)
# TensorFlow's pins are not the others'
readonly reverb_packages=('dm-reverb[tensorflow]==0.14.0')
readonly all_parts=(learner actor replay startup scale savings end-to-end)

quick='' long='' only='' rounds='' json=$PWD/bench.json peers='' with_peers=yes parts=()

usage() { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; }

refuse() {
    echo "bench.sh: $*" >&2
    exit 2
}

for argument; do
    case $argument in
    -h | --help) usage && exit 0 ;;
    --quick) quick=yes ;;
    --long) long=yes ;;
    --only=*) only=${argument#*=} ;;
    --rounds=*) rounds=${argument#*=} ;;
    --json=*) json=$(readlink -m -- "${argument#*=}") ;;
    --peers=*) peers=$(readlink -m -- "${argument#*=}") ;;
    --no-peers) with_peers='' ;;
    -*) refuse "what is $argument? --help tells the options" ;;
    *)
        [[ " ${all_parts[*]} " == *" $argument "* ]] ||
            refuse "there is no part $argument: ${all_parts[*]}"
        parts+=("$argument")
        ;;
    esac
done
((${#parts[@]})) || parts=("${all_parts[@]}")
rounds=${rounds:-${quick:+1}}
rounds=${rounds:-5}
[[ $rounds =~ ^[1-9][0-9]*$ ]] || refuse "--rounds=$rounds: give 1 or more"

# shellcheck disable=SC2317 # a trap calls it
clean_up() {
    local left
    stop_run
    mapfile -t left < <(jobs -p)
    ((${#left[@]} == 0)) || { kill "${left[@]}" && wait; } 2>/dev/null
    rm -rf -- "$work"
}

work=$(mktemp -d /tmp/softq-bench-XXXXXX)
trap clean_up EXIT
trap 'exit 1' INT TERM
# shellcheck source=tests/python.bash
. "$root/tests/python.bash"
# shellcheck source=tests/bench/parts.bash
. "$root/tests/bench/parts.bash"
# shellcheck source=tests/bench/runs.bash
. "$root/tests/bench/runs.bash"

say() { echo "bench.sh: $*" >&2; }

has_part() {
    local part
    for part; do
        [[ " ${parts[*]} " != *" $part "* ]] || return 0
    done
    return 1
}

# Debian's, without installing it; without it PyTorch is slower.
fetch_jemalloc() {
    local found
    if [[ ! -d $peers/jemalloc ]]; then
        (cd -- "$work" && quiet apt-get -q download libjemalloc2 &&
            quiet dpkg -x libjemalloc2_*.deb "$peers/jemalloc")
    fi
    found=$(find "$peers/jemalloc" -name 'libjemalloc.so.2' 2>/dev/null)
    jemalloc=${found:-}
    [[ -n $jemalloc ]] || say 'no jemalloc: PyTorch goes without'
}

# A file of the folder says that it is whole. $no_peers: why there are none.
environment() { # name, package...
    local folder=$peers/$1
    shift
    [[ ! -e $folder/whole ]] || return 0
    say "installs $*"
    rm -rf -- "$folder"
    python_environment "$folder" "$@" && touch "$folder/whole"
}

# Never nothing: that would say that they are there.
why_not() {
    local said
    said=$(log_end)
    echo "${said:-no environment of Python (deploy/install.sh --slow installs python3-venv)}"
}

set_up_peers() {
    if [[ -z $with_peers ]]; then
        no_peers=--no-peers no_reverb=--no-peers
        return
    fi
    peers=${peers:-$work/peers}
    mkdir -p -- "$peers" || exit 2
    if has_part learner actor end-to-end; then
        environment python "${peers_packages[@]}" ||
            no_peers=$(why_not)
        [[ -n $no_peers ]] ||
            versions_in "$peers/python" torch jax gymnasium envpool mujoco >&2
        fetch_jemalloc
    fi
    if has_part replay; then
        environment reverb "${reverb_packages[@]}" ||
            no_reverb=$(why_not)
    fi
    [[ -z $no_peers ]] || say "no peers: $no_peers"
}

check_peers() {
    say "the peers' learners at our golden numbers"
    (cd -- "$work" && env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE \
        TORCHINDUCTOR_CACHE_DIR="$peers/inductor" "$peers/python/bin/python" \
        "$root/tests/bench/peers/check.py" 2>>"$work/log") >&2 ||
        refuse "the peers do not do our learner's work:" \
            "$(tail -n 3 "$work/log")"
}

main() {
    local part
    [[ -e $build/build.ninja ]] || quiet meson setup "$build" "$root"
    quiet ninja -C "$build" || refuse "the build failed: $(tail -n 3 "$work/log")"
    set_up_peers
    if [[ -z $no_peers ]] && has_part learner; then check_peers; fi
    : >"$work/records"
    BENCH_LOAD=$(cut -d' ' -f1-3 /proc/loadavg)
    export BENCH_LOAD
    for part in "${parts[@]}"; do
        "part_${part//-/_}"
    done
    python3 "$root/tests/bench/table.py" "$work/records" "$json" "$least"
}

main
