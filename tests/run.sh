#!/bin/bash
# Every test there is.
#
#   tests/run.sh [--no-install] [--all]
#
# Installs what is missing, builds (also with ASan and UBSan), runs the unit
# suites and the system tests with real processes in both builds, and shellcheck,
# and prints each part's seconds. --all adds the slow proofs of
# tests/system/slow/, tests/parity.sh and tests/export.sh. The last line is `N
# passed, N failed, N skipped`; the exit status is 0 only when nothing failed.
# CI=true makes warnings errors.
#
# A system test is a script tests/system/*.sh, tests/chaos/*.sh or
# tests/interop/*.sh with a #! line: run from the
# project's root with SOFTQ_BUILD (the build to use), it prints `ok NAME`,
# `not ok NAME` or `skip NAME: why` a case and exits non-zero when one failed.
set -u
cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." || exit 1

readonly system_limit=600 slow_limit=7200 # s, a script
passed=0 failed=0 skipped=0 began=$SECONDS all=no install_options=()
logs=$PWD/build/test-logs

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
}

for argument; do
    case $argument in
    --all) all=yes ;;
    --no-install) install_options+=("$argument") ;;
    -h | --help) usage && exit 0 ;;
    *)
        echo "run.sh: unknown argument '$argument': --all or --no-install" >&2
        exit 2
        ;;
    esac
done

finish() {
    echo "all: $((SECONDS - began)) s"
    echo "$passed passed, $failed failed, $skipped skipped"
    ((failed == 0))
    exit
}

part() { # name, command...: run it and say how long it took
    local name=$1 start=$SECONDS status
    shift
    "$@"
    status=$?
    echo "$name: $((SECONDS - start)) s"
    return "$status"
}

give_up() {
    failed=$((failed + 1))
    echo "failed: $*"
    finish
}

# --- build ---

build() { # folder, setup options...
    local folder=$1 werror=false
    shift
    # gcc guesses wrongly about sanitised code: only the plain build is strict
    [[ ${CI-} != true || $folder != build ]] || werror=true
    if [[ ! -e $folder/build.ninja ]]; then
        meson setup "$folder" "$@" -Dwerror="$werror" ${MUJOCO:+-Dmujoco="$MUJOCO"} ||
            return 1
    elif [[ $werror == true ]]; then
        meson configure "$folder" -Dwerror=true || return 1
    fi
    ninja -C "$folder"
}

quiet() { # log, command...: its output only if it fails
    local log=$1
    shift
    "$@" >"$log" 2>&1 && return
    tail -n 60 "$log"
    return 1
}

# --- counting ---

# Cases of one log of `ok ...` and `not ok ...` lines; a non-zero status without
# a failed case, or fewer cases than planned, counts as a failure of its own.
count() { # name, log, status
    local name=$1 log=$2 status=$3 good bad skip plan
    skip=$(grep -cE '^(skip |ok .*# *SKIP)' "$log")
    good=$(grep -E '^ok( |$)' "$log" | grep -cvE '# *SKIP')
    bad=$(grep -cE '^not ok( |$)' "$log")
    plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$log" | head -n 1)
    if ((bad == 0 && (status != 0 || good + skip < ${plan:-0} ||
        good + skip == 0))); then
        bad=1
        echo "not ok $name (status $status)" >>"$log"
    fi
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
    grep -E '^(skip |ok .*# *SKIP)' "$log" | sed "s/^/$name: /"
    if ((bad > 0)); then
        echo "FAILED in $name (status $status), $log ends with:"
        tail -n 40 "$log"
        grep -E '^not ok( |$)' "$log"
    fi
}

# --- parts ---

# meson writes each suite's output to one log a test; cmocka speaks TAP.
unit() { # build folder
    local folder=$1 dir=$logs/${1##*/} log name status
    rm -rf "${dir:?}"
    mkdir -p "$dir"
    CMOCKA_MESSAGE_OUTPUT=TAP meson test -C "$folder" --suite unit --no-rebuild \
        >"$dir.txt" 2>&1
    # split the log by test: "test: NAME" (later mesons: "test: unit - softq:NAME")
    # and "result: ..." head each one
    awk -v dir="$dir" '
        /^=+ [0-9]+\/[0-9]+ =+$/ { out = ""; inside = 1; next }
        inside && /^test: / { sub(/^.*[ :]/, ""); gsub(/[^A-Za-z0-9_.-]/, "_")
            out = dir "/" $0 ".log"; printf "" > out; next }
        inside && /^result: / { print "result " $0 >> out
            inside = 0; next }
        out != "" { print >> out }
    ' "$folder/meson-logs/testlog.txt"
    for log in "$dir"/*.log; do
        if [[ ! -e $log ]]; then
            echo "no unit test ran; $dir.txt ends with:"
            tail -n 20 "$dir.txt"
            failed=$((failed + 1))
            return
        fi
        status=1
        name=$(basename "$log" .log)
        ! grep -qE '^result result: *exit status 0' "$log" || status=0
        count "${folder##*/} $name" "$log" "$status"
    done
}

