#!/bin/bash
# deploy/status.sh says who waits for whom: of a run that nobody has joined, of
# one that goes on, and of one whose processes stand still.
# not sanitised: words; unit/test_why has them too
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

told_by=$root/deploy/status.sh

says() { # run, words
    "$told_by" "$1" 2>/dev/null | tr -s ' \n' ' ' | grep -qF -- "$2"
}

check_says() { # name, run, words
    if within 60 says "$2" "$3"; then
        ok "$1"
    else
        not_ok "$1" "not '$3' but: $("$told_by" "$2" 2>&1 | head -n 8)"
    fi
}

it_names_whom_to_start() {
    local run=$work/alone pid
    "$(program softq-learner)" --run_dir="$run" --task=multigoal \
        >/dev/null 2>&1 &
    pid=$!
    check_says "${FUNCNAME[0]}: a shard" "$run" 'no shard is here. Start one'
    "$(program softq-replay)" --join="$run" --run_dir="$run" >/dev/null 2>&1 &
    check_says "${FUNCNAME[0]}: an actor" "$run" 'softq-actor --join=ipc:'
    kill -TERM "$pid"
    within 10 gone "$run"
}

it_names_who_stands_still() {
    local run=$work/live pid
    launch "$run" --shards=2 --ratio=0.5 --dead_after=3
    within 60 has_updates "$run" 50 # said from the start on, for a while
    check_says "${FUNCNAME[0]}: nobody" "$run" 'updates go on,'
    pid=$(pids_of "$run" softq-actor)
    kill -STOP "$pid"
    check_says "${FUNCNAME[0]}: an actor" "$run" '1 of 1 actors is silent'
    check_says "${FUNCNAME[0]}: no steps" "$run" 'no update for'
    kill -CONT "$pid"
    pid=$(pids_of "$run" softq-replay | head -n 1)
    kill -STOP "$pid"
    check_says "${FUNCNAME[0]}: a shard" "$run" 'is dead, silent for'
    kill -CONT "$pid"
    check_says "${FUNCNAME[0]}: nobody again" "$run" 'updates go on,'
    kill -INT "$launcher"
    finish "$launcher" 20
}

it_refuses_what_is_no_run() {
    refuses "${FUNCNAME[0]}" 'no learner serves this run' "$told_by" "$work/none"
    refuses "${FUNCNAME[0]} (option)" 'no option' "$told_by" --word "$work/none"
}

it_names_whom_to_start
it_names_who_stands_still
it_refuses_what_is_no_run
summary
