#!/bin/bash
# Keys as a user makes them: three hosts (three folders), a run over tcp with
# keys, who is let in, who is kept out and told why, and what a change of the
# list does to a live run.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/lib.bash"

run=$work/run port=$((24000 + RANDOM % 5500)) # garbage.sh has others
address=tcp://127.0.0.1:$port

keys() { # folder, command...
    "$root/deploy/keys.sh" "--keys=$work/$1" "${@:2}" 2>>"$work/keys.err"
}

key_of() { # folder
    cat "$work/$1/public"
}

copy_list() {
    cp "$work/hub/allowed" "$work/box/allowed"
    cp "$work/hub/allowed" "$work/lab/allowed"
    cp "$work/hub/allowed" "$work/stranger/allowed"
}

# The header of deploy/keys.sh: new on each, allow on one, copy.
three_hosts_exchange_keys() {
    local line
    if ! keys hub new --name=hub --roles=learner,actor,observer >"$work/line" ||
        ! keys box new --name=box --roles=shard >/dev/null ||
        ! keys lab new --name=lab --roles actor >/dev/null ||
        ! keys stranger new --name=stranger >/dev/null; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 1 "$work/keys.err")"
        exit 1
    fi
    read -r -a line < <(keys box show)
    keys hub allow "${line[@]}"
    read -r -a line < <(keys lab show)
    keys hub allow "${line[@]}"
    copy_list
    if [[ $(stat -c %a "$work/hub" "$work/hub/secret" | xargs) != '700 600' ]]; then
        not_ok "${FUNCNAME[0]}" "modes $(stat -c %a "$work/hub"/* | xargs)"
    elif [[ $(cat "$work/line") != "$(key_of hub) hub learner,actor,observer" ]]; then
        not_ok "${FUNCNAME[0]}" "printed $(cat "$work/line")"
    elif [[ $(keys hub list | grep -c .) != 3 ]] || ! keys hub check >/dev/null; then
        not_ok "${FUNCNAME[0]}" "$(keys hub list)"
    elif grep -qrFf "$work/hub/secret" "$work/line" "$work/keys.err" \
        "$work"/*/allowed "$work"/*/public; then
        not_ok "${FUNCNAME[0]}" 'a secret is where it does not belong'
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_wrong_list_is_refused() {
    local before
    before=$(<"$work/hub/allowed")
    refuses 'a_wrong_key_is_not_allowed' '64 hexadecimal digits' \
        "$root/deploy/keys.sh" "--keys=$work/hub" allow 1234 x actor
    refuses 'a_wrong_role_is_not_allowed' 'learner, actor, shard' \
        "$root/deploy/keys.sh" "--keys=$work/hub" allow "$(key_of stranger)" x boss
    refuses 'a_second_learner_is_not_allowed' 'hub is the learner already' \
        "$root/deploy/keys.sh" "--keys=$work/hub" allow "$(key_of stranger)" x \
        learner
    refuses 'a_second_pair_is_not_made' 'is there already' \
        "$root/deploy/keys.sh" "--keys=$work/hub" new
    refuses 'nobody_is_removed_by_a_wrong_name' 'has no lba' \
        "$root/deploy/keys.sh" "--keys=$work/hub" remove lba
    [[ $before == "$(<"$work/hub/allowed")" ]] ||
        not_ok "${FUNCNAME[0]}" 'the list has changed'
}

folders_in_disorder_are_refused() {
    local learner
    learner=("$(program softq-learner)" --task=multigoal
        --run_dir="$work/other" --transport=tcp --port=$((port + 100)))
    chmod 640 "$work/lab/secret"
    refuses a_readable_secret_is_refused "chmod 600 $work/lab/secret" \
        "${learner[@]}" --keys="$work/lab"
    chmod 600 "$work/lab/secret"
    chmod 750 "$work/lab"
    refuses an_open_folder_is_refused "chmod 700 $work/lab" \
        "$(program softq-actor)" --join="$address" --keys="$work/lab"
    chmod 700 "$work/lab"
    refuses a_missing_folder_is_refused 'deploy/keys.sh new' \
        "$(program softq-replay)" --join="$address" --run_dir="$work/other" \
        --transport=tcp --keys="$work/none"
    refuses an_open_port_wants_keys 'deploy/keys.sh' "${learner[@]}" --bind=0.0.0.0
}

