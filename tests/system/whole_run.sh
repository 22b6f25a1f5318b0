#!/bin/bash
# Whole runs from the launcher's side: an end, two at once, Ctrl-C and resume.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

a_short_run_ends_with_an_evaluation() {
    local run=$work/short
    launch "$run" --max_updates=300 --checkpoint_every=250 \
        --keep_checkpoints=1 --checkpoint_seconds=60 --evaluators=1 \
        --evaluate_every=300
    local status
    finish "$launcher" 90
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]}" "no complete evaluation.json"
    elif ! gone "$run"; then
        not_ok "${FUNCNAME[0]}" "left behind: $(processes_of "$run")"
    elif [[ $(updates_of "$run") != 300 ]]; then
        not_ok "${FUNCNAME[0]}" "updates: $(updates_of "$run")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# Of the run above: the multiple of checkpoint_every, which nothing delays, and
# the last one; the former is played by its name.
kept_checkpoints_can_be_played() {
    local run=$work/short files each='0(2[5-9])[0-9] .*0300$'
    files=$(cd "$run/checkpoints" && echo *)
    if [[ ! ${files//.safetensors/} =~ $each ]]; then
        not_ok "${FUNCNAME[0]}" "there are $files"
    elif ! "$root/deploy/evaluate.sh" "$run" --checkpoint="${files%% *}" \
        >"$run.out" 2>"$run.err"; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$run.err")"
    elif ! grep -q "\"${files%% *}\"" "$run/evaluation.json"; then
        not_ok "${FUNCNAME[0]}" "another one played"
    else
        ok "${FUNCNAME[0]}"
    fi
}

kill_evaluator() { # run, name
    local pid
    pid=$(pid_named "$1" "$2")
    [[ -n $pid ]] && kill -9 "$pid"
}

has_rows() { # run, how many
    (($(grep -c '^[0-9]' "$1/evaluations.csv") >= $2))
}

# The run above goes on as slowly as a ratio allows: one update, and the next
# after 10^9 steps. So what the evaluator plays, at 300 updates or at 301,
# stays there to be played again, with the very same numbers.
an_evaluator_plays_as_an_evaluation_does() {
    local run=$work/short status row at file mean
    env --default-signal=INT "$root/deploy/local.sh" --no-install \
        --resume "$run" --progress=lines --evaluators=1 --max_updates=0 \
        --ratio=1e-9 --keep_checkpoints=3 --checkpoint_seconds=1 \
        >"$run.out" 2>"$run.err" &
    launcher=$!
    within 60 has_updates "$run" 301 && within 60 has_turn "$run" 30[01]
    kill -INT "$launcher"
    finish "$launcher" 20
    row=$(grep -E ',30[01],' "$run/evaluations.csv")
    at=$(cut -d, -f2 <<<"$row")
    file=$(cd "$run/checkpoints" &&
        printf '%s\n' *"${at:-none}.safetensors" | tail -n 1)
    "$root/deploy/evaluate.sh" "$run" --checkpoint="$file" \
        >"$run.out" 2>>"$run.err"
    mean=$(sed -n 's/^.*"mean_return":[[:space:]]*\([-0-9.e]*\).*$/\1/p' \
        "$run/evaluation.json")
    if [[ $status != 0 || -z $row ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.err")"
    elif ! grep -q "\"$file\"" "$run/evaluation.json"; then
        not_ok "${FUNCNAME[0]}" "$file: $(tail -n 3 "$run.err")"
    elif [[ $(cut -d, -f6 <<<"$row") != "$(awk -v x="$mean" \
        'BEGIN { printf "%.6g", x }')" ]]; then
        not_ok "${FUNCNAME[0]}" "evaluation.json of $file has $mean: $row"
    else
        ok "${FUNCNAME[0]}"
    fi
}

has_turn() { # run, updates as a pattern
    grep -qE "^[^,]*,$2," "$1/evaluations.csv"
}

# It goes on with two evaluators, one of which is killed again and again. A turn
# has one row, a whole one. The next multiple of checkpoint_every, which nothing
# delays either, is kept.
evaluators_play_by_turns() {
    local run=$work/short csv=$work/short/evaluations.csv status n before
    before=$(grep -c '^[0-9]' "$csv")
    n=$before
    env --default-signal=INT "$root/deploy/local.sh" --no-install \
        --resume "$run" --progress=lines --evaluators=2 --max_updates=0 \
        --ratio=1 --checkpoint_seconds=3600 >"$run.out" 2>"$run.err" &
    launcher=$!
    while ((n < before + 6)) && within 60 kill_evaluator "$run" evaluator-1 &&
        within 60 has_rows "$run" $((n + 3)); do
        n=$((n + 3))
    done
    kill -INT "$launcher"
    finish "$launcher" 20
    if [[ $status != 0 ]] || ((n < before + 6)); then
        not_ok "${FUNCNAME[0]}" "status $status, $n rows: \
$(tail -n 3 "$run.err")"
    elif awk -F, 'NR > 1 && (NF != 12 || $5 != 20 || turn[int($2 / 300)]++ ||
            $11 !~ /^evaluator-[01]$/) { bad = 1 } END { exit !bad }' "$csv"; then
        not_ok "${FUNCNAME[0]}" "$(<"$csv")"
    elif ! grep -q '^name evaluator-0 evaluator' "$run/state"; then
        not_ok "${FUNCNAME[0]}" "$(grep name "$run/state")"
    elif ! compgen -G "$run/checkpoints/*-*05[0-9][0-9].safetensors" >/dev/null; then
        not_ok "${FUNCNAME[0]}" "no checkpoint at 500: $(ls "$run/checkpoints")"
    elif ! grep -qa 'evaluation/success' "$run"/tensorboard/*000000003.softq; then
        not_ok "${FUNCNAME[0]}" 'TensorBoard has none'
    else
        ok "${FUNCNAME[0]}"
    fi
}

two_runs_share_the_machine() {
    local one=$work/one two=$work/two first second a b status
    launch "$one" --max_updates=500 --seed=1
    first=$launcher
    launch "$two" --max_updates=500 --seed=2
    second=$launcher
    finish "$first" 90
    a=$status
    finish "$second" 90
    b=$status
    if [[ $a == 0 && $b == 0 ]] && has_evaluation "$one" &&
        has_evaluation "$two"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$a, $b: $(tail -n 3 "$one.err" "$two.err")"
    fi
}

ctrl_c_leaves_a_checkpoint_that_resumes() {
    local run=$work/interrupted status at
    launch "$run" --max_updates=3000
    if ! within 60 has_updates "$run" 500; then
        not_ok "${FUNCNAME[0]}" "did not start: $(tail -n 3 "$run.err")"
        return
    fi
    kill -INT "$launcher"
    finish "$launcher" 15
    if [[ $status == late ]] || ! within 2 gone "$run"; then
        not_ok "${FUNCNAME[0]}" "still there: $(processes_of "$run")"
        return
    fi
    at=$(updates_of "$run")
    if ! compgen -G "$run/checkpoints/*.safetensors" >/dev/null; then
        not_ok "${FUNCNAME[0]}" "no checkpoint"
        return
    fi
    env --default-signal=INT "$root/deploy/local.sh" --no-install \
        --resume "$run" --progress=lines >"$run.out" 2>"$run.err" &
    finish $! 120
    if [[ $status != 0 || $(updates_of "$run") != 3000 ]]; then
        not_ok "${FUNCNAME[0]}" "resumed: status $status, from ${at:-?} to \
$(updates_of "$run"): $(tail -n 3 "$run.err")"
    elif awk -F, 'NR > 2 && $2 + 0 < last { bad = 1 } { last = $2 + 0 }
            END { exit !bad }' "$run/progress.csv"; then
        not_ok "${FUNCNAME[0]}" "progress.csv goes back"
    elif ! grep -qa 'run/generation' "$run"/tensorboard/*000000002.softq; then
        not_ok "${FUNCNAME[0]}" "the second learner wrote no events"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# 2,000 steps with every source of randomness in use; the same seed twice, then
# another one.
lockstep_repeats_bit_for_bit() {
    local run seed sums=() status
    for run in 1 2 3; do
        seed=7
        [[ $run != 3 ]] || seed=8
        launch "$work/lockstep-$run" --max_steps=2000 --ratio=1 \
            --checkpoint_updates=500 --lockstep=true --seed=$seed \
            --exploration=ou --value_proposals=sampler --proposal_switch=300 \
            --temperature=auto --observation_normalisation=true
        finish "$launcher" 90
        if [[ $status != 0 ]]; then
            not_ok "${FUNCNAME[0]}" \
                "status $status: $(tail -n 3 "$work/lockstep-$run.err")"
            return
        fi
        sums+=("$(cd "$work/lockstep-$run/checkpoints" && sha256sum -- *)")
    done
    if [[ $(wc -l <<<"${sums[0]}") -lt 3 ]]; then
        not_ok "${FUNCNAME[0]}" "not three checkpoints: ${sums[0]}"
    elif [[ ${sums[0]} != "${sums[1]}" ]]; then
        not_ok "${FUNCNAME[0]}" "checkpoints differ: ${sums[0]} ${sums[1]}"
    elif [[ ${sums[0]} == "${sums[2]}" ]]; then
        not_ok "${FUNCNAME[0]}" 'another seed gives the same checkpoints'
    else
        ok "${FUNCNAME[0]}"
    fi
}

# What the learner kept of a policy is what plays: a noise set that has fallen to
# one row gives one action, as DDPG's does, by the normalised observation.
an_evaluation_plays_the_whole_policy() {
    local run algorithm status
    for algorithm in sql ddpg; do
        run=$work/whole-$algorithm
        launch "$run" --max_updates=400 --algorithm=$algorithm \
            --observation_normalisation=true --twin_q=true \
            --temperature=anneal --alpha=1 --alpha_end=0.25 --alpha_span=200 \
            --noise_set=50 --noise_set_span=200
        finish "$launcher" 60
        if [[ $status != 0 ]]; then
            not_ok "${FUNCNAME[0]} of $algorithm" "status $status: \
$(tail -n 3 "$run.err")"
        elif ! grep -q "\"algorithm\":.*\"$algorithm\"" \
            "$run/evaluation.json" ||
            ! grep -q '"temperature":.*0.25' "$run/evaluation.json" ||
            ! grep -qE '"noise_set":\s*1,' "$run/evaluation.json"; then
            not_ok "${FUNCNAME[0]} of $algorithm" "$(<"$run/evaluation.json")"
        elif [[ $(sort -u "$run/figures/data/actions-0.csv" | wc -l) != 2 ]]; then
            not_ok "${FUNCNAME[0]} of $algorithm" "more than one action"
        else
            ok "${FUNCNAME[0]} of $algorithm"
        fi
    done
}

policy_of() { # run: of its actor, to the kernel: SCHED_OTHER or SCHED_IDLE
    chrt -p "$(pid_named "$1" actor-0)" 2>/dev/null | sed -n 's/.*policy: //p'
}

# The actors beside a learner take what time it leaves, but for one who wants
# otherwise.
actors_are_idle_unless_told_otherwise() {
    local said want run policy
    for said in '' false; do
        run=$work/idle-$said want=SCHED_IDLE
        [[ -z $said ]] || want=SCHED_OTHER
        env --default-signal=INT "$root/deploy/local.sh" multigoal --no-install \
            --units=32 --progress=lines --run_dir="$run" \
            ${said:+"--idle_priority=$said"} >"$run.out" 2>"$run.err" </dev/null &
        launcher=$!
        within 30 has_updates "$run" 1
        policy=$(policy_of "$run")
        kill -INT "$launcher"
        finish "$launcher" 30
        if [[ $policy == "$want" ]]; then
            ok "${FUNCNAME[0]}: ${said:-by default}"
        else
            not_ok "${FUNCNAME[0]}: ${said:-by default}" "$policy, $(tail -n 2 "$run.err")"
        fi
    done
}

a_short_run_ends_with_an_evaluation
an_evaluation_plays_the_whole_policy
kept_checkpoints_can_be_played
an_evaluator_plays_as_an_evaluation_does
evaluators_play_by_turns
lockstep_repeats_bit_for_bit
actors_are_idle_unless_told_otherwise
two_runs_share_the_machine
ctrl_c_leaves_a_checkpoint_that_resumes
summary
