#!/bin/bash
# A replay shard as a process: its exit statuses, its file under kill -9.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

replay=$(program softq-replay) actor=$(program softq-actor)
learner=$(program softq-learner)

# Exit status of the shard with these options, its lines in $work/err.
status_of() {
    timeout $((60 * pace)) "$replay" "$@" 2>"$work/err"
    echo $?
}

expect() { # case, status, its expectation, a word that stderr must hold
    if [[ $2 != "$3" ]]; then
        not_ok "$1" "status $2 instead of $3: $(tail -n 2 "$work/err")"
    elif ! grep -q -- "$4" "$work/err"; then
        not_ok "$1" "does not say '$4': $(tail -n 2 "$work/err")"
    else
        ok "$1"
    fi
}

start_learner() { # run, options...
    local run=$1
    shift
    "$learner" --run_dir="$run" --task=multigoal --units=32 --minibatch=16 \
        --value_particles=8 --particles_fixed=4 --particles_moved=4 \
        --warmup=200 --ratio=0.1 --replay_size=1000000 --progress=none \
        --resend_after=0.3 "$@" 2>>"$run.learner.log" &
    within 30 test -e "$run/address"
}

start_actor() { # run, options...
    local run=$1
    shift
    "$actor" --join="$run" --run_dir="$run" --name=actor-0 "$@" \
        2>>"$run.actor.log" &
}

start_shard() { # run; its pid in $shard
    local run=$1
    shift
    "$replay" --join="$run" --run_dir="$run" "$@" 2>>"$run.shard.log" &
    shard=$!
}

end_run() { # everything of it, softly; true when all is gone
    local pid
    for pid in $(processes_of "$1" | cut -d' ' -f1); do
        kill -TERM "$pid" 2>/dev/null
    done
    within 30 gone "$1"
}

wrong_options_are_one_line() {
    expect "${FUNCNAME[0]}: no --join" "$(status_of)" 2 'nowhere to join'
    expect "${FUNCNAME[0]}: no such run" \
        "$(status_of --join="$work/missing")" 2 "$work/missing"
    expect "${FUNCNAME[0]}: no --run_dir" \
        "$(status_of --join=ipc://"$work"/s)" 2 'run_dir'
    expect "${FUNCNAME[0]}: not a number" "$(status_of --index=x)" 2 'index'
}

catches_sigterm() { # pid
    local caught
    caught=$(sed -n 's/^SigCgt:\t//p' "/proc/$1/status")
    [[ $(readlink "/proc/$1/exe") == */softq-replay ]] &&
        ((0x${caught:-0} & 1 << 14))
}

sigterm_means_0() {
    local run=$work/term
    mkdir "$run"
    "$replay" --join="$run" 2>"$work/err" &
    within 30 catches_sigterm $!
    kill -TERM $!
    wait $!
    expect "${FUNCNAME[0]}" $? 0 'stopping: SIGTERM'
}

closed_lifeline_means_0() {
    local run=$work/line
    mkdir "$run"
    sleep 0.5 | status_of --join="$run" --lifeline=0 >"$work/status"
    expect "${FUNCNAME[0]}" "$(<"$work/status")" 0 'launcher is gone'
}

orphan_says_what_it_waited_for() {
    local run=$work/orphan
    mkdir "$run"
    expect "${FUNCNAME[0]}" "$(status_of --join="$run" --orphan_after=1)" 2 \
        "no learner's address in $run/address"
}

one_process_an_index() {
    local run=$work/twins
    start_learner "$run"
    start_actor "$run" --ledger="$run.ledger"
    start_shard "$run"
    within 60 has_acks "$run" 5 ||
        not_ok "${FUNCNAME[0]}" 'no batch was acknowledged'
    expect "${FUNCNAME[0]}" \
        "$(status_of --join="$run" --run_dir="$run" --name=other)" 2 'in use'
    kill -0 "$shard" 2>/dev/null ||
        not_ok "${FUNCNAME[0]}" 'the first one is gone'
    end_run "$run" || not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
}

ring_of_another_run_is_refused() {
    local run=$work/another
    start_learner "$run"
    start_actor "$run"
    cp "$work/twins/replay/shard-0.ring" "$run/replay/"
    expect "${FUNCNAME[0]}" "$(status_of --join="$run" --run_dir="$run")" 2 \
        'of another run'
    end_run "$run" || not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
}

