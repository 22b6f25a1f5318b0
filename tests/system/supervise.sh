#!/bin/bash
# shellcheck disable=SC2317 # every case is called by its name
# deploy/supervise with stand-ins for the programs: who is restarted, who stops
# when, and that nothing is left behind. Prints `ok NAME` or `not ok NAME` a
# case; exits non-zero if one failed.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
supervise=$here/../../deploy/supervise

# -- the stand-in: supervise.sh --child RUN BEHAVIOUR --lifeline=FD --

child() {
    local run=$1 behaviour=$2 fd=${3#--lifeline=} name result
    name=$(basename -- "$behaviour")
    # a start is told when its trap is set
    case $behaviour in
    exit-* | wordy | refused | soon-*) ;;
    deaf) trap '' TERM ;;
    slow) trap 'sleep 1; echo "$name" >>"$run/stops"; exit 0' TERM ;;
    talk) trap 'exit 0' TERM && echo "$name says" ;;
    *) trap 'echo "$name" >>"$run/stops"; exit 0' TERM ;;
    esac
    echo "$name" >>"$run/starts"
    case $behaviour in
    exit-*) exit "${behaviour#exit-}" ;;
    wordy)
        head -c 5000000 /dev/zero | tr '\0' x >&2
        exit 1
        ;;
    refused)
        echo '10:00:00.000 softq-actor error: no such task: maze' >&2
        echo 'and some more' >&2
        exit 2
        ;;
    soon-*)
        until [[ -e $run/all ]]; do sleep 0.1; done
        sleep 0.5 && exit "${behaviour#soon-}"
        ;;
    esac
    while :; do
        read -r -t 0.1 -u "$fd"
        result=$?
        ((result > 128)) || break
    done
    echo "$name" >>"$run/orphans"
    exit 0
}

if [[ ${1-} == --child ]]; then
    shift
    child "$@"
fi

# -- helpers --

scratch=$(mktemp -d)
failed=0
run=''
supervisor=''

ours() { # pids whose command line names the case's run; zombies have none
    # the pattern by stdin: grep's own command line must not match
    grep -alF -f /dev/stdin /proc/[0-9]*/cmdline 2>/dev/null <<<"$run" |
        sed 's|/proc/||; s|/cmdline||'
}

pid_of() { # the newest life of a child
    awk -v name="$1" '$3 == name && $4 == "started" { p = $6 } END { print p }' \
        "$run/logs/supervise.log" 2>/dev/null
}

until_true() { # tenths of a second, command...
    local left=$1
    shift
    while ((left-- > 0)); do
        "$@" && return 0
        sleep 0.1
    done
    return 1
}

lines() { # file; how many
    if [[ -f $1 ]]; then wc -l <"$1"; else echo 0; fi
}

clock() { sed 's/ .*//; s/[.]//' /proc/uptime; } # in hundredths of a second

nobody() { [[ -z $(ours) ]]; }
has_lines() { (($(lines "$1") >= $2)); }

begin() { # name BEHAVIOUR ...: fills `command`
    local name behaviour
    run=$scratch/$1
    mkdir -p "$run"
    shift
    command=("$supervise" "--run=$run")
    while (($#)); do
        name=$1 behaviour=$2
        command+=(-- "$name" "$here/supervise.sh" --child "$run" "$behaviour")
        shift 2
    done
}

launch() {
    "${command[@]}" >"$run/out" 2>"$run/err" &
    supervisor=$!
    until_true 200 has_lines "$run/starts" "$1"
    : >"$run/all"
}

expect() { # name, then a condition's exit status
    if (($2 == 0)); then
        echo "ok $1"
    else
        echo "not ok $1"
        failed=1
        sed 's/^/    /' "$run/err" "$run/logs/supervise.log" 2>/dev/null
    fi
}

# -- cases --

# Status 1 is restarted after 1 s, then 2 s; 0, 2 and 3 never.
restarts_only_crashes() {
    begin "${FUNCNAME[0]}" learner learner actor-0 exit-1 actor-1 actor \
        actor-2 exit-2 actor-3 exit-3 actor-4 exit-0 shard-0 shard
    local from
    from=$(clock)
    launch 7
    until_true 200 has_lines "$run/starts" 9
    local took=$(($(clock) - from))
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 0 && $(grep -c 'exit-1' "$run/starts") == 3 &&
        $(grep -c 'exit-[023]' "$run/starts") == 3 ]] && nobody && ((took >= 300)) &&
        grep -q 'actor-0 .* again in 1 s$' "$run/err" &&
        grep -q 'actor-0 .* again in 2 s$' "$run/err"
    expect "${FUNCNAME[0]}" $?
}

