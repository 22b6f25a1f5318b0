#!/bin/bash
# Soft Q-learning spreads over the four goals of multigoal, DDPG does not: goal
# shares every 2,500 updates over five seeds, both with Ornstein-Uhlenbeck
# exploration, soft Q-learning by its preset and DDPG by the paper's settings, and
# what the final policies do from exactly the centre. DDPG's goals change during
# training, so the largest share is judged over all of the table; what it is at
# the end is shown. About half an hour on two cores.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

readonly every=2500 seeds=5
paper=(--learning_rate_q=1e-3 --learning_rate_f=1e-4 --learning_rate_end=1
    --sampler_average=0 --target_rate=0 --target_every=1000 --ratio=1
    --minibatch=64 --units=200)

train() { # algorithm, seed
    local run=$work/$1-$2 settings=()
    [[ $1 != ddpg ]] || settings=("${paper[@]}")
    "$root/deploy/local.sh" multigoal --no-install --algorithm="$1" \
        "${settings[@]}" --exploration=ou --seed="$2" --run_dir="$run" \
        --checkpoint_every=$every --progress=none >"$run.out" 2>&1 </dev/null &&
        return
    not_ok "$1_trains_with_seed_$2" "$(tail -n 3 "$run.out")"
    return 1
}

# Share of each goal among 1000 episodes that reach one, in percent; and of the
# episodes that do.
shares() { # run, options...
    local run=$1
    shift
    "$(program softq-actor)" --evaluate="$run" --episodes=1000 "$@" 2>&1 |
        sed -n 's/^goals *+x \([0-9]*\) *-x \([0-9]*\) *+y \([0-9]*\) *-y \([0-9]*\) .*/\1 \2 \3 \4/p' |
        awk '{ n = $1 + $2 + $3 + $4; for (i = 1; i <= 4; i++)
            printf "%.1f ", (n ? 100 * $i / n : 0); print n / 10 }'
}

largest() { awk '{ m = 0; for (i = 1; i <= 4; i++) if ($i > m) m = $i; print m }'; }
smallest() { awk '{ m = 100; for (i = 1; i <= 4; i++) if ($i < m) m = $i; print m }'; }

holds() { # awk expression
    awk "BEGIN { exit !($1) }" </dev/null
}

# The first kept checkpoint at or past each multiple of `every`.
milestones() { # run
    local file updates next=$every
    for file in "$1"/checkpoints/*.safetensors; do
        updates=${file##*-}
        updates=$((10#${updates%.safetensors}))
        ((updates >= next)) || continue
        echo "$file"
        next=$(((updates / every + 1) * every))
    done
}

one() { # algorithm, seed: its table, the last line into $final, and the mean of
    # the largest share into $share
    local run=$work/$1-$2 file updates line highest=''
    while read -r file; do
        updates=${file##*-}
        line=$(shares "$run" --checkpoint="$file")
        final=$line
        highest+="$(largest <<<"$line") "
        echo "# $1, seed $2, $((10#${updates%.safetensors})) updates:" \
            "+x -x +y -y ${line% *} %, reached ${line##* } %"
    done < <(milestones "$run")
    share=$(awk '{ for (i = 1; i <= NF; i++) sum += $i
        print NF ? sum / NF : 0 }' <<<"$highest")
    centre=$(shares "$run" --multigoal_start_sd=0)
    echo "# $1, seed $2, from exactly (0,0): ${centre% *} %," \
        "reached ${centre##* } %"
}

judge() { # algorithm
    local seed sum=0 end=0 n=0 low high
    for ((seed = 1; seed <= seeds; seed++)); do
        train "$1" "$seed" || continue
        one "$1" "$seed"
        sum=$(awk "BEGIN { print $sum + $share }")
        end=$(awk "BEGIN { print $end + $(largest <<<"$final") }")
        n=$((n + 1))
        low=$(smallest <<<"$centre") high=$(largest <<<"$centre")
        if [[ $1 == ddpg ]]; then
            if holds "$high == 100"; then
                ok "ddpg_goes_to_one_goal_from_the_centre_with_seed_$seed"
            else
                not_ok "ddpg_goes_to_one_goal_from_the_centre_with_seed_$seed" \
                    "$centre"
            fi
        elif holds "$low >= 15 && $high <= 35"; then
            ok "sql_spreads_from_the_centre_with_seed_$seed"
        else
            not_ok "sql_spreads_from_the_centre_with_seed_$seed" "$centre"
        fi
    done
    mean=$(awk "BEGIN { print $sum / ($n > 0 ? $n : 1) }")
    end=$(awk "BEGIN { print $end / ($n > 0 ? $n : 1) }")
    echo "# $1: largest share, mean of $n seeds: $mean % over the table," \
        "$end % at the end"
    [[ $n == "$seeds" ]]
}

final='' share='' centre='' mean=0
if judge sql && holds "$mean <= 35"; then
    ok sql_gives_no_goal_more_than_35_percent
else
    not_ok sql_gives_no_goal_more_than_35_percent "$mean"
fi
if judge ddpg && holds "$mean >= 65"; then
    ok ddpg_gives_one_goal_65_percent_or_more
else
    not_ok ddpg_gives_one_goal_65_percent_or_more "$mean"
fi
summary
