# Sourced by tests/bench.sh after parts.bash: the parts that are whole runs.
# shellcheck shell=bash

: "${root:?}" "${build:?}" "${work:?}" "${rounds:?}" "${quick?}" "${long?}" "${only?}"
: "${cores:?}" "${some_threads:?}" "${update_rounds:?}"
peers=${peers-} no_peers=${no_peers-}
run_seconds=20
readonly window=16 # batches of an actor, in the runs of scale
[[ -z $quick ]] || run_seconds=6

# -- whole runs --

# A run of the built tree in $work/run; its last words are in the log.
launch() { # options...
    rm -rf -- "$work/run"
    SOFTQ_BUILD=$build quiet "$root/deploy/local.sh" --no-install \
        --progress=none --evaluation_episodes=1 --tensorboard=false \
        --run_dir="$work/run" "$@" </dev/null
}

stop_run() { kill "$(head -n 1 "$work/run/lock" 2>/dev/null)" 2>/dev/null; }

# A column of a row of progress.csv, or nothing.
progress() { # column, first|last
    awk -F, -v name="$1" -v which="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i; next }
        { last = $c } which == "first" { exit } END { print last }' \
        "$work/run/progress.csv" 2>/dev/null
}

readonly paper=(--units=200 --minibatch=64 --particles_fixed=32
    --particles_moved=32 --value_particles=50)

part_startup() {
    local began row='local.sh multigoal, no warm-up'
    for ((round = 1; round <= rounds; round++)); do
        say "startup: round $round of $rounds"
        began=$EPOCHREALTIME
        launch multigoal --minibatch=64 --warmup=64 --max_updates=1 ||
            refuse "local.sh failed: $(log_end)"
        record startup "$row" s 'softq, to its first update' ours \
            "$(awk -v a="$(progress wall last)" -v b="$began" \
                'BEGIN { printf "%.3f", a - b }')"
        record startup "$row" s 'of that before the learner' note \
            "$(awk -v a="$(progress wall first)" -v s="$(progress seconds first)" \
                -v b="$began" 'BEGIN { printf "%.3f", a - s - b }')"
        record startup "$row" s 'wanted' limit 2
    done
    round=1
}

# Do nearly all actors stand with a full window, as they do from then on? Until
# then they step as fast as they can.
windows_are_full() { # run
    "$build/softq-learner" "--status=$1" 2>/dev/null | awk -v window="$window" '
        $1 == "actor" {
            n++
            for (i = 4; i < NF; i += 2)
                if ($i == "outstanding" && $(i + 1) >= window - 1) full++
        }
        END { exit !(n > 0 && full >= 0.95 * n) }'
}

# Updates and environment steps a second over some seconds, all actors there
# and, with a ratio, waiting for the learner.
measure_run() { # actors, ratio: sets update_rate and step_rate
    local run=$work/run from to end=$((SECONDS + 300)) job here=0
    launch half-cheetah "${paper[@]}" --actors="$1" --ratio="$2" \
        --max_updates=0 --warmup=1000 --window="$window" &
    job=$!
    until ((here >= $1)) && [[ $(progress updates last) =~ ^[1-9] ]]; do
        if ((SECONDS >= end)) || ! kill -0 "$job" 2>/dev/null; then
            refuse "no run of $1 actors: $(log_end)"
        fi
        sleep 0.5
        here=$(grep -cs 'actor .* is here' "$run/logs/learner.log")
        here=${here:-0}
    done
    until [[ $2 == 0 ]] || windows_are_full "$run"; do
        ((SECONDS < end)) || refuse "no full windows of $1 actors in 300 s"
        sleep 1
    done
    sleep 3
    from="$(progress updates last) $(progress steps last) $(progress wall last)"
    sleep "$run_seconds"
    to="$(progress updates last) $(progress steps last) $(progress wall last)"
    kill -0 "$job" 2>/dev/null || refuse "the run of $1 actors ended: $(log_end)"
    stop_run
    wait "$job"
    read -r update_rate step_rate < <(echo "$from $to" |
        awk '{ t = $6 - $3; print ($4 - $1) / t, ($5 - $2) / t }')
}

part_scale() {
    local counts=(1 4 16 64 256) n ratio row said update_rate step_rate
    [[ -z $quick ]] || counts=(1 4)
    for ((round = 1; round <= rounds; round++)); do
        said=$("$build/tests/bench/bench_update" --json --threads="$cores" \
            --rounds=20 --observation_dim=17 --action_dim=6) ||
            refuse 'bench_update failed'
        for ratio in 1 0; do
            for n in "${counts[@]}"; do
                row="half-cheetah, paper's settings, ratio $ratio, $n actors"
                [[ $row == *"$only"* ]] || continue
                say "scale: round $round of $rounds, $n actors, ratio $ratio"
                measure_run "$n" "$ratio"
                record scale "$row" 1/s 'softq, updates' ours "$update_rate"
                record scale "$row" 1/s 'the learner alone' limit \
                    "$(number_in "$said" updates_per_s)"
                record scale "$row" steps/s 'environment steps' note \
                    "$step_rate"
            done
        done
    done
    round=1
}

# -- what saves, and what it costs --

# Each is of the multigoal preset; the first is the preset itself.
savings=(
    'the preset|'
    'one_set|--one_set=true'
    'proposals a state|--shared_proposals=false'
    "sampler's proposals|--value_proposals=sampler"
    '16 proposals|--value_particles=16'
    '4 particles, 4 moved|--particles_fixed=4 --particles_moved=4'
    '32 particles, 32 moved|--particles_fixed=32 --particles_moved=32'
    'minibatch 64|--minibatch=64'
    '64 units|--units=64'
)