# A child killed by a signal comes back under the same command.
restarts_the_killed() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    launch 3
    kill -KILL "$(pid_of actor-0)"
    kill -KILL "$(pid_of shard-0)"
    kill -KILL "$(pid_of learner)"
    until_true 200 has_lines "$run/starts" 6
    local back=$?
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 0 && $back == 0 && $(lines "$run/stops") == 3 ]] && nobody
    expect "${FUNCNAME[0]}" $?
}

# The learner's 0, 2 or 3 stops the rest and is the run's status.
ends_with_the_learner() {
    local s good=0
    for s in 0 2 3; do
        begin "${FUNCNAME[0]}-$s" learner "soon-$s" actor-0 actor shard-0 shard
        launch 3
        wait "$supervisor"
        [[ $? == "$s" && $(lines "$run/stops") == 2 ]] && nobody || good=1
    done
    expect "${FUNCNAME[0]}" "$good"
}

# The only actor's refusal ends the run with 2 and is told in its own words; an
# evaluator does not keep it alive.
reports_the_last_actor_refused() {
    begin "${FUNCNAME[0]}" learner learner actor-0 refused evaluator-0 actor \
        shard-0 shard
    launch 3
    wait "$supervisor"
    [[ $? == 2 && $(grep -c 'no such task: maze' "$run/err") == 1 ]] && nobody
    expect "${FUNCNAME[0]}" $?
}

# With another actor left, the run goes on.
goes_on_with_another_actor() {
    begin "${FUNCNAME[0]}" learner soon-0 actor-0 exit-2 actor-1 actor shard-0 \
        shard
    launch 4
    wait "$supervisor"
    expect "${FUNCNAME[0]}" $?
}

# A command that is not there is no crash to try again.
refuses_a_missing_program() {
    begin "${FUNCNAME[0]}" learner soon-0
    command=("$supervise" "--run=$run" -- learner "$run/no-such-program")
    "${command[@]}" >"$run/out" 2>"$run/err"
    [[ $? == 127 && $(lines "$run/err") == 1 ]]
    expect "${FUNCNAME[0]}" $?
}

# Stopping waits for the learner, then for the actors, then for the shards.
stops_in_order() {
    begin "${FUNCNAME[0]}" shard-0 shard actor-0 slow learner slow
    launch 3
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 0 && $(paste -sd, "$run/stops") == slow,slow,shard ]] && nobody
    expect "${FUNCNAME[0]}" $?
}

# What does not hear SIGTERM is killed within 10 s; the others stop before.
kills_the_deaf() {
    begin "${FUNCNAME[0]}" learner deaf actor-0 actor shard-0 shard
    launch 3
    local t0=$SECONDS
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 1 && $(lines "$run/stops") == 2 ]] && nobody &&
        ((SECONDS - t0 <= 15))
    expect "${FUNCNAME[0]}" $?
}

# A second Ctrl-C kills at once; the same one told twice is one.
second_signal_kills() {
    begin "${FUNCNAME[0]}" learner deaf actor-0 deaf shard-0 shard
    launch 3
    local t0=$SECONDS
    kill -TERM "$supervisor" && kill -HUP "$supervisor"
    sleep 1
    local waiting
    waiting=$(ours | wc -l)
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 1 && $waiting == 4 ]] && nobody && ((SECONDS - t0 <= 7))
    expect "${FUNCNAME[0]}" $?
}

