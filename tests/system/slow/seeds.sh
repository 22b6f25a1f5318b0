#!/bin/bash
# The README's results on several seeds: multigoal on five, the swimmer on three,
# the swimming snake on five, as deploy/local.sh trains them with their presets,
# and the quadruped on one for a fortieth of its preset's updates. About two hours
# on two cores.
#
#   tests/system/slow/seeds.sh [multigoal] [swimmer] [snake] [quadruped]
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

field() { # file, key: its number, or its numbers
    tr -d '\n\t ' <"$1" | sed -n "s/.*\"$2\":\[\{0,1\}\([-+0-9.e,]*[0-9]\).*/\1/p"
}

holds() { # awk expression
    awk "BEGIN { exit !($1) }" </dev/null
}

train() { # task, seed, options...: sets run and seconds
    local start=$SECONDS task=$1 seed=$2
    shift 2
    run=$work/$task-$seed
    "$root/deploy/local.sh" "$task" --no-install --seed="$seed" \
        --run_dir="$run" --progress=lines "$@" >"$run.out" 2>&1 </dev/null
    status=$?
    seconds=$((SECONDS - start))
    [[ $status == 0 && -e $run/evaluation.json ]] && return
    not_ok "${task}_trains_with_seed_$seed" \
        "status $status: $(tail -n 3 "$run.out")"
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

# The farthest that any training episode came, and what the policy does then.
snake() {
    local seed farthest share crossed=0
    for seed in 1 2 3 4 5; do
        train swimmer-finish "$seed" || continue
        farthest=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            $at["stat_greatest"] > x { x = $at["stat_greatest"] }
            END { print x + 0 }' "$run/progress.csv")
        share=$(field "$run/evaluation.json" mean_crossed)
        echo "# swimmer-finish, seed $seed: $seconds s, farthest $farthest m," \
            "crosses in $share of the episodes"
        ! holds "$farthest > 2 && $share >= 0.5" || crossed=$((crossed + 1))
    done
    if ((crossed >= 4)); then
        ok snake_crosses_the_line_with_four_seeds_of_five
    else
        not_ok snake_crosses_the_line_with_four_seeds_of_five "$crossed"
    fi
}

quadruped() {
    local net random
    train quadruped-empty 1 --max_updates=20000 || return
    net=$(field "$run/evaluation.json" mean_net_displacement)
    random=$(field "$run/evaluation-random.json" mean_net_displacement)
    echo "# quadruped-empty: $seconds s, net displacement $net m, random $random"
    if holds "$net >= 3 * $random"; then
        ok quadruped_gets_three_times_as_far_as_random_actions
    else
        not_ok quadruped_gets_three_times_as_far_as_random_actions \
            "$net m, random $random m"
    fi
}

(($#)) || set -- multigoal swimmer snake quadruped
for part; do
    case $part in
    multigoal | swimmer | snake | quadruped) "$part" ;;
    *) not_ok "$part" 'multigoal, swimmer, snake or quadruped' ;;
    esac
done
summary
