#!/bin/bash
# Exploration through real processes: every actor on its rung of the ladder, also
# after the run was resumed.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# "ou 0.3" of each line where that actor says how it explores
said_by() { # run, actor
    sed -n 's/.*exploration: \([a-z]*\), scale \([0-9.e-]*\) .*/\1 \2/p' \
        "$1/logs/actor-$2.log" 2>/dev/null
}

have_said() { # run, how often each of the two
    [[ $(said_by "$1" 0 | wc -l) -ge $2 && $(said_by "$1" 1 | wc -l) -ge $2 ]]
}

# A short run could end before its second actor is there: it ends by Ctrl-C, once
# both have spoken and the learner has learned from what they did.
stop_when_said() { # run, how often
    local at
    at=$(updates_of "$1")
    within 60 have_said "$1" "$2"
    within 60 has_updates "$1" $((${at:-0} + 100))
    kill -INT "$launcher"
    finish "$launcher" 20
}

each_actor_stands_on_its_rung() {
    local run=$work/ladder status said
    launch "$run" --actors=2 --exploration=ou --exploration_ladder=0.25
    stop_when_said "$run" 1
    said=$(said_by "$run" 0; said_by "$run" 1)
    if [[ $status == late ]] || ! has_updates "$run" 100; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif [[ $(sort <<<"$said") != $'ou 0.075\nou 0.3' ]]; then
        not_ok "${FUNCNAME[0]}" "they say: $(grep -h exploration "$run"/logs/*)"
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_resumed_run_keeps_the_rungs() {
    local run=$work/ladder first second status
    first=$(said_by "$run" 0; said_by "$run" 1)
    env --default-signal=INT "$root/deploy/local.sh" --no-install \
        --resume "$run" --progress=lines >"$run.out" 2>"$run.err" </dev/null &
    launcher=$!
    stop_when_said "$run" 2
    second=$(said_by "$run" 0 | tail -n 1; said_by "$run" 1 | tail -n 1)
    if [[ $status == late ]]; then
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