# The run: learner and actor of the hub, a shard of the box.
start_run() {
    "$(program softq-learner)" "${learning[@]}" --run_dir="$run" \
        --transport=tcp --bind=0.0.0.0 --advertise=127.0.0.1 --port="$port" \
        --keys="$work/hub" >"$run.out" 2>"$run.learner" </dev/null &
    learner_pid=$!
    "$(program softq-replay)" --join="$address" --run_dir="$run.box" \
        --transport=tcp --port="$port" --keys="$work/box" \
        >"$run.shard" 2>&1 </dev/null &
    peer "$work/hub" hub-actor
}

learning=(--task=multigoal)
for option in "${small[@]}"; do
    [[ $option == --no-install || $option == --idle_priority* ]] ||
        learning+=("$option")
done

peer() { # keys folder, name, further options: an actor in the background
    "$(program softq-actor)" --join="$address" ${1:+--keys="$1"} \
        --name="$2" --run_dir="$run" "${@:3}" >"$run.$2" 2>&1 </dev/null &
    peer_pid=$!
}

status_says() { # name
    "$root/deploy/status.sh" "$run" 2>>"$work/status.err" |
        sed -n "s/^$1 //p"
}

messages_are_refused() {
    (($(status_says keys_messages_refused) > 0))
}

has_actors() {
    [[ $(status_says actors) == "$1" ]]
}

said() { # file, words
    grep -qF -- "$2" "$1"
}

ended_with() { # pid, status, within 30 s
    local status
    finish "$1" 30
    [[ $status == "$2" ]]
}

a_run_with_keys_trains() {
    start_run
    if within 60 has_updates "$run" 50; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 2 "$run".learner "$run".shard \
            "$run".hub-actor)"
        exit 1
    fi
}

# Unknown, without any, with another learner's, with another role's: each waits,
# says why, and gives up. All at once, as it takes them some seconds.
strangers_are_kept_out() {
    local pids=() who before strangers=(unknown keyless misled box-actor)
    before=$(status_says actors)
    mkdir -m 700 "$work/misled"
    cp -p "$work/lab/secret" "$work/misled"
    sed "s/^$(key_of hub) hub/$(key_of stranger) hub/" "$work/lab/allowed" \
        >"$work/misled/allowed"
    peer "$work/stranger" unknown --orphan_after=6 && pids+=("$peer_pid")
    peer '' keyless --orphan_after=6 && pids+=("$peer_pid")
    peer "$work/misled" misled --orphan_after=6 && pids+=("$peer_pid")
    peer "$work/box" box-actor --orphan_after=6 && pids+=("$peer_pid")
    names_belong_to_keys # meanwhile
    for who in "${strangers[@]}"; do
        if ! within 30 said "$run.$who" 'waiting for the learner for 5 s' ||
            ! said "$run.$who" 'key refused'; then
            not_ok "${FUNCNAME[0]} ($who)" "$(tail -n 2 "$run.$who")"
        elif ! ended_with "${pids[0]}" 2; then
            not_ok "${FUNCNAME[0]} ($who)" 'it does not end with status 2'
        else
            ok "${FUNCNAME[0]} ($who)"
        fi
        pids=("${pids[@]:1}")
    done
    if [[ $(status_says actors) != "$before" ]]; then
        not_ok strangers_are_no_actors "$(status_says actors)"
    elif (($(status_says keys_refused) < 3)); then
        not_ok strangers_are_counted "$(status_says keys_refused)"
    elif ! said "$run.learner" "key $(key_of stranger) is not in" ||
        ! said "$run.learner" 'the key of box is that of shard: it may not'; then
        not_ok strangers_are_logged "$(tail -n 3 "$run.learner")"
    else
        ok strangers_are_counted_and_logged
    fi
    refuses status_without_a_key_is_refused 'key refused' \
        "$(program softq-learner)" --status="$address"
}

names_belong_to_keys() {
    peer "$work/lab" hub-actor-2 --name=hub-actor
    if ! ended_with "$peer_pid" 2 ||
        ! said "$run.hub-actor-2" 'belongs to another key'; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 2 "$run.hub-actor-2")"
    elif ! grep -q "^name hub-actor actor $(key_of hub)$" "$run/state"; then
        not_ok "${FUNCNAME[0]}" "$(grep '^name' "$run/state")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# On a live connection, at learner and shard.