# Every child can read the lifeline and none can write it.
nobody_else_holds_the_lifeline() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    launch 3
    local p f mode bad=0 pipe
    pipe=$(readlink "/proc/$(pid_of learner)/fd/3")
    for p in $(ours); do
        for f in "/proc/$p/fdinfo"/*; do
            [[ $(readlink "/proc/$p/fd/${f##*/}") == "$pipe" ]] || continue
            mode=$(sed -n 's/^flags:.*\(.\)$/\1/p' "$f" 2>/dev/null)
            [[ $p == "$supervisor" || $mode == 0 ]] || bad=1
        done
    done
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $bad == 0 && $pipe == pipe:* ]]
    expect "${FUNCNAME[0]}" $?
}

# kill -9 of supervise: every child reads its end of file and goes.
killed_supervisor_leaves_nothing() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    launch 3
    kill -KILL "$supervisor"
    wait "$supervisor" 2>/dev/null
    until_true 100 nobody && [[ $(lines "$run/orphans") == 3 ]]
    expect "${FUNCNAME[0]}" $?
}

# The supervisor stands still, and its last word on that actor is its end.
is_held_in_the_pause() {
    kill -STOP "$supervisor"
    [[ $(grep ' actor-0 ' "$run/logs/supervise.log" | tail -n 1) == *' ended '* ]] &&
        return
    kill -CONT "$supervisor"
    return 1
}

# The same between two lives of a child: the pause must not start another.
killed_supervisor_starts_nothing() {
    begin "${FUNCNAME[0]}" learner learner actor-0 exit-1 shard-0 shard
    launch 3
    until_true 100 is_held_in_the_pause
    local started
    started=$(lines "$run/starts")
    kill -KILL "$supervisor"
    wait "$supervisor" 2>/dev/null
    sleep 1.2
    nobody && [[ $(lines "$run/starts") == "$started" ]]
    expect "${FUNCNAME[0]}" $?
}

# The launcher of these two: it alone holds the write end.
launch_under_a_launcher() {
    # shellcheck disable=SC2016 # for the launcher's shell
    bash -c 'exec {w}<> <(:)
        "$@" 3<"/proc/self/fd/$w" {w}>&- &
        echo $! >"$0/supervisor"
        wait' "$run" "${command[@]:0:2}" --lifeline=3 "${command[@]:2}" \
        >"$run/out" 2>"$run/err" &
    launcher=$!
    until_true 200 has_lines "$run/starts" 3
}

# kill -9 of the launcher: an ordered stop, as by SIGTERM.
killed_launcher_leaves_nothing() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    launch_under_a_launcher
    kill -KILL "$launcher"
    wait "$launcher" 2>/dev/null
    until_true 100 nobody && [[ $(paste -sd, "$run/stops") == learner,actor,shard ]]
    expect "${FUNCNAME[0]}" $?
}

# A launcher that did not stay: without the file it is the same stop.
removed_lifeline_stops_in_order() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    touch "$run/alive"
    command=("${command[@]:0:2}" "--lifeline=$run/alive" "${command[@]:2}")
    launch 3
    local before
    before=$(lines "$run/stops")
    rm "$run/alive"
    wait "$supervisor" && [[ $before == 0 ]] && nobody &&
        [[ $(paste -sd, "$run/stops") == learner,actor,shard ]]
    expect "${FUNCNAME[0]}" $?
}

# Launcher and supervisor in one blow.
killed_pair_leaves_nothing() {
    begin "${FUNCNAME[0]}" learner learner actor-0 actor shard-0 shard
    launch_under_a_launcher
    kill -KILL "$launcher" "$(cat "$run/supervisor")"
    wait "$launcher" 2>/dev/null
    until_true 100 nobody && [[ $(lines "$run/orphans") == 3 ]]
    expect "${FUNCNAME[0]}" $?
}

# The learner's stdout is the run's; everybody else's goes to their logs.
only_the_learner_talks() {
    begin "${FUNCNAME[0]}" learner talk actor-0 talk shard-0 talk
    launch 3
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $(cat "$run/out") == 'talk says' ]] &&
        grep -q 'talk says' "$run/logs/actor-0.log" &&
        grep -q 'talk says' "$run/logs/shard-0.log"
    expect "${FUNCNAME[0]}" $?
}

# A host without a learner ends when its children have.
ends_without_a_learner() {
    begin "${FUNCNAME[0]}" actor-0 soon-0 shard-0 exit-0
    launch 2
    wait "$supervisor"
    expect "${FUNCNAME[0]}" $?
}

