#!/bin/bash
# A minute of kill -9 and pauses at random moments against every process of a
# run over tcp with two shards and two actors: it ends well, and no
# acknowledged transition is missing. SEED repeats the same choices.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

RANDOM=${SEED:-$$}
echo "seed ${SEED:-$$}"
run=$work/monkey

strike() {
    local programs=(softq-actor softq-replay softq-learner) pid
    pid=$(pids_of "$run" "${programs[RANDOM % 3]}" | shuf -n 1 \
        --random-source=<(yes "$RANDOM"))
    [[ -n $pid ]] || return
    case $((RANDOM % 3)) in
    0)
        kill -STOP "$pid" 2>/dev/null
        sleep 0.$((RANDOM % 10))
        kill -CONT "$pid" 2>/dev/null
        ;;
    *) kill -9 "$pid" 2>/dev/null ;;
    esac
}

launch "$run" --max_seconds=45 --replay_size=2000000 --shards=2 --actors=2 \
    --transport=tcp --port=$((31000 + RANDOM % 900 * 20)) --dead_after=1.5 \
    --ratio=0.5 --ledger="$run.ledger"
if ! within 60 has_updates "$run" 50; then
    not_ok a_run_starts "$(tail -n 3 "$run.err")"
    exit 1
fi
strikes=0
end=$((SECONDS + 60))
while ((SECONDS < end)) && ! ended "$launcher"; do
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    strike
    strikes=$((strikes + 1))
done
finish "$launcher" 240
missing=$(missing_batches "$run")
if [[ $status != 0 ]] || ! has_evaluation "$run"; then
    not_ok it_ends_well "status $status: $(tail -n 3 "$run.err")"
elif [[ $missing != "0 "* || $missing == *" 0" ]]; then
    not_ok nothing_acknowledged_is_lost "missing, of: $missing batches"
else
    ok "nothing_acknowledged_is_lost ($strikes strikes, ${missing#* } batches)"
fi
summary
