#!/bin/bash
# The learner's page over HTTP: where RUN/address says, in valid documents, with
# an actor that stands still shown as silent, gone with the learner.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

run=$work/page

fetch() { # path: the body, without curl
    local port
    port=$(sed -n 's|^http http://127.0.0.1:||p' "$run/address" 2>/dev/null)
    [[ -n $port ]] || return 1
    python3 - "$port" "$1" <<'END'
import sys, urllib.request
url = "http://127.0.0.1:%s%s" % tuple(sys.argv[1:])
sys.stdout.write(urllib.request.urlopen(url, timeout=5).read().decode())
END
}

status_is() { # Python's expression of s, /status.json
    fetch /status.json 2>/dev/null |
        python3 -c "import json, sys; s = json.load(sys.stdin); sys.exit(not ($1))" \
            2>/dev/null
}

check() { # name, expression, seconds
    if within "$3" status_is "$2"; then
        ok "$1"
    else
        not_ok "$1" "$(fetch /status.json 2>&1 | head -c 600)"
    fi
}

launch "$run" --actors=2 --ratio=0.5 --evaluators=1 --evaluate_every=100
check the_page_shows_a_run \
    's["metrics"]["updates"] > 50 and s["run"]["task"] == "multigoal" and
     s["actors"]["here"] == 2 and s["shards"][0]["state"] == "listed" and
     s["why"][0].startswith("updates go on")' 60

the_curves_grow() {
    local count='import json, sys; h = json.load(sys.stdin)
assert len({len(v) for v in h.values()}) == 1; print(len(h["seconds"]))'
    local first=0 now
    has_points_beyond() {
        now=$(fetch /history.json | python3 -c "$count") && ((now > $1))
    }
    if within 20 has_points_beyond 0 && first=$now &&
        within 20 has_points_beyond "$first"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$first points still"
    fi
}

prometheus_can_read_it() {
    local text
    text=$(fetch /metrics)
    if ! grep -q '^softq_updates_total [0-9]' <<<"$text" ||
        ! grep -q '^softq_shard_stored_rows_total{shard="0"} [0-9]' <<<"$text" ||
        ! grep -q '^softq_evaluations_total [1-9]' <<<"$text" ||
        ! grep -q '^softq_actor_lag_updates{of="median"} [0-9]' <<<"$text"; then
        not_ok "${FUNCNAME[0]}" "$text"
    elif grep -vE '^(# (HELP|TYPE) softq_[a-z0-9_]+ .+|softq_[a-z0-9_]+(\{[a-z]+="[^"]*"\})? [-+.0-9e]+)$' \
        <<<"$text" >"$work/odd"; then
        not_ok "${FUNCNAME[0]}" "$(head -n 3 "$work/odd")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

check an_evaluator_is_no_actor \
    's["evaluators"][0]["name"] == "evaluator-0" and s["metrics"]["evaluators"] == 1 and
     s["metrics"]["evaluation_updates"] >= 100 and s["actors"]["here"] == 2 and
     0 <= s["metrics"]["evaluation_success"] <= 1 and
     all(a["name"] != "evaluator-0" for a in s["actors"]["shown"])' 60

the_curves_grow
prometheus_can_read_it
actor=$(pid_named "$run" actor-0)
kill -STOP "$actor"
check an_actor_that_stands_still_is_silent \
    's["actors"]["silent"] == 1 and s["actors"]["shown"][0]["silent"]' 30
kill -CONT "$actor"
check and_is_taken_back 's["actors"]["silent"] == 0' 30
kill -INT "$launcher"
finish "$launcher" 20
if fetch / >/dev/null 2>&1; then
    not_ok it_ends_with_the_learner
else
    ok it_ends_with_the_learner
fi

a_port_in_use_is_refused() {
    python3 -c 'import socket, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
print(s.getsockname()[1], flush=True); time.sleep(30)' >"$work/port" &
    local holder=$!
    within 5 test -s "$work/port"
    refuses "${FUNCNAME[0]}" 'http_port' "$(program softq-learner)" \
        --run_dir="$work/refused" --log_level=error \
        --http_port="$(<"$work/port")"
    kill "$holder"
}

a_port_in_use_is_refused
refuses a_host_by_name_is_refused 'http_bind' "$(program softq-learner)" \
    --run_dir="$work/refused" --log_level=error --http_bind=somewhere
summary
