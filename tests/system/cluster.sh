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

mkdir -m 700 "$work/here"
export XDG_RUNTIME_DIR=$work/here # connections end with the test
cd "$work/here" || exit 1
run=$work/here/run remote=$work/hub/runs/run
all=(hub box lab den)

cluster=("$root/deploy/cluster.sh" --no-install "--ssh_config=$work/ssh_config")
cluster() { "${cluster[@]}" "$@"; }

# Four hosts: hub (learner, shard), box (shard), two of actors; further lines of
# each, that of [den] being the file's line 20.
declare -A further=()
write_hosts() {
    cat >"$work/hosts.ini" <<HOSTS
[hub]
folder = $work/hub
learner = yes
shards = 1
${further[hub]-cores = 0}

[box]
folder = $work/box
shards = 1
replay_dir = $work/box/scratch
${further[box]-}

[lab]
folder = $work/lab
actors = 2
${further[lab]-}
[den]
actors = 1
folder = $work/den
${further[den]-memory = 4G}
evaluators = 1
HOSTS
}

check() { # options...
    timeout -k 2 120 "${cluster[@]}" "$work/hosts.ini" multigoal --check "$@" \
        >"$work/out" 2>"$work/err"
    status=$?
}

# The check ended with 2, and a line of it is about that host and has the word.
complains() { # name, host, word
    if [[ $status == 2 ]] && grep "^cluster: $2: " "$work/err" |
        grep -qF -- "$3"; then
        ok "$1"
    else
        not_ok "$1" "status $status: $(cat "$work/out" "$work/err")"
    fi
}

# -- the hosts file --

wrong_hosts_files_are_refused() {
    local line word
    while IFS='|' read -r line word; do
        further[den]=$line
        write_hosts
        refuses "hosts file: $line" "$work/hosts.ini:20: " \
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
    further[den]='learner = yes'
    write_hosts
    refuses 'hosts file: two learners' '[hub] and [den] have learner = yes' \
        "${cluster[@]}" "$work/hosts.ini" multigoal --check
    unset 'further[den]'
}

# -- checks --

checks_pass() {
    write_hosts
    check
    if [[ $status == 0 && $(grep -c '^[a-z]*: .*glibc' "$work/out") == 4 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    fi
}

# Several at a time, each on a host of its own.
checks_fail_in_words() {
    local taken
    further=([hub]='cores = 512' [den]='memory = 900T')
    write_hosts
    cut_off lab
    ip netns exec box "$(command -v sshd)" -D -f "$work/box/sshd_config" \
        -o ListenAddress=10.77.0.11:5561 2>/dev/null &
    taken=$!
    within 5 listens box 5561
    on_host box mount -t tmpfs -o size=1m tmpfs "$work/box/scratch"
    fake box uname sparc
    fake den getconf 'glibc 2.17'
    fake den date 1000
    sed 's/sse2//' /proc/cpuinfo >"$work/cpuinfo"
    on_host hub mount --bind "$work/cpuinfo" /proc/cpuinfo
    check
    on_host hub umount /proc/cpuinfo
    fake box uname
    fake den getconf
    fake den date
    on_host box umount "$work/box/scratch"
    mend_cut_off lab
    kill "$taken"
    complains 'a host that is down' lab 'is it up, and reachable'
    complains 'a port in use' box 'port 5561 is in use'
    complains 'a full disk' box 'its rings take'
    complains 'cores that are not there' hub 'cores = 512'
    complains 'memory that is not there' den 'memory = 900T'
    complains 'another architecture' box 'its processor is sparc'
    complains 'an older glibc' den 'its glibc is 2.17'
    complains 'a CPU that lacks something' hub 'its CPU lacks sse2'
    complains 'a clock that is wrong' den 'its clock is '

    further=([hub]="programs = $work/older" [box]='user = nobody'
        [lab]='port = 2222' [den]='address = nowhere.invalid')
    write_hosts
    mkdir "$work/older"
    printf '#!/bin/sh\necho softq-learner 0.0.9\n' >"$work/older/softq-learner"
    chmod +x "$work/older/softq-learner"
    check
    complains 'an older version' hub 'has the older version 0.0.9'
    complains 'a key that is not let in' box 'ssh-copy-id'
    complains 'no sshd on that port' lab 'no sshd answers'
    complains 'an unknown name' den 'is unknown here'
    further=()
    write_hosts
}

# -- a run --

launch_all() { # run, options...
    local run=$1
    shift
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

counts_are() { # of the hosts
    [[ $(process_counts) == "$1" ]]
}

a_run_goes_on_over_four_hosts() {
    launch_all "$run"
    if ! within 60 has_updates "$remote" 100; then
        not_ok "${FUNCNAME[0]}" "$(tail -n 20 "$run.out" "$run.err" \
            "$work"/*/runs/run/logs/*.log)"
        exit 1
    fi
    if ! within 30 counts_are '2 1 2 2'; then
        not_ok "${FUNCNAME[0]}" "processes: $(process_counts)"
    elif ! within 30 compgen -G "$work/box/scratch/run/shard-1.ring" >/dev/null; then
        not_ok "${FUNCNAME[0]}" 'no ring in replay_dir'
    elif ! within 60 grep -q ',evaluator-0,' "$remote/evaluations.csv"; then
        not_ok "${FUNCNAME[0]}" "no evaluation: \
$(tail -n 5 "$work/den/runs/run/logs/evaluator-0.log")"
    elif ! within 30 grep -q 'updates/s' "$run.out"; then
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
    finish "$launcher" 20
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
    sleep 2 # dead_after
    if ! within 30 box_is_missed; then
        not_ok "${FUNCNAME[0]}" "status: $(cat "$work/out" "$work/err")"
    fi
    goes_on "$remote" || not_ok "${FUNCNAME[0]}" 'no updates without box'
    mend_cut_off box
    if within 60 box_is_back; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$(cat "$work/out" "$work/err")"
    fi
}

box_is_missed() {
    cluster status "$run" >"$work/out" 2>"$work/err"
    [[ $? == 1 ]] && grep -q '^cluster: box: ' "$work/err" &&
        grep -q 'shard 1 .*dead' "$work/out"
}

box_is_back() {
    cluster status "$run" >"$work/out" 2>"$work/err" &&
        ! grep -q 'shard 1 .*dead' "$work/out"
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
    check "--run_dir=$run"
    complains 'a run of that name' box 'runs/run is there already'
    complains 'a missing library' lab 'libuv.so.1: file too short: remove'
    mv "$lib.away" "$lib"
}

resume_goes_on() {
    local at
    at=$(updates_of "$remote")
    cluster resume "$run" "--max_updates=$((at + 200))" >"$run.out" 2>"$run.err" &
    finish $! 90
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 5 "$run.out" "$run.err")"
    elif [[ $(updates_of "$remote") != $((at + 200)) ]]; then
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
# its shells are the same, and its programs want more memory than limits allow
[[ $build != *san* ]] || why='a sanitised build'
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
