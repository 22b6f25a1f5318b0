#!/bin/bash
# deploy/cluster.sh at length: multigoal (smaller networks than its preset's, as
# all hosts are this machine) with two shards and twelve actors on four hosts
# (network namespaces with an sshd each), to four goals. In the middle a host of
# actors is cut off and comes back, and the learner's host loses its power; resume
# goes on from its checkpoint.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/chaos/net.bash
. "$here/../../chaos/net.bash"
enter_namespaces "$@"
# shellcheck source=tests/system/lib.bash
. "$here/../lib.bash"
# shellcheck source=tests/system/ssh.bash
. "$here/../ssh.bash"

all=(hub box lab den)
mkdir -m 700 "$work/here"
export XDG_RUNTIME_DIR=$work/here # connections end with the test
cd "$work/here" || exit 1
run=$work/here/run remote=$work/hub/runs/run
cluster=("$root/deploy/cluster.sh" --no-install "--ssh_config=$work/ssh_config")

write_hosts() {
    cat >"$work/hosts.ini" <<HOSTS
[hub]
folder = $work/hub
learner = yes
shards = 1
[box]
folder = $work/box
shards = 1
actors = 4
replay_dir = $work/box/scratch
[lab]
folder = $work/lab
actors = 4
[den]
folder = $work/den
actors = 4
HOSTS
}

