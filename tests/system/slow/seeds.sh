#!/bin/bash
# The README's results on several seeds: multigoal on five, the swimmer on three,
# as deploy/local.sh trains them with their presets. About an hour on two cores.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

field() { # file, key: its number, or its numbers
    tr -d '\n\t ' <"$1" | sed -n "s/.*\"$2\":\[\{0,1\}\([-+0-9.e,]*[0-9]\).*/\1/p"
}

holds() { # awk expression
    awk "BEGIN { exit !($1) }" </dev/null
}

train() { # task, seed: sets run and seconds
    local start=$SECONDS
    run=$work/$1-$2
    "$root/deploy/local.sh" "$1" --no-install --seed="$2" --run_dir="$run" \
        --progress=lines >"$run.out" 2>&1 </dev/null
    status=$?
    seconds=$((SECONDS - start))
    [[ $status == 0 && -e $run/evaluation.json ]] && return
    not_ok "$1_trains_with_seed_$2" "status $status: $(tail -n 3 "$run.out")"
    return 1
}

# Share of each goal in percent, smallest and largest.
shares() {
    field "$1" goal_counts | awk -F, '{ n = $1 + $2 + $3 + $4; low = high = $1
        for (i = 2; i <= 4; i++) {
            if ($i < low) low = $i
            if ($i > high) high = $i
        }
        print 100 * low / (n ? n : 1), 100 * high / (n ? n : 1) }'
}

multigoal() {
    local seed reached low high even=0
    for seed in 1 2 3 4 5; do
        train multigoal "$seed" || continue
        reached=$(field "$run/evaluation.json" success_rate)
        read -r low high < <(shares "$run/evaluation.json")
        echo "# multigoal, seed $seed: $seconds s, reached $reached," \
            "goals $low to $high % ($(field "$run/evaluation.json" goal_counts))"
        if holds "$reached >= 0.97 && $low >= 10 && $high <= 45"; then
            ok "multigoal_reaches_all_goals_with_seed_$seed"
        else
            not_ok "multigoal_reaches_all_goals_with_seed_$seed" \
                "reached $reached, goals $low to $high %"
        fi
        ! holds "$low >= 15 && $high <= 35" || even=$((even + 1))
        if "$(program multigoal_judge)" "$run" >"$run.judge" 2>&1; then
            ok "multigoal_agrees_with_the_grid_with_seed_$seed"
        else
            not_ok "multigoal_agrees_with_the_grid_with_seed_$seed" \
                "$(tr '\n' ';' <"$run.judge")"
        fi
    done
    if ((even >= 4)); then
        ok multigoal_shares_goals_evenly_with_four_seeds_of_five
    else
        not_ok multigoal_shares_goals_evenly_with_four_seeds_of_five "$even"
    fi
}

swimmer() {
    local seed mean random deviation
    for seed in 1 2 3; do
        train swimmer "$seed" || continue
        mean=$(field "$run/evaluation.json" mean_return)
        random=$(field "$run/evaluation-random.json" mean_return)
        deviation=$(field "$run/evaluation-random.json" std_return)
        echo "# swimmer, seed $seed: $seconds s, mean return $mean," \
            "random $random +- $deviation"
        if holds "$mean > $random + 3 * $deviation && $seconds <= 900"; then
            ok "swimmer_beats_random_with_seed_$seed"
        else
            not_ok "swimmer_beats_random_with_seed_$seed" \
                "$mean in $seconds s, random $random +- $deviation"
        fi
    done
}

multigoal
swimmer
summary