run_script() { # log, build folder, limit, script
    local log=$1 folder=$2 limit=$3 script=$4 start=$SECONDS status
    SOFTQ_BUILD=$PWD/$folder timeout -k 10 "$limit" "$script" >"$log" 2>&1 \
        </dev/null
    status=$?
    ((status != 124)) || echo "not ok ended after $limit s" >>"$log"
    echo "$status" >"$log.status"
    echo "  $script: $((SECONDS - start)) s"
}

scripts() { # label, build folder, limit, script...: $at_once of them at a time
    local label=$1 folder=$2 limit=$3 script log ours=()
    shift 3
    mkdir -p "$logs/$label"
    for script; do
        # neither the pattern itself nor what the tests source
        [[ -e $script && $(head -c 2 "$script") == '#!' ]] || continue
        ours+=("$script")
        log=$logs/$label/$(basename "$script" .sh).log
        rm -f "$log.status"
        while (($(jobs -rp | wc -l) >= ${at_once:-1})); do wait -n; done
        run_script "$log" "$folder" "$limit" "$script" &
    done
    wait
    for script in "${ours[@]}"; do
        log=$logs/$label/$(basename "$script" .sh).log
        count "$label $(basename "$script" .sh)" "$log" "$(<"$log.status")"
        [[ $label != slow ]] || grep '^# ' "$log" # what it measured
    done
}

# Those that say so gain nothing from a sanitiser.
for_sanitisers() {
    grep -L '^# not sanitised:' "$@"
}

# A process that a sanitiser ends is started again and may pass for a crash, so
# their reports are looked for too.
sanitised() { # script...
    local report
    rm -f "$logs"/sanitiser.*
    ASAN_OPTIONS=$ASAN_OPTIONS:log_path=$logs/sanitiser \
        UBSAN_OPTIONS=$UBSAN_OPTIONS:log_path=$logs/sanitiser \
        scripts system-san build-san "$system_limit" "$@"
    for report in "$logs"/sanitiser.*; do
        [[ -e $report ]] || continue
        failed=$((failed + 1))
        echo "FAILED: a sanitiser's report, $report:"
        head -n 30 "$report"
    done
}

shell_files() {
    local file
    find . \( -name 'build*' -o -name .git -o -name runs \) -prune -o -type f \
        -print | while read -r file; do
        case $file in
        *.sh | *.bash) echo "$file" ;;
        *.*) [[ $file != ./.ci/run ]] || echo "$file" ;;
        *) head -n 1 "$file" | grep -qE '^#!.*\b(ba)?sh$' && echo "$file" ;;
        esac
    done | sort
}

shellchecks() {
    local file
    while read -r file; do
        if ! command -v shellcheck >/dev/null; then
            skipped=$((skipped + 1))
        elif shellcheck "$file"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "FAILED: shellcheck $file"
        fi
    done < <(shell_files)
}

# --- the suite ---

deploy/install.sh "${install_options[@]}" || give_up "installation"
# what only some tests want: without it they are skipped
extra=(--tests)
[[ $all == no ]] || extra=(--slow)
deploy/install.sh "${install_options[@]}" "${extra[@]}" || true

mkdir -p "$logs"
part 'build' quiet "$logs/build.log" build build || give_up "the build"
part 'build with ASan and UBSan' quiet "$logs/build-san.log" build build-san \
    -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 ||
    give_up "the build with ASan and UBSan"

export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_leaks=1
part 'unit tests' unit build
part 'unit tests with ASan and UBSan' unit build-san
# most of them wait for most of their time
at_once=2 part 'system tests' scripts system build "$system_limit" \
    tests/system/*.sh tests/interop/*.sh
part 'chaos tests' scripts system build "$system_limit" tests/chaos/*.sh
part 'golden numbers' scripts golden build "$system_limit" tests/golden/*.sh
mapfile -t chosen < <(for_sanitisers tests/system/*.sh tests/chaos/*.sh)
at_once=2 part 'system tests with ASan and UBSan' sanitised "${chosen[@]}"
part 'fuzzing' scripts fuzz build "$system_limit" tests/fuzz/run.sh
part 'shellcheck' shellchecks
if [[ $all == yes ]]; then
    part 'slow proofs' scripts slow build "$slow_limit" tests/system/slow/*.sh \
        tests/parity.sh tests/export.sh
fi
finish