stuck() {
    tail -n 6 "$run.out" "$run.err" "$work"/*/runs/run/logs/*.log
}

trains_through_a_cut() {
    "${cluster[@]}" "$work/hosts.ini" multigoal "--run_dir=$run" \
        --units=64 --checkpoint_seconds=2 --idle_priority=true >"$run.out" 2>"$run.err" &
    launcher=$!
    if ! within 300 has_updates "$remote" 500; then
        not_ok "${FUNCNAME[0]}" "$(stuck)"
        exit 1
    fi
    cut_off lab
    sleep 10
    goes_on "$remote" || not_ok "${FUNCNAME[0]}" "stands still: $(stuck)"
    mend_cut_off lab
    sleep 5
    goes_on "$remote" && ok "${FUNCNAME[0]} (at $(updates_of "$remote"))"
}

# Whoever follows sees it gone, and the others wait.
resumes_after_a_power_cut() {
    local at
    at=$(updates_of "$remote")
    switch_off hub
    within 60 grep -q 'hub does not answer' "$run.err" ||
        not_ok "${FUNCNAME[0]}" "the launcher saw nothing: $(tail -n 3 "$run.err")"
    kill "$launcher"
    finish "$launcher" 30
    start_sshd hub
    echo "# the learner's host was switched off at $at"
    "${cluster[@]}" resume "$run" >"$run.out" 2>"$run.err" &
    launcher=$!
    if within 300 has_updates "$remote" $((at + 500)); then
        ok "${FUNCNAME[0]} (at $at, then $(updates_of "$remote"))"
    else
        not_ok "${FUNCNAME[0]}" "$(stuck)"
        exit 1
    fi
}

# The launcher fetches at the end, and every supervisor has ended.
ends_with_all_here() {
    local h left=''
    finish "$launcher" 3000
    for h in "${all[@]}"; do
        left+=$(processes_of "$work/$h/runs/run")
    done
    if [[ $status != 0 || -n $left ]]; then
        not_ok "${FUNCNAME[0]}" "status $status, left: $left $(stuck)"
        exit 1
    fi
    ok "${FUNCNAME[0]} (after $(updates_of "$run") updates)"
}

reaches_four_goals() {
    local reached least
    "$root/deploy/evaluate.sh" "$run" --episodes=1000 >"$work/out" 2>&1
    read -r reached least < <(tr -d '[]:,"' <"$run/evaluation.json" | awk '
        $1 == "success_rate" { rate = $2 }
        $1 == "goal_counts" { least = $2
            for (i = 3; i <= NF; i++) if ($i < least) least = $i }
        END { print rate, least }')
    if awk -v r="${reached:-0}" -v l="${least:-0}" \
        'BEGIN { exit !(r >= 0.9 && l >= 100) }'; then
        ok "${FUNCNAME[0]} ($reached of 1000 episodes, the rarest $least)"
    else
        not_ok "${FUNCNAME[0]}" "$reached of 1000 episodes, the rarest $least"
    fi
}

# Model and description go along, and are played from the run's copy.
an_own_robot_travels() {
    "${cluster[@]}" "$work/hosts.ini" "$root/deploy/examples/arm.ini" \
        "--run_dir=$work/here/arm" --units=32 --minibatch=16 --warmup=200 \
        --replay_size=100000 --max_updates=50 --idle_priority=true \
        >"$work/out" 2>&1 &
    finish $! 300
    if [[ $status == 0 && -e $work/den/runs/arm/task/robot.ini &&
        $(updates_of "$work/here/arm") == 50 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 6 "$work/out")"
    fi
}

# -- hosts, options and ends of other kinds: two hosts, a short run each --

# hub with the learner and a shard, box with a shard and an actor; further lines of
# each.
write_two_hosts() { # of hub, of box
    printf '[hub]\nfolder = %s\nlearner = yes\nshards = 1\n%b\n' "$work/hub" "$1" \
        >"$work/two.ini"
    printf '[box]\nfolder = %s\nshards = 1\nactors = 1\n%b\n' "$work/box" "$2" \
        >>"$work/two.ini"
}

launch_two() { # name, task, options...
    "${cluster[@]}" "$work/two.ini" "$2" "--run_dir=$work/here/$1" --units=32 \
        --minibatch=16 --warmup=200 --replay_size=100000 --checkpoint_seconds=1 \
        --idle_priority=true "${@:3}" >"$work/$1.out" 2>"$work/$1.err" &
    launcher=$!
}

# Ended well after 50 updates, with what else the case wants.
ends_well() { # case, name, command...
    finish "$launcher" 200
    if [[ $status == 0 && $(updates_of "$work/here/$2") == 50 ]] && "${@:3}"; then
        ok "$1"
    else
        not_ok "$1" "status $status: $(tail -n 6 "$work/$2.out" "$work/$2.err" \
            "$work"/{hub,box}/runs/"$2"/logs/*.log 2>/dev/null)"
    fi
}

runs_over_ipv6() {
    if ! on_host hub bash -c "</dev/tcp/fd77::11/22" 2>/dev/null; then
        skip "${FUNCNAME[0]}" 'no IPv6 here'
        return
    fi
    write_two_hosts 'address = fd77::10' 'address = fd77::11'
    launch_two six multigoal --max_updates=50
    ends_well "${FUNCNAME[0]}" six grep -q '^learner tcp://\[fd77::10\]:' \
        "$work/hub/runs/six/address"
}

runs_without_keys() {
    write_two_hosts '' ''
    launch_two open multigoal --max_updates=50 --insecure
    ends_well "${FUNCNAME[0]}" open test ! -e "$work/hub/runs/open/keys" -a \
        ! -e "$work/here/open/keys"
}

an_own_shared_object_travels() {
    cc -O2 -shared -fPIC "-I$root/actor/include" -o "$work/here/my_env.so" \
        "$root/deploy/examples/my_env.c" -lm || not_ok "${FUNCNAME[0]}" 'cc'
    write_two_hosts '' ''
    launch_two own ./my_env.so --max_updates=50
    ends_well "${FUNCNAME[0]}" own cmp -s "$work/here/my_env.so" \
        "$work/box/runs/own/task/env.so"
}

# Where the user has a systemd, one scope holds all processes; here a stand-in
# that takes down its words and goes on.
memory_is_a_scopes() {
    cat >"$work/box/fake/systemd-run" <<FAKE
#!/bin/bash
echo "\$*" >>"$work/scope"
while [[ \$1 == -* ]]; do [[ \$1 != -p ]] || shift; shift; done
exec "\$@"
FAKE
    chmod +x "$work/box/fake/systemd-run"
    write_two_hosts '' 'memory = 3G'
    launch_two scope multigoal --max_updates=50
    ends_well "${FUNCNAME[0]}" scope grep -q \
        '^--user --scope -q -p MemoryMax=3G -p MemorySwapMax=0 .*/supervise ' \
        "$work/scope"
    rm "$work/box/fake/systemd-run"
}

