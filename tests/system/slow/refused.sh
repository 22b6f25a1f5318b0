#!/bin/bash
# Strangers at the door: 200 refused connections a second from 50 peers cost a
# learner and a shard less than 25 % of a core, and who is allowed is answered
# within 100 ms in 99 of 100 cases; the same of a peer that is allowed and says
# Hello 10,000 times a second. Also with other kinds of strangers and more
# of them, for the README. Two minutes; wants a quiet machine.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

port=$((21000 + RANDOM % 9000))
run=$work/run

"$root/deploy/keys.sh" --keys="$work/keys" new --name=here >/dev/null 2>&1
"$(program softq-learner)" --task=multigoal --run_dir="$run" --transport=tcp \
    --port="$port" --keys="$work/keys" --max_updates=0 --progress=none \
    >/dev/null 2>"$run.learner" </dev/null &
learner_pid=$!
"$(program softq-replay)" --join="tcp://127.0.0.1:$port" --run_dir="$run" \
    --transport=tcp --port="$port" --keys="$work/keys" \
    >"$run.shard" 2>&1 </dev/null &
shard_pid=$!

is_here() {
    grep -q 'shard-0 is here' "$run.learner" 2>/dev/null
}

# Both have nothing else to do, so that what is measured is the strangers'.
strangers() { # who serves, its port offset, pid, peers, rate, kind; limits?
    local name=$1 offset=$2 pid=$3 peers=$4 rate=$5 kind=$6 lines line cpu p99
    lines=$("$(program bench_refused)" "tcp://127.0.0.1:$((port + offset))" \
        "$(cat "$work/keys/public")" "$work/keys" "$pid" "$peers" "$rate" 10 \
        "$kind")
    while IFS= read -r line; do
        echo "# $name, $peers peers, $kind: $line"
    done <<<"$lines"
    line=$(tail -n 1 <<<"$lines")
    [[ ${7-} == bounded ]] || return 0
    cpu=$(sed -n 's/.*server *\([0-9.]*\).*/\1/p' <<<"$line")
    p99=$(sed -n 's/.*p99 *\([0-9.]*\).*/\1/p' <<<"$line")
    if awk "BEGIN { exit !(${cpu:-100} < 25 && ${p99:-1000} < 100) }"; then
        ok "strangers_cost_little ($name, $cpu % of a core, p99 $p99 ms)"
    else
        not_ok "strangers_cost_little ($name)" "$line"
    fi
}

if ! within 20 is_here; then
    not_ok it_starts "$(tail -n 2 "$run".learner "$run".shard)"
    exit 1
fi
strangers learner 0 "$learner_pid" 50 200 key bounded
strangers shard 10 "$shard_pid" 50 200 key bounded
strangers learner 0 "$learner_pid" 50 200 none
strangers learner 0 "$learner_pid" 50 200 wrong
strangers learner 0 "$learner_pid" 200 1000 key
strangers learner 0 "$learner_pid" 1 10000 hello bounded
kill "$learner_pid"
within 15 gone "$run"
summary
