#!/bin/bash
# Mistakes of whoever starts a run: one clear line, status 2, never a hang.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

actor=$(program softq-actor)
replay=$(program softq-replay)
learner=$(program softq-learner)
local_sh=$root/deploy/local.sh

no_option_is_guessed() {
    local program
    for program in "$actor" "$replay" "$learner"; do
        refuses "${FUNCNAME[0]} by ${program##*/}" nonsense \
            "$program" --nonsense=1
        refuses "a_value_out_of_range_is_refused by ${program##*/}" window \
            "$program" --window=65
        refuses "a_missing_file_is_named by ${program##*/}" /nowhere.ini \
            "$program" --config=/nowhere.ini
    done
    refuses "${FUNCNAME[0]} by local.sh" nonsense \
        "$local_sh" multigoal --no-install --run_dir="$work/x" --nonsense=1
    refuses "a_value_out_of_range_is_refused by local.sh" window \
        "$local_sh" multigoal --no-install --run_dir="$work/x" --window=65
    refuses "a_missing_file_is_named by local.sh" /nowhere.ini \
        "$local_sh" multigoal --no-install --run_dir="$work/x" \
        --config=/nowhere.ini
}

an_unknown_task_is_named() {
    refuses "${FUNCNAME[0]}" no-such-task \
        "$local_sh" no-such-task --no-install --run_dir="$work/task"
    gone "$work/task" || not_ok "${FUNCNAME[0]}" "processes stay behind"
}

a_model_that_is_not_there_is_named() {
    refuses "${FUNCNAME[0]}" /nowhere.xml \
        "$local_sh" hopper --no-install --model=/nowhere.xml
}

a_run_that_is_not_there_is_named() {
    refuses "${FUNCNAME[0]} to join" "$work/nowhere" \
        "$actor" --join="$work/nowhere" --run_dir="$work/nowhere"
    refuses "${FUNCNAME[0]} to join, by a shard" "$work/nowhere" \
        "$replay" --join="$work/nowhere" --run_dir="$work/nowhere"
    refuses "${FUNCNAME[0]} to evaluate" "$work/nowhere" "$actor" --evaluate="$work/nowhere"
    refuses "${FUNCNAME[0]} to export" "$work/nowhere" "$actor" --export="$work/nowhere"
    refuses "${FUNCNAME[0]} to resume" "$work/nowhere" \
        "$local_sh" --no-install --resume "$work/nowhere"
}

a_folder_that_cannot_be_written_is_named() {
    refuses "${FUNCNAME[0]} by the learner" /proc/softq \
        "$learner" --task=multigoal --run_dir=/proc/softq
    refuses "${FUNCNAME[0]} by local.sh" /proc/softq \
        "$local_sh" multigoal --no-install --run_dir=/proc/softq
}

# What looks like two runs of that shape and algorithm to compose.sh.
fake_run() { # run, observations
    mkdir -p "$1/checkpoints"
    "$learner" --task=point-x --print_config >"$1/config.ini"
    printf 'spec %s 2\nring 1 5000\n' "$2" >"$1/state"
    : >"$1/checkpoints/0000000001-000000000500.safetensors"
}

a_composition_is_refused_before_it_begins() {
    local x=$work/x y=$work/y compose=$root/deploy/compose.sh option lock
    fake_run "$x" 2
    fake_run "$y" 2
    refuses "${FUNCNAME[0]} of one run" 'two runs' "$compose" "$x"
    refuses "${FUNCNAME[0]} of one run twice" "$x is named twice" \
        "$compose" "$x" "$x" --no-install
    for option in --algorithm=sql --ratio=1 --actors=1 --lockstep=true; do
        refuses "${FUNCNAME[0]} with $option" "${option%=*} is not for" \
            "$compose" "$x" "$y" --no-install "$option"
    done
    refuses "${FUNCNAME[0]} for another shape" 'the task swimmer has' \
        "$compose" "$x" "$y" --no-install --task=swimmer
    refuses "${FUNCNAME[0]} by another algorithm" deploy/compose.sh \
        "$local_sh" point-x --no-install --compose="$x:$y"
    exec {lock}>"$y/lock"
    flock "$lock"
    refuses "${FUNCNAME[0]} of a live run" "$y is running" \
        "$compose" "$x" "$y" --no-install
    exec {lock}>&-
    gone "$work/x" || not_ok "${FUNCNAME[0]}" 'processes stay behind'
}

