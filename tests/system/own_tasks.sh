#!/bin/bash
# A user's own tasks: a model with a description, a shared object; trained,
# played and resumed without the user's files, and every mistake in one line.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

actor=$(program softq-actor)
local_sh=$root/deploy/local.sh
plugins=$(dirname "$(find "$build" -name plugin_good.so | head -n 1)")
mine=$work/mine
mkdir "$mine"
cp "$root"/deploy/examples/arm.* "$mine"

# One small run to its end; then where the description was is empty.
an_ini_trains_and_its_run_needs_no_other_file() {
    local run=$work/arm status
    mkdir "$work/theirs" && cp "$mine"/arm.* "$work/theirs"
    "$local_sh" "$work/theirs/arm.ini" "${small[@]}" --max_updates=200 \
        --horizon=20 --run_dir="$run" >"$run.out" 2>"$run.err" </dev/null
    status=$?
    if ((status)) || ! grep -q '^distance(hand,goal) mean' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(head -c 400 "$run.err")"
        return
    fi
    rm -r "$work/theirs"
    mv "$run" "$work/moved"
    (cd / && "$root/deploy/evaluate.sh" "$work/moved" --episodes=5) \
        >"$run.out" 2>&1 || not_ok "${FUNCNAME[0]}" "$(head -c 400 "$run.out")"
    "$root/deploy/export.sh" "$work/moved" "$work/exported" >"$run.out" 2>&1 ||
        not_ok "${FUNCNAME[0]}" "exported: $(head -c 400 "$run.out")"
    grep -q 'enum {' "$work/exported/sampler.h" ||
        not_ok "${FUNCNAME[0]}" "no header was exported"
    "$local_sh" --resume "$work/moved" --no-install --max_updates=300 \
        --progress=none >"$run.out" 2>&1 </dev/null ||
        not_ok "${FUNCNAME[0]}" "resumed: $(head -c 400 "$run.out")"
    if (($(updates_of "$work/moved") >= 300)); then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(updates_of "$work/moved") updates"
    fi
}

# By the command that the example names.
the_example_in_c_builds_and_trains() {
    local run=$work/pendulum command
    command=$(sed -n 's/^ \* *\(cc .*\)$/\1/p' "$root/deploy/examples/my_env.c")
    # nothing of it is the user's: it is the line of our own file
    if ! (cd "$root" && eval "${command/-o my_env.so/-o $work/my_env.so}") \
        >"$run.out" 2>&1; then
        not_ok "${FUNCNAME[0]}" "'$command': $(head -c 400 "$run.out")"
        return
    fi
    if ! (cd "$work" && "$local_sh" ./my_env.so "${small[@]}" \
        --max_updates=200 --actors=2 --run_dir="$run") >"$run.out" 2>"$run.err" \
        </dev/null; then
        not_ok "${FUNCNAME[0]}" "$(head -c 400 "$run.err")"
    elif [[ ! -s $run/task/env.so ]] || ! grep -q '^random' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "no copy or no evaluation"
    else
        ok "${FUNCNAME[0]}"
    fi
}

another_model_is_refused_by_its_hash() {
    local run=$work/live
    sed "s/damping=\"0.5\"/damping=\"0.4\"/" "$mine/arm.xml" \
        >"$mine/edited.xml"
    sed 's/arm.xml/edited.xml/' "$mine/arm.ini" >"$mine/edited.ini"
    "$local_sh" "$mine/arm.ini" "${small[@]}" --run_dir="$run" \
        >"$run.out" 2>"$run.err" </dev/null &
    launcher=$!
    if ! within 90 has_updates "$run" 1; then
        not_ok "${FUNCNAME[0]}" "no updates: $(head -c 400 "$run.err")"
        kill -TERM "$launcher"
        finish "$launcher" 20
        return
    fi
    grep -q '^model [0-9a-f]\{16\}$' "$run/state" ||
        not_ok "${FUNCNAME[0]}" "RUN/state holds no model"
    refused_by_hash "${FUNCNAME[0]}" "$run"
    kill -9 "$(pids_of "$run" softq-learner)"
    goes_on "$run" || not_ok "${FUNCNAME[0]}" "it did not go on"
    refused_by_hash "${FUNCNAME[0]} after the learner came back" "$run"
    kill -TERM "$launcher"
    finish "$launcher" 20
}

# Both hashes' short forms in the last line, status 2.
refused_by_hash() { # name, run
    timeout -k 2 $((60 * pace)) "$actor" --join="$2" --robot="$mine/edited.ini" \
        --name=other >"$work/out" 2>"$work/err" </dev/null
    local status=$?
    if [[ $status == 2 ]] && tail -n 2 "$work/err" |
        grep -qE 'other files .*\(hash [0-9a-f]{8}\).*\([0-9a-f]{8}\)'; then
        ok "$1"
    else
        not_ok "$1" "status $status: $(head -c 400 "$work/err")"
    fi
}

