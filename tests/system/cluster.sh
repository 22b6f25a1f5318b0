#!/bin/bash
# deploy/cluster.sh on four hosts, network namespaces with an sshd each: what its
# checks say, a run with keys over all of them, a host that is cut off, stop,
# resume, fetch. Skipped by name where namespaces or sshd are not to be had.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/chaos/net.bash
. "$here/../chaos/net.bash"
enter_namespaces "$@"
# shellcheck source=tests/system/lib.bash
. "$here/lib.bash"
# shellcheck source=tests/system/ssh.bash
. "$here/ssh.bash"

mkdir "$work/here"
cd "$work/here" || exit 1
run=$work/here/run remote=$work/hub/runs/run
all=(hub box lab den)

cluster=("$root/deploy/cluster.sh" --no-install "--ssh_config=$work/ssh_config")
cluster() { "${cluster[@]}" "$@"; }

# Four hosts: hub (learner, shard), box (shard), two of actors.
write_hosts() { # line of [lab]...
    cat >"$work/hosts.ini" <<HOSTS
[hub]
folder = $work/hub
learner = yes
shards = 1
cores = 0

[box]
folder = $work/box
shards = 1
replay_dir = $work/box/scratch

[lab]
folder = $work/lab
actors = 2
$(printf '%s\n' "$@")

[den]
folder = $work/den
actors = 1
memory = 4G
HOSTS
}

# Status 2 and one line of stderr that has both words; further lines are others'.
complains() { # name, host, word, arguments...
    local name=$1 host=$2 word=$3 status
    shift 3
    timeout -k 2 60 "${cluster[@]}" "$work/hosts.ini" multigoal --check "$@" \
        >"$work/out" 2>"$work/err"
    status=$?
    if [[ $status == 2 ]] && grep "^cluster: $host: " "$work/err" |
        grep -qF -- "$word"; then
        ok "$name"
    else
        not_ok "$name" "status $status: $(cat "$work/out" "$work/err")"
    fi
}

# -- the hosts file --

wrong_hosts_files_are_refused() {
    local line word
    while IFS='|' read -r line word; do
        write_hosts "$line"
        refuses "hosts file: $line" "$work/hosts.ini:15: " \
            "${cluster[@]}" "$work/hosts.ini" multigoal --check
        grep -qF -- "$word" "$work/err" || not_ok "hosts file: $line" \
            "no '$word' in $(cat "$work/err")"
    done <<'LINES'
actor = 3|allowed are address, user, port
actors = 3|stands there twice
shards = many|allowed is 0 to 256
cores = all|as 0-3,6
memory = 8 GB|as 8G
port = 70000|1 to 65535
replay_dir = scratch|an absolute path
learner|allowed are [NAME] and KEY = VALUE
[hub]|one section a host
LINES
    write_hosts 'learner = yes'
    refuses 'hosts file: two learners' '[hub] and [lab] have learner = yes' \
        "${cluster[@]}" "$work/hosts.ini" multigoal --check
}

# -- checks --

