#!/bin/bash
# Rows of other runs in a run of ours: all of them, once, through kill -9, and
# learned from without an actor.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

replay=$(program softq-replay) actor=$(program softq-actor)
learner=$(program softq-learner) ring_dump=$(program ring_dump)
one=$work/one two=$work/two sources=$work/one:$work/two
imported=18446744073709551615 # IMPORT_ACTOR

# Rows in rings; those of an actor, if one is named.
rows_of() { # run, actor
    "$ring_dump" "$1"/replay/shard-*.ring |
        awk -v actor="${2-}" 'actor == "" || $1 "" == actor { n += $4 }
            END { print n + 0 }'
}

# Batches that are there twice, or not whole.
bad_batches_of() { # run
    "$ring_dump" "$1"/replay/shard-*.ring |
        awk '{ n[$1, $2, $3]++ } $5 == 0 { bad++ }
            END { for (b in n) bad += n[b] > 1; print bad + 0 }'
}

status_says() { # run, pattern
    "$learner" --status="$1" 2>/dev/null | grep -q -- "$2"
}

# A learner that knows the shapes: an actor that is killed before there is a
# shard has brought them.
start_learner() { # run, options...
    local run=$1 guest
    shift
    "$learner" --run_dir="$run" --task=multigoal --units=32 --minibatch=16 \
        --value_particles=8 --particles_fixed=4 --particles_moved=4 \
        --warmup=200 --ratio=0 --actors=0 --progress=none --resend_after=0.3 \
        "$@" 2>>"$run.learner.log" &
    within 30 test -e "$run/address"
    "$actor" --join="$run" --run_dir="$run" 2>>"$run.actor.log" &
    guest=$!
    within 30 grep -q 'observations of 2' "$run.learner.log" ||
        not_ok "${FUNCNAME[0]}" "no shapes: $(tail -n 3 "$run.learner.log")"
    kill -9 "$guest"
    wait "$guest" 2>/dev/null
}

start_shard() { # run, index, options...; its pid in $shard
    local run=$1 index=$2
    shift 2
    "$replay" --join="$run" --run_dir="$run" --index="$index" \
        --import="$sources" "$@" 2>>"$run.shard-$index.log" &
    shard=$!
}

end_run() { # everything of it, softly; true when all is gone
    local pid
    for pid in $(processes_of "$1" | cut -d' ' -f1); do
        kill -TERM "$pid" 2>/dev/null
    done
    within 30 gone "$1"
}

make_sources() {
    local first status
    launch "$one" --max_updates=300 --ratio=0.05 --shards=2 --seed=1
    first=$launcher
    launch "$two" --max_updates=300 --ratio=0.05 --seed=2
    finish "$launcher" 90
    finish "$first" 90
    if (($(rows_of "$one") < 3000 || $(rows_of "$two") < 3000)); then
        not_ok "${FUNCNAME[0]}" "too few rows: $(tail -n 3 "$one.err" "$two.err")"
    fi
}

the_option_is_in_help() {
    if "$replay" --help | grep -q -- '--import'; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}"
    fi
}

# Status 2 and one error line with the word, and no ring made.
refuses() { # name, word, run, sources
    local status
    timeout $((60 * pace)) "$replay" --join="$3" --run_dir="$3" --import="$4" \
        2>"$work/err"
    status=$?
    if [[ $status != 2 ]]; then
        not_ok "$1" "status $status: $(tail -n 2 "$work/err")"
    elif [[ $(grep -c ' error: ' "$work/err") != 1 ]] ||
        ! grep ' error: ' "$work/err" | grep -q -- "$2"; then
        not_ok "$1" "does not say '$2': $(tail -n 2 "$work/err")"
    elif [[ -e $3/replay/shard-0.ring ]]; then
        not_ok "$1" 'a ring was made'
    else
        ok "$1"
    fi
}

what_cannot_be_imported_is_refused() {
    local run=$work/small live=$work/live all
    all=$(($(rows_of "$one") + $(rows_of "$two")))
    start_learner "$run" --replay_size=1000
    refuses "${FUNCNAME[0]}: no such run" "no run '$work/none'" "$run" \
        "$one:$work/none"
    refuses "${FUNCNAME[0]}: without rings" 'holds no shard' "$run" "$run"
    refuses "${FUNCNAME[0]}: too many rows" \
        "$all rows, but .*--replay_size=$all or more" "$run" "$sources"
    start_learner "$live" --replay_size=20000
    start_shard "$live" 0
    within 60 status_says "$live" '^shards 1' ||
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$live.shard-0.log")"
    refuses "${FUNCNAME[0]}: of a live shard" "$live.*in use.*end its run" \
        "$run" "$live"
    end_run "$work" || not_ok "${FUNCNAME[0]}" "left: $(processes_of "$work")"
}