close_port() { # host, port: what comes there is dropped
    ip netns exec "$1" nft -f - <<RULES
table inet closed {
    chain in { type filter hook input priority 0; tcp dport $2 drop; }
}
RULES
}

says() { # run, words that its status has
    COLUMNS=1000 "${cluster[@]}" status "$1" 2>&1 | grep -qF -- "$2"
}

# README's symptoms of a firewall that lets actors come to the learner and not to
# its shard. It is seen as soon as the firewall is mended.
a_closed_port_is_told() {
    local run=$work/here/closed bad=''
    write_two_hosts '' ''
    sed -i '/^\[box\]/,$s/^shards = 1/shards = 0/' "$work/two.ini"
    close_port hub 5560
    launch_two closed multigoal --max_updates=0
    within 120 says "$run" ', and no new ones come' || bad+=' no new ones'
    says "$run" 'a shard owes them answers' || bad+=' owes'
    sleep 70 # the kernel would try again after 127 s only
    ip netns exec hub nft delete table inet closed
    within 15 says "$run" 'updates go on' || bad+=' goes on'
    kill -INT "$launcher"
    finish "$launcher" 10
    if [[ -z $bad ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "not said:$bad: $("${cluster[@]}" status "$run" 2>&1)"
    fi
    "${cluster[@]}" stop "$run" >"$work/out" 2>&1
}

# What can be stopped is, and the rest is named; it is stopped when it is back.
stops_around_a_cut_host() { # host that is cut off, the other one
    local began=$SECONDS run=stop-$1
    write_two_hosts '' ''
    launch_two "$run" multigoal --max_updates=0 --orphan_after=60
    if ! within 200 has_updates "$work/hub/runs/$run" 50; then
        not_ok "${FUNCNAME[0]} $1" "$(cat "$work/$run.out" "$work/$run.err")"
        return
    fi
    kill -INT "$launcher"
    finish "$launcher" 10
    cut_off "$1"
    began=$SECONDS
    "${cluster[@]}" stop "$work/here/$run" >"$work/out" 2>"$work/err"
    if [[ $? != 1 ]] || ! grep -q "^cluster: $1: does not answer" "$work/err" ||
        ! grep -q 'has been gone for 60 s' "$work/err"; then
        not_ok "${FUNCNAME[0]} $1" "$(cat "$work/out" "$work/err")"
    elif [[ -n $(processes_of "$work/$2/runs/$run") ]]; then
        not_ok "${FUNCNAME[0]} $1" "left: $(processes_of "$work/$2/runs/$run")"
    else
        ok "${FUNCNAME[0]} $1"
        echo "# stopped in $((SECONDS - began)) s"
    fi
    mend_cut_off "$1"
    if ! "${cluster[@]}" stop "$work/here/$run" >"$work/out" 2>"$work/err" ||
        ! gone "/runs/$run/"; then
        not_ok "${FUNCNAME[0]} $1, and when it is back" "$(cat "$work/out" "$work/err")"
    fi
}

why=$(no_hosts_because)
if [[ -n $why ]]; then
    skip 'a long run over four hosts' "$why"
    exit 0
fi
make_ssh_hosts "${all[@]}" || {
    not_ok 'four hosts' 'they could not be made'
    exit 1
}
write_hosts
trains_through_a_cut
resumes_after_a_power_cut
ends_with_all_here
reaches_four_goals
an_own_robot_travels
runs_over_ipv6
runs_without_keys
an_own_shared_object_travels
memory_is_a_scopes
a_closed_port_is_told
stops_around_a_cut_host box hub
stops_around_a_cut_host hub box
summary
