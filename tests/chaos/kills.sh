#!/bin/bash
# kill -9 of any process of a run: it ends well, no acknowledged transition is
# missing, and nothing stays behind.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

# Kill one of the run's processes with that name; wait for its successor.
kill_one() { # run, program
    local old new
    old=$(pids_of "$1" "$2" | head -n 1)
    [[ -n $old ]] || return 1
    kill -9 "$old"
    replaced() {
        new=$(pids_of "$1" "$2" | grep -vx "$old" | head -n 1)
        [[ -n $new ]]
    }
    within 10 replaced "$1" "$2"
}

# The judge itself: a fault in a copy of the run's own rings.
faults_of_a_shard_are_seen() { # run
    local ring=$1/replay/shard-0.ring fault figure
    cp "$ring" "$1.ring"
    for fault in delete:missing_rows double:doubled_batches \
        alter:altered_rows; do
        cp "$1.ring" "$ring"
        figure=${fault#*:}
        "$(program ring_spoil)" "$ring" "${fault%:*}"
        if passes_audit "$1" || [[ $(audited "$1" "$figure") != 1 ]]; then
            not_ok "${FUNCNAME[0]} ${fault%:*}" "$(cat "$1.audit")"
        else
            ok "${FUNCNAME[0]} ${fault%:*}"
        fi
    done
}

# Each in turn, some updates after the one before it was replaced.
nothing_acknowledged_is_lost() {
    local run=$work/killed name status
    launch "$run" --replay_size=2000000 --ledger="$run.ledger"
    for name in softq-actor softq-replay softq-learner softq-replay; do
        if ! goes_on "$run"; then
            not_ok "${FUNCNAME[0]}" "it stands still before $name is killed: \
$(tail -n 3 "$run.err")"
            return
        fi
        if ! kill_one "$run" $name; then
            not_ok "${FUNCNAME[0]}" "no new $name: $(tail -n 3 "$run.err")"
            return
        fi
    done
    goes_on "$run" || not_ok "${FUNCNAME[0]}" "it stands still at the end"
    end_by_limit "$run"
    if [[ $status != 0 ]] || ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif ! passes_audit "$run"; then
        not_ok "${FUNCNAME[0]}" "$(cat "$run.audit")"
    else
        ok "${FUNCNAME[0]} ($(audited "$run" acked_batches) batches)"
    fi
    faults_of_a_shard_are_seen "$run"
    ((failures)) || rm -rf "$run" "$run".*
}

nothing_stays_behind() { # who is killed: its program
    local run=$work/launcher victim
    launch "$run" --max_updates=1000000
    if ! within 60 has_updates "$run" 100; then
        not_ok "${FUNCNAME[0]} $1" "did not start: $(tail -n 3 "$run.err")"
        return
    fi
    if [[ $1 == launcher ]]; then
        victim=$launcher
    else
        victim=$(processes_of "$run" | awk '/deploy\/supervise/ { print $1 }' |
            head -n 1)
    fi
    kill -9 "$victim"
    if within 15 gone "$run"; then
        ok "${FUNCNAME[0]} after kill -9 of the $1"
    else
        not_ok "${FUNCNAME[0]} after kill -9 of the $1" \
            "$(processes_of "$run" | cut -c 1-120)"
    fi
    wait "$launcher" 2>/dev/null
    rm -rf "$run" "$run".*
}

nothing_acknowledged_is_lost
nothing_stays_behind launcher
nothing_stays_behind supervisor
summary
