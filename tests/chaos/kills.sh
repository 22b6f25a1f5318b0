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

# Each in turn, some updates after the one before it was replaced.
nothing_acknowledged_is_lost() { # shards
    local shards=$1 run=$work/killed-$1 name status missing
    launch "$run" --replay_size=2000000 --shards="$shards" \
        --ledger="$run.ledger"
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
    missing=$(missing_batches "$run")
    if [[ $status != 0 ]] || ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif [[ $missing != "0 "* || $missing == *" 0" ]]; then
        not_ok "${FUNCNAME[0]}" "missing, of: $missing batches"
    else
        ok "${FUNCNAME[0]} ($shards shards, ${missing#* } batches)"
    fi
    # the judge itself: a batch that nobody stored is seen
    echo 'acked 1 2 0 3' >"$run.ledger/nobody-1.acked"
    echo 'sent 0 1 2 0 1 00000000' >"$run.ledger/nobody-1.sent"
    missing=$(missing_batches "$run")
    [[ $missing == "1 "* ]] || not_ok the_judge_sees_a_loss "$missing"
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

nothing_acknowledged_is_lost 1
nothing_acknowledged_is_lost 2
nothing_stays_behind launcher
nothing_stays_behind supervisor
summary