# Numbers of an array of an object, the smallest of them.
least_in() { # JSON, name
    [[ $1 =~ \"$2\":\[([^]]*)\] ]] &&
        grep -oE '[0-9.]+' <<<"${BASH_REMATCH[1]}" | sort -n | head -n 1
}

part_savings() {
    local case row options preset said reached rarest off seeds=3
    mapfile -t preset < <(sed -n 's/^\([a-z_]*\) = \(.*\)$/--\1=\2/p' \
        "$root/deploy/presets/multigoal.ini")
    [[ -z $quick ]] || seeds=1 savings=("${savings[@]:0:2}")
    for ((round = 1; round <= seeds; round++)); do
        for case in "${savings[@]}"; do
            [[ $case == *"$only"* ]] || continue
            row="multigoal, ${case%%|*}"
            read -ra options <<<"${case#*|}"
            say "savings: seed $round, ${case%%|*}"
            said=$(on_cores 1 "$build/tests/bench/bench_update" --json \
                --rounds="$update_rounds" --observation_dim=2 --action_dim=2 \
                "${preset[@]}" "${options[@]}") || refuse 'bench_update failed'
            record savings "$row" 1/s 'softq, updates on one thread' ours \
                "$(number_in "$said" updates_per_s)"
            launch multigoal --seed="$round" ${quick:+--max_updates=300} \
                --evaluation_episodes=1000 "${options[@]}" ||
                refuse "local.sh failed: $(log_end)"
            said=$(tr -d '[:space:]' <"$work/run/evaluation.json")
            if ! reached=$(number_in "$said" success_rate) ||
                ! rarest=$(least_in "$said" goal_counts); then
                refuse "no success_rate or goal_counts: $said"
            fi
            record savings "$row" % 'episodes that reach a goal' note \
                "$(awk -v x="$reached" 'BEGIN { print 100 * x }')"
            record savings "$row" % 'of them the rarest goal' note \
                "$(awk -v x="$rarest" -v n="$reached" \
                    'BEGIN { print (n > 0 ? x / 10 / n : 0) }')"
            off=$("$build/tests/system/multigoal_judge" "$work/run" |
                sed -n 's/^V(0, 0).* off by \([^ ]*\) %.*$/\1/p')
            record savings "$row" % 'V(0, 0) off the exact one' note \
                "${off:-no verdict}"
        done
    done
    round=1
}

# -- end to end --

# Seconds from BEGAN to the first checkpoint that is good enough. In a subshell:
# its caller must end with its status.
seconds_to() { # task, began, wanted
    local run=$work/run file good
    for file in "$run"/checkpoints/*.safetensors; do
        quiet "$run/bin/softq-actor" --evaluate="$run" --checkpoint="$file" \
            --episodes="$([[ $1 == multigoal ]] && echo 1000 || echo 20)" ||
            refuse "no evaluation: $(log_end)"
        good=$(python3 -c '
import json, sys
e, wanted = json.load(open(sys.argv[1])), float(sys.argv[2])
if "goal_counts" in e:
    enough = min(e["goal_counts"]) >= 0.1 * e["episodes"]
    print(int(enough and 100 * sum(e["goal_counts"]) >= wanted * e["episodes"]))
else:
    print(int(e["mean_return"] >= wanted))' "$run/evaluation.json" "$3") ||
            refuse "no evaluation in $run/evaluation.json"
        if ((good)); then
            awk -v a="$(stat -c %.Y "$file")" -v b="$2" \
                'BEGIN { printf "%.2f", a - b }'
            return
        fi
    done
    echo 'it never came there'
}

end_to_end() { # task, wanted
    local task=$1 wanted=$2 row began seed seeds=3 last said why with
    local options=(--checkpoint_seconds=1 --keep_checkpoints=100000)
    row="$task, to $wanted$([[ $task == multigoal ]] && echo ' %')"
    "$build/softq-learner" --config="$root/deploy/presets/$task.ini" \
        --print_config >"$work/config.ini" || refuse 'no configuration'
    last=$(sed -n 's/^max_updates = //p' "$work/config.ini")
    [[ -z $quick ]] || seeds=1 last=300
    for ((seed = 1; seed <= seeds; seed++)); do
        round=$seed
        say "end to end: $task, seed $seed"
        began=$EPOCHREALTIME
        launch "$task" "${options[@]}" --seed="$seed" --max_updates="$last" ||
            refuse "local.sh failed: $(log_end)"
        said=$(seconds_to "$task" "$began" "$wanted") || exit # it said why
        record end-to-end "$row" s softq ours "$said"
        said='' why=$no_peers
        if [[ -z $why ]]; then
            torch_with "$some_threads"
            said=$(cd -- "$work" && on_cores "$cores" "${with[@]}" \
                "$peers/python/bin/python" \
                "$root/tests/bench/peers/train_torch.py" config.ini \
                "$EPOCHREALTIME" "$wanted" --seed="$seed" \
                --max_updates="$last" --threads="$some_threads" 2>>log |
                tail -n 1)
            why="it never came there, best $(number_in "$said" best)"
            [[ -n $said ]] || why=$(log_end)
        fi
        record end-to-end "$row" s "PyTorch, $some_threads threads" peer \
            "$(number_in "$said" seconds || echo "$why")"
    done
    round=1
}

part_end_to_end() {
    [[ multigoal != *"$only"* ]] || end_to_end multigoal 97
    [[ -z $long || swimmer != *"$only"* ]] || end_to_end swimmer 30
}
