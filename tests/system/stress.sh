#!/bin/bash
# deploy/stress.sh in small: its verdict is 0 with simulated and with real
# actors, also under faults, and is not when a row is missing; Ctrl-C leaves
# nothing behind.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

stress=("$root/deploy/stress.sh" --no-install --shards=2 --minutes=0.1)

verdict() { # name, expected status, claim, command...
    local name=$1 expected=$2 claim=$3 status
    shift 3
    timeout -k 5 $((120 * pace)) "$@" >"$work/out" 2>&1 </dev/null
    status=$?
    if [[ $status == "$expected" ]] && grep -q -- "$claim" "$work/out"; then
        ok "$name"
    else
        not_ok "$name" "status $status, not '$claim': $(tail -n 12 "$work/out")"
    fi
}

a_lost_row_is_told() {
    local run=$work/simulated
    verdict "${FUNCNAME[0]}, before" 0 '^ok .*acknowledged row' \
        "$root/deploy/stress.sh" --report "$run"
    "$(program ring_spoil)" "$run/replay/shard-1.ring" delete ||
        not_ok "${FUNCNAME[0]}" 'no row could be deleted'
    verdict "${FUNCNAME[0]}" 1 '^NOT OK .*acknowledged row' \
        "$root/deploy/stress.sh" --report="$run"
}

ctrl_c_leaves_nothing() {
    local run=$work/interrupted pid
    env --default-signal=INT "${stress[@]}" --simulated --minutes=5 \
        --run_dir="$run" >"$run.out" 2>&1 </dev/null &
    pid=$!
    if ! within 60 grep -q ' s  ' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "it did not start: $(tail -n 3 "$run.out")"
    fi
    kill -INT "$pid"
    finish "$pid" 25
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.out")"
    elif [[ -n $(processes_of "$run") || -e $run/sock || -e $run/replay ]]; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of "$run") $(ls "$run")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

verdict simulated_actors_lose_nothing 0 '^ok .*acknowledged row' "${stress[@]}" \
    --simulated --actors=20 --rate 4000 --keep --run_dir="$work/simulated"
a_lost_row_is_told
verdict real_actors_lose_nothing 0 '^ok .*acknowledged row' "${stress[@]}" \
    --task=multigoal --actors 4 --run_dir="$work/real"
ctrl_c_leaves_nothing
refuses an_unknown_option_is_refused actrs "$root/deploy/stress.sh" \
    --no-install --actrs=3
refuses no_actors_are_refused actors "$root/deploy/stress.sh" --actors=0
refuses a_spec_of_one_number_is_refused simulated_spec \
    "$root/deploy/stress.sh" --no-install --simulated --spec=3
summary
