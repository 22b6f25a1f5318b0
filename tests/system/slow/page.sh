#!/bin/bash
# The learner's page in a browser (headless Chromium), on a live run: curves move,
# an actor killed by -9 turns red within 6 s, nothing is said on the console, on a
# desk and on a phone; promtool accepts /metrics; 200 readers a second cost the
# learner less than 2 % of its updates.
#
#   tests/system/slow/page.sh [FOLDER]     screenshots go there
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

run=$work/page pictures=${1:-$work}

browse() { # window, Chromium's options
    local window=$1
    shift
    timeout 60 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --enable-logging=stderr --virtual-time-budget=3000 \
        "--window-size=$window" "--user-data-dir=$work/chromium" "$@" "$url/" \
        2>>"$work/console"
}

values() { # what the curves' captions show
    browse 1200,1200 --dump-dom | grep -oE '<output>[^<]*' | sort
}

the_curves_move() {
    local first second
    first=$(values)
    sleep 3
    second=$(values)
    if [[ -z $first || $first == "$second" ]]; then
        not_ok "${FUNCNAME[0]}" "twice: $first"
    else
        ok "${FUNCNAME[0]}"
    fi
}

an_actor_killed_turns_red() {
    "$(program softq-actor)" --join="$run" --name=guest >/dev/null 2>&1 &
    local guest=$! killed=0 took
    within 20 shows_guest acts || not_ok "${FUNCNAME[0]}" "it never came"
    kill -9 "$guest"
    killed=$(date +%s%N)
    until shows_guest silent; do
        (($(date +%s%N) - killed < 20000000000)) || break
    done
    took=$((($(date +%s%N) - killed) / 1000000))
    if ((took < 6000)) || ((took < 8000 * pace && pace > 1)); then
        ok "${FUNCNAME[0]} (shown after $took ms)"
    else
        not_ok "${FUNCNAME[0]}" "after $took ms"
    fi
    browse 1200,1300 --screenshot="$pictures/desk.png" >/dev/null
    browse 390,2400 --screenshot="$pictures/phone.png" >/dev/null
}

# The browser is slow to start: what it would show is asked for directly, and the
# page itself looked at once.
shows_guest() { # state
    local silent=false
    [[ $1 != silent ]] || silent=true
    curl -s "$url/status.json" |
        grep -q "\"name\":\"guest\",\"rank\":[0-9]*,\"silent\":$silent"
}

the_page_shows_it_red() {
    if browse 1200,1200 --dump-dom |
        grep -q '<tr class="bad"><td>guest</td><td>silent</td>'; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}"
    fi
}

the_console_is_silent() {
    if grep -i 'CONSOLE' "$work/console" >"$work/said"; then
        not_ok "${FUNCNAME[0]}" "$(head -n 3 "$work/said")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

promtool_accepts_the_metrics() {
    if curl -s "$url/metrics" | promtool check metrics >"$work/said" 2>&1; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(head -n 3 "$work/said")"
    fi
}

# 200 connections that ask once a second each, for 12 s, by one process.
read_often() {
    python3 - "${url#http://}" <<'END'
import asyncio, sys
host, port = sys.argv[1].split(":")
REQUEST = b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
async def reader(delay):
    await asyncio.sleep(delay)
    read, write = await asyncio.open_connection(host, port)
    for _ in range(12):
        write.write(REQUEST)
        head = await read.readuntil(b"\r\n\r\n")
        length = head.lower().split(b"content-length: ")[1].split(b"\r")[0]
        await read.readexactly(int(length))
        await asyncio.sleep(1)
    write.close()
async def main():
    await asyncio.gather(*(reader(i / 200) for i in range(200)))
asyncio.run(main())
END
}

# The learner has one thread, so that the readers have a core: what is left is
# what they take from the learner itself. Spells in turns.
spell() { # updates in 10 s
    local from to
    from=$(status_of updates)
    sleep 10
    to=$(status_of updates)
    echo $((to - from))
}

status_of() {
    "$(program softq-learner)" --status="$run" | sed -n "s/^$1 //p"
}

readers_cost_little() {
    local without=0 with=0 readers cost
    for _ in 1 2 3; do
        without=$((without + $(spell)))
        read_often &
        readers=$!
        sleep 1
        with=$((with + $(spell)))
        wait "$readers" || not_ok "${FUNCNAME[0]}" "a reader was not served"
    done
    cost=$(awk -v a="$without" -v b="$with" 'BEGIN { printf "%.1f", 100 * (1 - b / a) }')
    echo "# updates in 30 s: $without without readers, $with with 200: $cost % less"
    if awk -v c="$cost" 'BEGIN { exit !(c < 2) }'; then
        ok "${FUNCNAME[0]} ($cost %)"
    else
        not_ok "${FUNCNAME[0]}" "$cost %"
    fi
}

for tool in chromium promtool curl; do
    command -v "$tool" >/dev/null || {
        not_ok "the_tools_are_there" "no $tool: deploy/install.sh --slow"
        exit 1
    }
done
launch "$run" --actors=2 --ratio=0.2 --units=128 \
    --minibatch=64 --threads=1
within 60 has_updates "$run" 200 || not_ok a_run_starts "$(tail -n 3 "$run.err")"
url=$(sed -n 's/^http //p' "$run/address")
the_curves_move
an_actor_killed_turns_red
the_page_shows_it_red
the_console_is_silent
promtool_accepts_the_metrics
readers_cost_little
kill -INT "$launcher"
finish "$launcher" 20
summary
