#!/bin/bash
# Processes that stand still for longer than dead_after, as a suspended or
# overloaded machine makes them: the run goes on without them and takes them
# back, and no acknowledged transition is missing.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

run=$work/paused

# Two looks at one thing: dead, and done without.
is_done_without() { # updates
    said learner 'shard . is silent' && has_updates "$run" "$1"
}

pause() { # program, seconds
    local pid
    pid=$(pids_of "$run" "$1" | head -n 1)
    [[ -n $pid ]] || return 1
    kill -STOP "$pid"
    sleep "$2"
    kill -CONT "$pid"
}

check_goes_on() { # name of the case
    if goes_on "$run"; then
        ok "$1"
    else
        not_ok "$1" "still at $(updates_of "$run") updates"
    fi
}

said() { # log, words
    grep -q "$2" "$run/logs/$1.log"
}

a_paused_shard_is_done_without() {
    local before shard
    before=$(updates_of "$run")
    shard=$(pids_of "$run" softq-replay | head -n 1)
    kill -STOP "$shard"
    sleep 5
    if within 30 is_done_without $((before + 50)); then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "from $before to $(updates_of "$run") updates: \
$(grep 'shard . is' "$run/logs/learner.log" | tail -n 2)"
    fi
    kill -CONT "$shard"
    check_goes_on and_is_taken_back
}

launch "$run" --replay_size=2000000 --shards=2 \
    --dead_after=1.5 --ratio=0.5 --ledger="$run.ledger"
if ! within 60 has_updates "$run" 50; then
    not_ok a_run_starts "$(tail -n 3 "$run.err")"
    exit 1
fi
a_paused_shard_is_done_without
pause softq-learner 4
check_goes_on a_paused_learner_goes_on_with_its_peers
pause softq-actor 3
check_goes_on a_paused_actor_goes_on
end_by_limit "$run"
if [[ $status != 0 ]] || ! has_evaluation "$run"; then
    not_ok it_ends_well "status $status: $(tail -n 3 "$run.err")"
elif ! passes_audit "$run"; then
    not_ok nothing_acknowledged_is_lost "$(cat "$run.audit")"
elif grep -q 'starting it again' "$run.err"; then
    not_ok nobody_is_restarted "$(cat "$run.err")"
else
    ok "nothing_acknowledged_is_lost ($(audited "$run" acked_batches) batches)"
fi
summary