# The actor ends by status 3, and its line has the task, the step and the seed.
a_nan_stops_its_actor() {
    local run=$work/nan
    timeout -k 2 $((120 * pace)) "$local_sh" nan-task --env="$plugins/plugin_nan.so" \
        "${small[@]}" --seed=77 --run_dir="$run" >"$run.out" 2>"$run.err" \
        </dev/null
    if grep -q 'status 3: .*a reward is not finite: nan-task.* step 3, seed 77' \
        "$run.err"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(head -c 400 "$run.err")"
    fi
}

launch_refuses() { # name, word, local.sh's arguments...
    local name=$1 word=$2
    shift 2
    refuses "$name" "$word" "$local_sh" "$@" --no-install --run_dir="$work/bad"
    [[ ! -e $work/bad ]] || not_ok "$name" "a run is left behind"
}

a_wrong_description_is_one_line() {
    local name=${FUNCNAME[0]} ini=$mine/wrong.ini
    arm() { sed "$1" "$mine/arm.ini" >"$ini"; }
    arm 's/arm.xml/gone.xml/'
    launch_refuses "$name: no model" gone.xml "$ini"
    arm 's/arm.xml/wrong.ini/'
    launch_refuses "$name: no MJCF" wrong.ini "$ini"
    arm 's/^horizon/horizn/'
    launch_refuses "$name: unknown name" horizn "$ini"
    arm 's/^reward_scale/reward_scal/'
    launch_refuses "$name: unknown option" reward_scal "$ini"
    arm 's/^model.*/&\n&/'
    launch_refuses "$name: twice" 'model stands twice' "$ini"
    arm 's/sensor(hand,y)/sensor(hand,x)/'
    launch_refuses "$name: a sensor twice" 'sensor(hand,x) is observed twice' "$ini"
    arm 's/^reward = -1 /reward = nan /'
    launch_refuses "$name: a weight that is none" 'finite weight' "$ini"
    arm 's/(hand,goal)/(hand,gaol)/'
    launch_refuses "$name: no such site" 'it has goal, hand' "$ini"
    head -c 5000 /dev/urandom >"$ini"
    launch_refuses "$name: garbage" wrong.ini "$ini"
    { printf '[robot]\n' && head -c 5000 /dev/urandom; } >"$ini"
    launch_refuses "$name: garbage in the section" wrong.ini "$ini"
    cp "$mine/arm.ini" "$mine/swimmer.ini"
    launch_refuses "$name: softq's own name" "softq's own" "$mine/swimmer.ini"
    launch_refuses "$name: no file" nowhere.ini "$mine/nowhere.ini"
}

a_wrong_shared_object_is_one_line() {
    local name=${FUNCNAME[0]} wrong
    for wrong in 'version:version 99' 'zero:obs_dim is 0' \
        'million:act_dim 1000000' 'no_symbol:no function softq_env()' \
        'null:returned NULL' 'no_step:step is NULL'; do
        launch_refuses "$name: ${wrong%%:*}" "${wrong#*:}" \
            "$plugins/plugin_${wrong%%:*}.so"
    done
    launch_refuses "$name: no ELF" "$0" my-task --env="$0"
    launch_refuses "$name: no file" nowhere.so ./nowhere.so
    launch_refuses "$name: two tasks" 'one or the other' "$mine/arm.ini" \
        --env="$plugins/plugin_good.so"
}

check_says() { # name, status, word, check's arguments...
    local name=$1 wanted=$2 word=$3 status
    shift 3
    timeout -k 2 $((60 * pace)) "$actor" --episodes=10 "$@" >"$work/out" 2>"$work/err" \
        </dev/null
    status=$?
    if [[ $status == "$wanted" ]] && grep -qF -- "$word" "$work/out"; then
        ok "$name"
    else
        not_ok "$name" "status $status: $(cat "$work/out" "$work/err")"
    fi
}

a_task_can_be_looked_at() {
    local name=${FUNCNAME[0]}
    check_says "$name: robot" 0 'nothing to warn' --check="$mine/arm.ini"
    check_says "$name: built in" 0 'nothing to warn' --check=multigoal
    check_says "$name: shared object" 0 'nothing to warn' \
        --check=counter --env="$plugins/plugin_good.so"
    check_says "$name: warned about" 2 'never move: 1' \
        --check="$plugins/plugin_still.so"
    check_says "$name: not finite" 3 'not finite' \
        --check="$plugins/plugin_nan.so"
    check_says 'the_tasks_are_listed' 0 'swimmer' --list-tasks
}

an_ini_trains_and_its_run_needs_no_other_file
the_example_in_c_builds_and_trains
another_model_is_refused_by_its_hash
a_nan_stops_its_actor
a_wrong_description_is_one_line
a_wrong_shared_object_is_one_line
a_task_can_be_looked_at
summary