# Cut under the shard: named, restarted in vain.
cut_file_is_named() {
    local run=$work/cut
    start_learner "$run"
    start_actor "$run" --ledger="$run.ledger"
    start_shard "$run"
    within 60 has_acks "$run" 5 ||
        not_ok "${FUNCNAME[0]}" 'no batch was acknowledged'
    truncate -s 4096 "$run/replay/shard-0.ring"
    wait "$shard"
    local status=$?
    cp "$run.shard.log" "$work/err"
    expect "${FUNCNAME[0]}: while it runs" "$status" 1 "SIGBUS.*shard-0.ring"
    expect "${FUNCNAME[0]}: at its start" \
        "$(status_of --join="$run" --run_dir="$run")" 2 'cut'
    end_run "$run" || not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
}

# What an actor was told is stored is there, once, whole.
kill_9_loses_nothing_acknowledged() {
    local run=$work/killed kills=12 i n status
    start_learner "$run"
    start_actor "$run" --ledger="$run.ledger"
    start_shard "$run"
    for ((i = 1; i <= kills; i++)); do
        n=$(acks_of "$run")
        if ! within 60 has_acks "$run" $((n + 3)); then
            not_ok "${FUNCNAME[0]}" "stands still after $i: \
$(tail -n 3 "$run.shard.log" "$run.actor.log")"
            end_run "$run"
            return
        fi
        sleep 0.0$((RANDOM % 10))
        kill -9 "$shard"
        wait "$shard" 2>/dev/null
        start_shard "$run"
    done
    n=$(acks_of "$run")
    within 60 has_acks "$run" $((n + 100))
    end_run "$run" || not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
    passes_audit "$run"
    status=$?
    n=$(audited "$run" acked_batches)
    if ((status == 0 && n > 100)); then
        ok "${FUNCNAME[0]} ($kills kills, $n batches)"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 40 "$run.audit")"
    fi
}

# "STEPS DROPPED", both of one heartbeat.
steps_and_dropped() { # run
    "$learner" --status="$1" 2>/dev/null |
        awk '$1 == "actor" { for (i = 4; i < NF; i += 2) n[$i] = $(i + 1)
            print n["steps"], n["dropped"] }'
}

steps_and_drops_on() { # run, "STEPS DROPPED" of before
    after=$(steps_and_dropped "$1")
    [[ $after =~ ^[0-9]+\ [0-9]+$ ]] &&
        ((${after% *} > ${2% *} + 1000 && ${after#* } > ${2#* }))
}

# on_full = drop: a shard that stands still (and is not dead yet) stops neither
# the steps nor, once it goes on, what was sent.
an_actor_that_cannot_wait_drops_rows() {
    local run=$work/drop shard before after acts
    launch "$run" --on_full=drop --ratio=1 --replay_size=400000 \
        --dead_after=60 --ledger="$run.ledger"
    within 60 has_updates "$run" 100
    shard=$(pids_of "$run" softq-replay)
    kill -STOP "$shard"
    sleep 1.5 # a heartbeat's time
    before=$(steps_and_dropped "$run")
    within 20 steps_and_drops_on "$run" "$before"
    acts=$?
    kill -CONT "$shard"
    goes_on "$run" || not_ok "${FUNCNAME[0]}" 'no updates after the heal'
    kill -INT "$launcher"
    finish "$launcher" 30
    if [[ ! $before =~ ^[0-9]+\ [0-9]+$ || $acts != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "steps and dropped: $before, then $after"
    elif [[ $status != 0 ]] || ! passes_audit "$run"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(<"$run.audit")"
    elif (($(audited "$run" acked_batches) < 10)); then
        not_ok "${FUNCNAME[0]}" 'hardly anything was acknowledged'
    elif ! grep -q 'rows dropped' "$run/logs/actor-0.log"; then
        not_ok "${FUNCNAME[0]}" 'its log says nothing'
    elif (($(grep -c 'rows dropped' "$run/logs/actor-0.log") > 4)); then
        not_ok "${FUNCNAME[0]}" 'its log says it too often'
    else
        ok "${FUNCNAME[0]} ($(audited "$run" acked_batches) batches, ${after#* } rows dropped)"
    fi
}

wrong_options_are_one_line
sigterm_means_0
closed_lifeline_means_0
orphan_says_what_it_waited_for
one_process_an_index
ring_of_another_run_is_refused
cut_file_is_named
kill_9_loses_nothing_acknowledged
an_actor_that_cannot_wait_drops_rows
summary