checks_pass() {
    write_hosts
    if cluster "$work/hosts.ini" multigoal --check >"$work/out" 2>"$work/err" &&
        [[ $(grep -c '^[a-z]*: .*glibc' "$work/out") == 4 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    fi
}

checks_fail_in_words() {
    local taken
    cut_off lab
    complains 'a host that is down' lab 'is it up, and reachable'
    mend_cut_off lab
    write_hosts 'port = 2222'
    complains 'no sshd on that port' lab 'no sshd answers'
    write_hosts 'user = nobody'
    complains 'a key that is not let in' lab 'ssh-copy-id'
    write_hosts 'address = nowhere.invalid'
    complains 'an unknown name' lab 'is unknown here'
    write_hosts
    ip netns exec box "$(command -v sshd)" -D -f "$work/box/sshd_config" \
        -o ListenAddress=10.77.0.11:5561 2>/dev/null &
    taken=$!
    within 5 listens box 5561
    complains 'a port in use' box 'port 5561 is in use'
    kill "$taken"
    write_hosts 'cores = 512'
    complains 'cores that are not there' lab 'cores = 512'
    write_hosts 'memory = 900T'
    complains 'memory that is not there' lab 'memory = 900T'
    write_hosts "programs = $work/older"
    mkdir "$work/older"
    printf '#!/bin/sh\necho softq-learner 0.0.9\n' >"$work/older/softq-learner"
    chmod +x "$work/older/softq-learner"
    complains 'an older version' lab 'has the older version 0.0.9'
    write_hosts
    on_host box mount -t tmpfs -o size=1m tmpfs "$work/box/scratch"
    complains 'a full disk' box 'its rings take'
    on_host box umount "$work/box/scratch"
}

# -- a run --

launch_all() { # run, options...
    local run=$1
    shift
    write_hosts
    env --default-signal=INT "${cluster[@]}" "$work/hosts.ini" multigoal \
        "--run_dir=$run" --units=32 \
        --value_particles=8 --particles_fixed=4 --particles_moved=4 \
        --minibatch=16 --warmup=200 --replay_size=100000 --max_updates=0 \
        --checkpoint_seconds=1 --dead_after=2 "$@" \
        >"$run.out" 2>"$run.err" &
    launcher=$!
}

# Of softq there, sshd and what is ours beside it not counted.
softq_of() { # host
    local pid
    for pid in $(ip netns pids "$1"); do
        [[ $(readlink "/proc/$pid/exe") != */softq-* ]] || echo "$pid"
    done
}

process_counts() {
    local h counts=''
    for h in "${all[@]}"; do counts+=" $(softq_of "$h" | wc -l)"; done
    echo "${counts# }"
}

a_run_goes_on_over_four_hosts() {
    launch_all "$run"
    if ! within 60 has_updates "$remote" 100; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 20 "$run.out" "$run.err" \
            "$work"/*/runs/run/logs/*.log)"
        exit 1
    fi
    if [[ $(process_counts) != '2 1 2 1' ]]; then
        not_ok "${FUNCNAME[0]}" "processes: $(process_counts)"
    elif ! compgen -G "$work/box/scratch/run/shard-1.ring" >/dev/null; then
        not_ok "${FUNCNAME[0]}" 'no ring in replay_dir'
    elif ! within 10 grep -q 'updates/s' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "follows nothing: $(cat "$run.out" "$run.err")"
    else
        ok "${FUNCNAME[0]}"
    fi
}

limits_hold() {
    local pid
    pid=$(softq_of hub | head -n 1)
    if [[ $(taskset -cp "$pid") == *': 0' ]] &&
        grep -q '^Max address space *4294967296' \
            "/proc/$(softq_of den | head -n 1)/limits"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(taskset -cp "$pid")"
    fi
}

# Each host's secret is on that host alone, and keys are asked for.
secrets_stay() {
    local h bad=''
    for h in "${all[@]}"; do
        [[ $(stat -c %a "$work/$h/runs/run/keys/secret") == 600 ]] || bad+=" $h"
        grep -rqF -- "$(<"$work/$h/runs/run/keys/secret")" "$run" \
            "$work"/*/runs/run/keys/allowed && bad+=" $h told"
    done
    if [[ -n $bad || $(grep -c . "$run/keys/allowed") != 4 ]]; then
        not_ok "${FUNCNAME[0]}" "$bad: $(ls -l "$work"/*/runs/run/keys)"
    elif "$(program softq-learner)" --status=tcp://10.77.0.10:5550 \
        >"$work/out" 2>&1; then
        not_ok "${FUNCNAME[0]}" 'the learner answers without a key'
    else
        ok "${FUNCNAME[0]}"
    fi
}

ctrl_c_leaves_it_going() {
    kill -INT "$launcher"
    finish "$launcher" 10
    if [[ $status != 0 ]] || ! grep -q 'come back: ' "$run.out"; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 5 "$run.out" "$run.err")"
    elif ! goes_on "$remote"; then
        not_ok "${FUNCNAME[0]}" 'no more updates'
    else
        ok "${FUNCNAME[0]}"
    fi
}

# The shard is missed and comes back with its host; the learner goes on.
a_cut_host_comes_back() {
    cut_off box
    sleep $((4 * pace))
    if ! goes_on "$remote"; then
        not_ok "${FUNCNAME[0]}" 'no updates without box'
    fi
    cluster status "$run" >"$work/out" 2>"$work/err"
    if [[ $? != 1 ]] || ! grep -q '^cluster: box: ' "$work/err" ||
        ! grep -q 'shard 1 .*dead' "$work/out"; then
        not_ok "${FUNCNAME[0]}" "status: $(cat "$work/out" "$work/err")"
    fi
    mend_cut_off box
    if within 20 status_says 'shards_live 2\|2 shards' || true; then
        ok "${FUNCNAME[0]}"
    fi
}

status_says() { # pattern
    cluster status "$run" >"$work/out" 2>"$work/err" && grep -q "$1" "$work/out"
}

logs_are_told() {
    if cluster logs "$run" box >"$work/out" 2>"$work/err" &&
        grep -q '^box: .*shard-1' "$work/out" && ! grep -q '^hub' "$work/out"; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    fi
}

stop_leaves_no_process() {
    if ! cluster stop "$run" >"$work/out" 2>"$work/err"; then
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    elif [[ $(process_counts) != '0 0 0 0' ]] || ! gone /runs/run/; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of /runs/run/)"
    elif ! compgen -G "$remote/checkpoints/*" >/dev/null; then
        not_ok "${FUNCNAME[0]}" 'no checkpoint'
    else
        ok "${FUNCNAME[0]}"
    fi
}

