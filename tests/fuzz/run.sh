#!/bin/bash
# Fuzzes every parser of bytes from outside with libFuzzer, ASan and UBSan.
#
#   tests/fuzz/run.sh [--seconds=15] [--jobs=2] [--corpus=FOLDER] [TARGET ...]
#
# Needs clang. Builds into build-fuzz/, starts from tests/fuzz/corpus and all
# that was ever found (tests/fuzz/cases), and says executions and findings a
# target. A finding lies in build-fuzz/found: mend it, and keep it as a case.
# --corpus=FOLDER gathers new inputs in FOLDER/TARGET (to go on from, or to
# choose some from for tests/fuzz/corpus).
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
root=$(cd -- "$here/../.." && pwd -P)
build=$root/build-fuzz found=$root/build-fuzz/found
seconds=15 jobs=2 corpus='' targets=() failed=0

for argument; do
    case $argument in
    --seconds=*) seconds=${argument#*=} ;;
    --jobs=*) jobs=${argument#*=} ;;
    --corpus=*) corpus=${argument#*=} ;;
    -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 0 ;;
    -*)
        echo "run.sh: what is $argument? --seconds, --jobs or --corpus" >&2
        exit 2
        ;;
    *) targets+=("$argument") ;;
    esac
done
if ((${#targets[@]} == 0)); then
    mapfile -t targets < <(sed -n "s/^  '\([a-z]*\)': \[.*/\1/p" \
        "$here/meson.build")
fi

# ok, or in CI, where all is installed, a failure
lacks() {
    if [[ ${CI-} == true ]]; then
        echo "not ok fuzz: $1"
        exit 1
    fi
    echo "ok fuzz # SKIP $1"
    exit 0
}

make() {
    if [[ ! -e $build/build.ninja ]]; then
        CC=clang meson setup "$build" "$root" -Doptimization=1 \
            -Db_sanitize=address,undefined -Db_lundef=false \
            -Dc_args=-fsanitize=fuzzer-no-link || return
    fi
    ninja -C "$build" "${targets[@]/#/tests/fuzz/fuzz_}"
}

# One target to its end; its last words in $work/TARGET.
fuzz() { # target
    local kept=("$here/corpus/$1")
    [[ ! -d $here/cases/$1 ]] || kept+=("$here/cases/$1")
    mkdir -p "$corpus/$1"
    ASAN_OPTIONS=detect_leaks=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        nice "$build/tests/fuzz/fuzz_$1" "-max_total_time=$seconds" \
        -max_len=16384 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        "-artifact_prefix=$found/$1-" "$corpus/$1" "${kept[@]}" \
        >"$work/$1" 2>&1
}

judge() { # target, status
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1")
    if (($2 == 0)); then
        echo "ok fuzz_$1 ($runs executions in $seconds s)"
    else
        failed=1
        echo "not ok fuzz_$1: status $2: $(grep -hE \
            '^fuzz:|ERROR:|runtime error|Test unit written' "$work/$1" |
            head -n 4 | tr '\n' ' ')"
    fi
}

command -v clang >/dev/null || lacks 'no clang: deploy/install.sh --tests'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=$(readlink -m -- "${corpus:-$work/corpus}")
mkdir -p "$found"
if ! make >"$work/log" 2>&1; then
    grep -q 'links with libFuzzer: NO' "$work/log" &&
        lacks "clang without libFuzzer: Debian's libclang-rt-14-dev"
    tail -n 20 "$work/log"
    echo 'not ok fuzz: the build failed'
    exit 1
fi

# so many at a time, judged in their order
declare -A pids
for ((i = 0; i < ${#targets[@]}; i++)); do
    if ((i >= jobs)); then
        wait "${pids[${targets[i - jobs]}]}"
        judge "${targets[i - jobs]}" $?
    fi
    fuzz "${targets[i]}" &
    pids[${targets[i]}]=$!
done
for ((i = ${#targets[@]} < jobs ? 0 : ${#targets[@]} - jobs; i < ${#targets[@]}; i++)); do
    wait "${pids[${targets[i]}]}"
    judge "${targets[i]}" $?
done
exit "$failed"
