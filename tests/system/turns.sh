#!/bin/bash
# Actors that step by turns (actor/turns.h), as processes.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

learner=$(program softq-learner)
run=$work/turns

start() { # program, options...
    "$(program "softq-$1")" --run_dir="$run" --join="$run" "${@:2}" \
        2>>"$run.log" &
}

# "STEPS STEPS" of the two actors, of one status.
steps() {
    "$learner" --status="$run" 2>/dev/null |
        awk '$1 == "actor" { for (i = 4; i < NF; i += 2)
            if ($i == "steps") n[$3] = $(i + 1) }
            END { print n["crowded"], n["alone"] }'
}

# What is looked at is its rests, not how the kernel starves it.
have_a_share() { # pid
    chrt -p "$1" 2>/dev/null | grep -q SCHED_IDLE && chrt -a -o -p 0 "$1"
}

both_step() {
    seen=$(steps)
    [[ $seen =~ ^[1-9][0-9]*\ [0-9]+$ ]] && ((${seen#* } > 100000))
}

# One of ten thousand on its host steps far less than one that has it alone.
a_crowd_rests() {
    local crowded seen=''
    "$learner" --run_dir="$run" --task=multigoal --units=32 --warmup=200 \
        --ratio=0 --replay_size=100000 --progress=none --seed=3 2>>"$run.log" &
    within 10 test -e "$run/address"
    start replay
    start actor --name=crowded --idle_priority=true --idle_actors=10000
    crowded=$!
    within 10 have_a_share "$crowded"
    start actor --name=alone --idle_priority=true
    within 10 have_a_share $!
    if ! within 30 both_step; then
        not_ok "${FUNCNAME[0]}" "steps of the two: $seen; $(tail -n 2 "$run.log")"
    elif ((${seen% *} > ${seen#* } / 10)); then
        not_ok "${FUNCNAME[0]}" "${seen% *} steps, alone ${seen#* }"
    else
        ok "${FUNCNAME[0]} (${seen% *} steps, alone ${seen#* })"
    fi
    kill -TERM "$crowded"
    finish "$crowded" 3
    if [[ $status == 0 ]]; then
        ok a_rest_ends_with_sigterm
    else
        not_ok a_rest_ends_with_sigterm "status $status"
    fi
}

a_crowd_rests
summary
