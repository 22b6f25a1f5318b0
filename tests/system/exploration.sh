#!/bin/bash
# Exploration through real processes: every actor on its rung of the ladder, also
# after the run was resumed.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# "ou 0.3" of each line where that actor says how it explores
said_by() { # run, actor
    sed -n 's/.*exploration: \([a-z]*\), scale \([0-9.e-]*\) .*/\1 \2/p' \
        "$1/logs/actor-$2.log"
}

each_actor_stands_on_its_rung() {
    local run=$work/ladder status
    launch "$run" --actors=2 --exploration=ou --exploration_ladder=0.25 \
        --max_updates=400 --evaluation_episodes=2
    finish "$launcher" 60
    if [[ $status != 0 || $(updates_of "$run") != 400 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif [[ $(said_by "$run" 0; said_by "$run" 1) != $'ou 0.3\nou 0.075' &&
        $(said_by "$run" 1; said_by "$run" 0) != $'ou 0.3\nou 0.075' ]]; then
        not_ok "${FUNCNAME[0]}" "they say: $(grep -h exploration "$run"/logs/*)"
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_resumed_run_keeps_the_rungs() {
    local run=$work/ladder first second status
    first=$(said_by "$run" 0; said_by "$run" 1)
    "$root/deploy/local.sh" --no-install --resume "$run" --max_updates=800 \
        --progress=lines >"$run.out" 2>"$run.err" </dev/null &
    finish $! 60
    second=$(said_by "$run" 0 | tail -n 1; said_by "$run" 1 | tail -n 1)
    if [[ $status != 0 || $(updates_of "$run") != 800 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif [[ $second != "$first" || $(said_by "$run" 0 | wc -l) != 2 ]]; then
        not_ok "${FUNCNAME[0]}" "first $first, then $second"
    elif [[ $(grep -c '^name [a-z0-9-]* actor$' "$run/state") != 2 ]]; then
        not_ok "${FUNCNAME[0]}" "roles in $(grep ^name "$run/state")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

each_actor_stands_on_its_rung
a_resumed_run_keeps_the_rungs
summary
