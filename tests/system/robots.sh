#!/bin/bash
# The paper's robots from the outside: their presets, their numbers, their
# figures, and one arena's networks in another.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

# By task, the number that its evaluation ends with.
declare -rA number=(
    [swimmer-finish]=max_forward
    [quadruped-empty]=net_displacement
    [quadruped-hall-wide]=net_displacement
    [quadruped-hall-narrow]=net_displacement
    [quadruped-umaze]=min_distance
    [quadruped-maze]=min_distance
)

every_preset_is_accepted_and_its_number_evaluated() {
    local task run
    for task in "${!number[@]}"; do
        run=$work/random-$task
        mkdir "$run"
        if ! "$(program softq-learner)" \
            --config="$root/deploy/presets/$task.ini" --print_config \
            >"$run/config.ini" 2>"$run.err" ||
            ! "$(program softq-actor)" "--evaluate=$run" --random_policy \
                --episodes=2 >"$run.out" 2>"$run.err"; then
            not_ok "${FUNCNAME[0]}" "$task: $(tail -n 1 "$run.err")"
            return
        fi
        if ! grep -q "\"mean_${number[$task]}\"" \
            "$run/evaluation-random.json"; then
            not_ok "${FUNCNAME[0]}" "$task: no ${number[$task]}"
            return
        fi
    done
    ok "${FUNCNAME[0]}"
}

# A launch of few updates, small networks and short episodes, five of each
# environment before the first update; the last comes 2000 steps later, when its
# actor has told of some.
train() { # run, task, options...
    local run=$1 task=$2
    shift 2
    "$root/deploy/local.sh" "$task" --no-install "--run_dir=$run" \
        --max_updates=20 --ratio=0.01 --warmup=1000 --environments=4 \
        --units=16 --horizon=50 --evaluation_episodes=4 --progress=none "$@" \
        >"$run.out" 2>"$run.err" </dev/null
}

# Ways among walls, the number over the training, and both without a warning.
a_run_draws_its_task_s_figures() {
    local run=$work/maze file
    if ! train "$run" quadruped-maze; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$run.err")"
        return
    fi
    for file in learning path statistic; do
        [[ -s $run/figures/$file.png ]] && continue
        not_ok "${FUNCNAME[0]}" "no $file.png: $(tail -n 3 "$run.err")"
        return
    done
    if [[ -s $run.err ]]; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$run.err")"
    elif [[ $(grep -c ^wall, "$run/figures/data/model.csv") != 6 ]]; then
        not_ok "${FUNCNAME[0]}" "other walls than the model's"
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_policy_moves_to_another_arena() {
    local run=$work/umaze
    if train "$run" quadruped-umaze "--init_from=$work/maze"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$run.err")"
    fi
}

every_preset_is_accepted_and_its_number_evaluated
a_run_draws_its_task_s_figures
a_policy_moves_to_another_arena
summary