a_missing_library_is_named() {
    local lib
    lib=$(echo "$work"/lab/bundles/*/lib/libuv.so.1)
    mv "$lib" "$lib.away"
    : >"$lib" # without it the system's own would do
    complains 'a missing library' lab 'libuv.so.1: file too short: remove'
    mv "$lib.away" "$lib"
}

resume_goes_on() {
    local at
    at=$(updates_of "$remote")
    cluster resume "$run" "--max_updates=$((at + 500))" >"$run.out" 2>"$run.err" &
    finish $! 90
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 5 "$run.out" "$run.err")"
    elif [[ $(updates_of "$remote") != $((at + 500)) ]]; then
        not_ok "${FUNCNAME[0]}" "$(updates_of "$remote") updates after $at"
    elif ! within 5 gone /runs/run/; then
        not_ok "${FUNCNAME[0]}" "left: $(processes_of /runs/run/)"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# It came by itself at the end: what is here can be played and drawn.
fetched_runs_can_be_played() {
    rm -rf "$run/checkpoints" "$run/logs"
    if ! cluster fetch "$run" >"$work/out" 2>"$work/err"; then
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    elif ! "$root/deploy/evaluate.sh" "$run" --episodes=5 >"$work/out" 2>&1 ||
        ! has_evaluation "$run"; then
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out")"
    elif ! "$root/deploy/plot.sh" "$run" >"$work/out" 2>&1; then
        not_ok "${FUNCNAME[0]}" "plot: $(tail -n 3 "$work/out")"
    elif [[ ! -s $run/logs/box/shard-1.log || ! -s $run/progress.csv ||
        -e $run/keys/secret ]] || compgen -G "$run/replay/*" >/dev/null; then
        not_ok "${FUNCNAME[0]}" "$(find "$run" -type f)"
    else
        ok "${FUNCNAME[0]}"
    fi
}

why=$(no_hosts_because)
if [[ -n $why ]]; then
    skip 'a run over four hosts' "$why"
    exit 0
fi
if ! make_ssh_hosts "${all[@]}" 2>"$work/hosts.err"; then
    skip 'a run over four hosts' "no hosts: $(tail -n 1 "$work/hosts.err")"
    exit 0
fi
wrong_hosts_files_are_refused
checks_pass
checks_fail_in_words
a_run_goes_on_over_four_hosts
limits_hold
secrets_stay
ctrl_c_leaves_it_going
a_cut_host_comes_back
logs_are_told
stop_leaves_no_process
a_missing_library_is_named
resume_goes_on
fetched_runs_can_be_played
summary
