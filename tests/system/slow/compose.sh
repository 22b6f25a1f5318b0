#!/bin/bash
# Composition: the policy for the mean of point-x's and point-y's Q functions,
# trained on what they stored and without a new step, comes nearly as close to
# the origin as one that was trained for both at once. Three seeds, a quarter of
# an hour on two cores.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

number() { # file, key
    tr -d '\n\t ' <"$1" | sed -n "s/.*\"$2\":\([-+0-9.e]*\).*/\1/p"
}

train() { # run, script and its arguments
    local run=$1
    shift
    "$@" --no-install --run_dir="$run" --progress=none >"$run.out" 2>&1 \
        </dev/null && return
    not_ok "$(basename "$run")_trains" "$(tail -n 3 "$run.out")"
    return 1
}

steps_of() { # run
    tail -n 1 "$1/progress.csv" | cut -d, -f3
}

for seed in 1 2 3; do
    trained=yes
    for task in point-x point-y point-xy; do
        train "$work/$task-$seed" "$root/deploy/local.sh" "$task" \
            --seed="$seed" || trained=no
    done
    x=$work/point-x-$seed y=$work/point-y-$seed composed=$work/composed-$seed
    [[ $trained == yes ]] || continue
    train "$composed" "$root/deploy/compose.sh" "$x" "$y" --task=point-xy \
        --seed="$seed" || continue
    joint=$(number "$work/point-xy-$seed/evaluation.json" mean_distance)
    mean=$(number "$composed/evaluation.json" mean_distance)
    imported=$(sed -n 's/.* imported \([0-9]*\) rows .*/\1/p' \
        "$composed"/logs/shard-0.log)
    echo "# seed $seed: mean final distance composed $mean, trained for both" \
        "$joint; rows imported $imported, stored at the end" \
        "$(steps_of "$composed")"
    if awk "BEGIN { exit !($mean <= 1.25 * $joint + 0.05) }" </dev/null; then
        ok "the_composed_policy_comes_close_with_seed_$seed"
    else
        not_ok "the_composed_policy_comes_close_with_seed_$seed" \
            "$mean, more than 1.25 * $joint + 0.05"
    fi
    if [[ $imported -gt 0 && $(steps_of "$composed") == "$imported" ]]; then
        ok "no_step_is_made_with_seed_$seed"
    else
        not_ok "no_step_is_made_with_seed_$seed" \
            "$(steps_of "$composed") rows, $imported imported"
    fi
done
summary