# Two shards, killed again and again; then the other runs may go.
killed_shards_have_every_row_once() {
    local run=$work/killed all i n first second
    all=$(($(rows_of "$one") + $(rows_of "$two")))
    start_learner "$run" --replay_size=100000 --shards=2
    for ((i = 0; i < 12; i++)); do
        start_shard "$run" 0
        first=$shard
        start_shard "$run" 1
        sleep "0.0$((i % 10))"
        kill -9 "$first" "$shard"
        wait "$first" "$shard" 2>/dev/null
    done
    start_shard "$run" 0
    first=$shard
    start_shard "$run" 1
    if ! within 60 status_says "$run" '^shards 2'; then
        not_ok "${FUNCNAME[0]}" "not listed: $(tail -n 3 "$run".shard-?.log)"
        return
    fi
    n=$(rows_of "$run" "$imported")
    second=$("$ring_dump" "$run/replay/shard-1.ring" |
        awk '{ n += $4 } END { print n }')
    if ((n != all || $(bad_batches_of "$run") != 0)); then
        not_ok "${FUNCNAME[0]}" "$n rows of $all, $(bad_batches_of "$run") bad"
    elif ! status_says "$run" "stored $second present $second " ||
        ((second < all / 2 - 3 || second > all / 2 + 3)); then
        not_ok "${FUNCNAME[0]}" "shard 1 has $second of $all rows"
    else
        ok "${FUNCNAME[0]} ($all rows)"
    fi
    # on record: neither needed nor read again
    mv "$one" "$one.gone"
    kill -9 "$first"
    wait "$first" 2>/dev/null
    start_shard "$run" 0
    if within 60 grep -q 'imported before' "$run.shard-0.log" &&
        within 60 status_says "$run" '^shards 2'; then
        ok "${FUNCNAME[0]}, and need the other runs no more"
    else
        not_ok "${FUNCNAME[0]}, and need the other runs no more" \
            "$(tail -n 3 "$run.shard-0.log")"
    fi
    mv "$one.gone" "$one"
    end_run "$run" || not_ok "${FUNCNAME[0]}" "left: $(processes_of "$run")"
}

# --actors=0 from the launcher: it says what it waits for, which an evaluator
# does not end, learns from imported rows alone, and is evaluated.
a_run_without_actors_learns_from_them() {
    local run=$work/quiet guest status all
    all=$(($(rows_of "$one") + $(rows_of "$two")))
    launch "$run" --actors=0 --ratio=0 --max_updates=400 --import="$sources" \
        --evaluators=1 --evaluate_every=100
    within 60 grep -qs welcome "$run/logs/evaluator-0.log"
    sleep 1.5 # it is ready, and says so again after 1 s
    if ! within 60 status_says "$run" 'waiting for the first actor'; then
        not_ok "${FUNCNAME[0]}" "says: $("$learner" --status="$run" | grep waiting)"
    fi
    # it brings the shapes and goes before the shard is listed
    "$actor" --join="$run" --run_dir="$run" 2>"$run.actor.log" &
    guest=$!
    within 30 grep -q 'observations of 2' "$run/logs/learner.log"
    kill -9 "$guest"
    wait "$guest" 2>/dev/null
    finish "$launcher" 120
    if [[ $status != 0 || $(updates_of "$run") != 400 ]]; then
        not_ok "${FUNCNAME[0]}" \
            "status $status, updates $(updates_of "$run"): $(tail -n 3 "$run.err")"
    elif (($(rows_of "$run" "$imported") != all)); then
        not_ok "${FUNCNAME[0]}" "$(rows_of "$run" "$imported") rows of $all"
    elif ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]}" 'no complete evaluation.json'
    elif ! grep -q ',evaluator-0,' "$run/evaluations.csv"; then
        not_ok "${FUNCNAME[0]}" "no turn: $(tail -n 3 "$run/logs/evaluator-0.log")"
    elif grep -q 'updates [1-9].*waiting for actors' "$run.out"; then
        not_ok "${FUNCNAME[0]}" 'waits for actors'
    else
        ok "${FUNCNAME[0]}"
    fi
}

the_option_is_in_help
make_sources
what_cannot_be_imported_is_refused
killed_shards_have_every_row_once
a_run_without_actors_learns_from_them
summary
