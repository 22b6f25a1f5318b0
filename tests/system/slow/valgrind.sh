#!/bin/bash
# One short run of each program under valgrind: no error, nothing leaked.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../lib.bash"

run=$work/run
options=("${small[@]:1}" --max_updates=60 --warmup=64 --environments=2
    --evaluation_episodes=3 --dead_after=60 --resend_after=20
    --sample_timeout=20 --orphan_after=120)

# valgrind, status 99 for an error or a block that nothing points to any more
watched() { # log, program, arguments...
    local log=$1 name=$2
    shift 2
    valgrind -q --error-exitcode=99 --leak-check=full \
        --errors-for-leak-kinds=definite,indirect \
        --show-leak-kinds=definite,indirect --log-file="$work/$log.valgrind" \
        "$(program "$name")" "$@" >"$work/$log.out" 2>"$work/$log.err" </dev/null
}

verdict() { # program, its status, log
    if [[ $2 == 0 ]]; then
        ok "$1_is_clean_under_valgrind"
    else
        not_ok "$1_is_clean_under_valgrind" "status $2: $(
            cat "$work/$3.valgrind" "$work/$3.err" | head -n 30)"
    fi
}

whole_run() {
    local learner shard actor status
    mkdir -p "$run" # the peers look for it before the learner is up
    watched learner softq-learner --run_dir="$run" "${options[@]}" &
    learner=$!
    watched shard softq-replay --run_dir="$run" --join="$run" --dead_after=60 &
    shard=$!
    watched actor softq-actor --run_dir="$run" --join="$run" --dead_after=60 &
    actor=$!
    finish "$learner" 300
    verdict learner "$status" learner
    finish "$shard" 60
    verdict shard "$status" shard
    finish "$actor" 60
    verdict actor "$status" actor
}

evaluation() {
    local status
    watched evaluate softq-actor --evaluate="$run" --episodes=3 \
        --traces="$work/traces.csv"
    status=$?
    verdict evaluation "$status" evaluate
}

if ! command -v valgrind >/dev/null; then
    skip valgrind 'valgrind is not installed'
elif [[ $(meson introspect --buildoptions "$build" 2>/dev/null) == *address* &&
    $build == *san* ]]; then
    skip valgrind 'this build has sanitisers of its own'
else
    whole_run
    evaluation
fi
summary