a_removed_key_goes_at_once() {
    peer "$work/lab" lab-actor --orphan_after=60
    local lab=$peer_pid
    if ! within 60 has_actors 2; then
        not_ok "${FUNCNAME[0]}" "it never came: $(tail -n 2 "$run.lab-actor")"
        return
    fi
    keys hub remove lab
    copy_list
    if ! keys hub reload "$run" >/dev/null ||
        ! keys hub reload "$run.box" >/dev/null; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 1 "$work/keys.err")"
    elif ! within 30 said "$run.learner" 'actor lab-actor goes' ||
        ! within 30 said "$run.lab-actor" 'key refused'; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 2 "$run".{learner,lab-actor})"
    elif ! within 10 messages_are_refused; then
        not_ok "${FUNCNAME[0]}" 'no message was counted'
    else
        ok "${FUNCNAME[0]}"
    fi
    keys hub allow "$(key_of lab)" lab actor
    copy_list
    keys hub reload "$run" >/dev/null && keys hub reload "$run.box" >/dev/null
    if within 60 has_actors 2; then
        ok and_is_taken_back
    else
        not_ok and_is_taken_back "$(tail -n 2 "$run.lab-actor")"
    fi
    echo nonsense >>"$work/hub/allowed"
    kill -HUP "$learner_pid"
    if within 30 said "$run.learner" 'the list in force stays' &&
        goes_on "$run"; then
        ok a_bad_list_changes_nothing
    else
        not_ok a_bad_list_changes_nothing "$(tail -n 2 "$run.learner")"
    fi
    copy_list
    kill "$lab"
}

# Or a host with new keys could not use its names again.
a_removed_key_leaves_its_names() {
    sed -i /nonsense/d "$work/hub/allowed"
    keys hub remove lab
    copy_list
    keys hub reload "$run" >/dev/null
    : >"$run.hub-actor-3"
    peer "$work/hub" hub-actor-3 --name=lab-actor
    if within 60 said "$run.hub-actor-3" 'welcome: rank' &&
        within 30 grep -q "^name lab-actor actor $(key_of hub)$" "$run/state"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(tail -n 2 "$run.hub-actor-3")"
    fi
}

no_secret_is_told() {
    local dir host secrets=$work/secrets
    for host in hub box lab; do cat "$work/$host/secret"; done >"$secrets"
    if grep -rqFf "$secrets" "$run" "$run".* "$work"/*.err 2>/dev/null; then
        not_ok "${FUNCNAME[0]}" 'in a file of the run'
    elif processes_of "$run" | grep -qFf "$secrets"; then
        not_ok "${FUNCNAME[0]}" 'a process shows one'
    else
        ok "${FUNCNAME[0]}"
    fi
    for dir in $(processes_of "$work" | cut -d' ' -f1); do
        ! tr '\0' '\n' 2>/dev/null <"/proc/$dir/environ" | grep -qFf "$secrets" ||
            not_ok "${FUNCNAME[0]}" "in the environment of $dir"
    done
}

it_ends_well() {
    kill "$learner_pid"
    if ended_with "$learner_pid" 0 && within 10 gone "$run"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
    fi
}

# One machine, one folder: the launcher does the rest, also after kill -9 and in
# a resumed run, whose keys are named by its config.ini.
a_launch_takes_keys() {
    local one=$work/one status
    keys alone new --name=alone >/dev/null
    launch "$one" --transport=tcp --port=$((port + 300)) --shards=2 \
        --keys="$work/alone" --replay_size=2000000 --ledger="$one.ledger"
    if ! within 60 has_updates "$one" 50; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 3 "$one.err")"
        return
    fi
    kill -9 "$(pids_of "$one" softq-learner | head -n 1)" \
        "$(pids_of "$one" softq-replay | head -n 1)"
    sleep 2
    goes_on "$one" || not_ok "${FUNCNAME[0]}" 'it stands still after kill -9'
    end_by_limit "$one"
    if [[ $status != 0 ]] || ! has_evaluation "$one"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$one.err")"
    elif ! grep -q "^name actor-0 actor $(key_of alone)$" "$one/state"; then
        not_ok "${FUNCNAME[0]}" "without: $(grep '^name' "$one/state")"
    elif ! passes_audit "$one"; then
        not_ok "${FUNCNAME[0]}" "$(<"$one.audit")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

three_hosts_exchange_keys
a_wrong_list_is_refused
folders_in_disorder_are_refused
a_run_with_keys_trains
strangers_are_kept_out
names_belong_to_keys
a_removed_key_goes_at_once
a_removed_key_leaves_its_names
no_secret_is_told
it_ends_well
a_launch_takes_keys
summary