# A full log moves aside before the next life, and before the first one.
full_logs_move_aside() {
    begin "${FUNCNAME[0]}" learner learner actor-0 wordy actor-1 actor
    mkdir -p "$run/logs"
    head -c 5000000 /dev/zero >"$run/logs/actor-1.log"
    echo earlier >"$run/logs/learner.log"
    launch 3
    until_true 200 has_lines "$run/starts" 4
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 0 && -s $run/logs/actor-0.log.old && -s $run/logs/actor-1.log.old &&
        $(stat -c %s "$run/logs/actor-0.log") -lt 6000000 &&
        $(stat -c %s "$run/logs/actor-1.log") -lt 1000 ]] &&
        grep -q earlier "$run/logs/learner.log" && nobody
    expect "${FUNCNAME[0]}" $?
}

# Also for a launcher that ignores SIGCHLD, which a shell then cannot trap.
restarts_the_killed_unheard() {
    begin "${FUNCNAME[0]}" actor-0 actor
    command=(env --ignore-signal=CHLD "${command[@]}")
    launch 1
    kill -KILL "$(pid_of actor-0)"
    until_true 200 has_lines "$run/starts" 2
    local back=$?
    kill -TERM "$supervisor"
    wait "$supervisor"
    [[ $? == 0 && $back == 0 ]] && nobody
    expect "${FUNCNAME[0]}" $?
}

own_ticks() { # of the supervisor on a core, without its children's
    awk '{ sub(/.*[)] /, ""); print $12 + $13 }' "/proc/$supervisor/stat"
}

# Of 256 children a killed one is seen at once, and they cost under a 25th of a
# core.
hundreds_cost_little() {
    local i from began ticks took child seen
    run=$scratch/${FUNCNAME[0]}
    mkdir -p "$run"
    command=("$supervise" "--run=$run")
    for ((i = 0; i < 256; i++)); do
        command+=(-- "actor-$i" sh -c 'exec sleep 100')
    done
    "${command[@]}" >"$run/out" 2>"$run/err" &
    supervisor=$!
    until_true 200 grep -qs 'actor-255 started' "$run/logs/supervise.log"
    sleep 1
    began=$(clock) from=$(own_ticks)
    sleep 2
    ticks=$(($(own_ticks) - from)) took=$(($(clock) - began))
    child=$(pid_of actor-100)
    kill -KILL "$child"
    until_true 20 grep -q "($child) ended" "$run/logs/supervise.log"
    seen=$?
    kill -TERM "$supervisor"
    wait "$supervisor"
    echo "ticks of $took: $ticks" >>"$run/err"
    ((seen == 0 && 25 * ticks <= took))
    expect "${FUNCNAME[0]}" $?
}

# One line and status 2 for a wrong command line.
refuses_bad_arguments() {
    run=$scratch/${FUNCNAME[0]}
    mkdir -p "$run"
    local bad=0 arguments
    for arguments in '' "--run=$run" "--run=$run --" "--run=$run -- learner" \
        "--run=$run --lifeline=77 -- learner true" \
        "--run=$run --lifeline=$run/none -- learner true" "--runs=$run -- learner true"; do
        # shellcheck disable=SC2086 # words on purpose
        "$supervise" $arguments >"$run/out" 2>"$run/err"
        [[ $? == 2 && $(lines "$run/err") == 1 ]] || bad=1
    done
    expect "${FUNCNAME[0]}" "$bad"
}

launcher=''
command=()
cases=(refuses_bad_arguments full_logs_move_aside restarts_only_crashes restarts_the_killed
    restarts_the_killed_unheard hundreds_cost_little
    ends_with_the_learner reports_the_last_actor_refused
    goes_on_with_another_actor refuses_a_missing_program stops_in_order
    kills_the_deaf second_signal_kills nobody_else_holds_the_lifeline
    killed_supervisor_leaves_nothing killed_supervisor_starts_nothing
    killed_launcher_leaves_nothing removed_lifeline_stops_in_order killed_pair_leaves_nothing
    only_the_learner_talks ends_without_a_learner)
for c in "${cases[@]}"; do "$c"; done
rm -rf "$scratch"
exit "$failed"