# Changed on --resume they would need other tensors than the checkpoint's.
what_a_run_cannot_change_is_named() {
    local run=$work/fixed option
    launch "$run" --max_updates=50
    finish "$launcher" 60
    for option in algorithm=ddpg noise_set=10 twin_q=true units=64 \
        observation_normalisation=true; do
        timeout -k 2 $((60 * pace)) "$local_sh" --no-install --resume "$run" "--$option" \
            >"$work/out" 2>"$work/err" </dev/null
        status=$?
        if [[ $status != 2 ]] || ! grep -q "${option%=*} = " "$work/err"; then
            not_ok "${FUNCNAME[0]}: $option" "status $status: $(<"$work/err")"
        elif grep -q 'stopped with' "$work/out"; then
            not_ok "${FUNCNAME[0]}: $option" 'a refusal is called a stop'
        else
            ok "${FUNCNAME[0]}: $option"
        fi
    done
}

has_generation() { # run, generation
    grep -qx "generation $2" "$1/state"
}

# Of the run above: a state that was put back from an earlier copy does not turn
# generations back, and without one its checkpoints are not another run's.
an_older_state_does_not_turn_generations_back() {
    local run=$work/fixed learner_pid
    cp "$run"/checkpoints/0000000001-*50.safetensors \
        "$run/checkpoints/0000000007-000000000050.safetensors"
    "$learner" --config="$run/config.ini" --run_dir="$run" --max_updates=0 \
        >"$run.out" 2>&1 &
    learner_pid=$!
    if within 30 has_generation "$run" 8; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(grep generation "$run/state")"
    fi
    kill "$learner_pid"
    within 30 ended "$learner_pid"
    rm "$run/state"
    refuses "${FUNCNAME[0]}, without one" "no $run/state" \
        "$learner" --config="$run/config.ini" --run_dir="$run"
}

is_evaluated() {
    [[ -n $(processes_of "--evaluate=$1") ]]
}

# The training is done: what is cut short can be played again.
ctrl_c_in_the_evaluation_is_no_failure() {
    local run=$work/evaluated
    launch "$run" --max_updates=30 --evaluation_episodes=1000000
    within 60 has_updates "$run" 30
    within 60 is_evaluated "$run"
    kill -INT "$launcher"
    finish "$launcher" 20
    if [[ $status != 0 ]] || ! grep -q 'play and draw' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.out")"
    else
        ok "${FUNCNAME[0]}"
    fi
    within 12 gone "$run" || not_ok "${FUNCNAME[0]}" 'processes stay behind'
}

free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 900)) # no other test's, nor the kernel's
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

a_busy_port_is_named() {
    local port first
    port=$(free_port)
    mkdir "$work/holder"
    "$learner" --task=multigoal --run_dir="$work/holder" --transport=tcp \
        --port="$port" >"$work/holder.out" 2>&1 &
    first=$!
    if ! within 30 test -s "$work/holder/address"; then
        not_ok "${FUNCNAME[0]}" "no address: $(tail -n 2 "$work/holder.out")"
        return
    fi
    refuses "${FUNCNAME[0]}" "$port" "$learner" --task=multigoal \
        --run_dir="$work/second" --transport=tcp --port="$port"
    refuses "a_second_learner_of_a_run_names_the_first" "$first" \
        "$learner" --task=multigoal --run_dir="$work/holder"
    kill "$first"
    within 30 ended "$first" || not_ok "${FUNCNAME[0]}" "the first hangs"
}

no_option_is_guessed
an_unknown_task_is_named
a_model_that_is_not_there_is_named
a_run_that_is_not_there_is_named
a_folder_that_cannot_be_written_is_named
a_composition_is_refused_before_it_begins
what_a_run_cannot_change_is_named
an_older_state_does_not_turn_generations_back
ctrl_c_in_the_evaluation_is_no_failure
a_busy_port_is_named
summary
