#!/bin/bash
# A multigoal run of two shards and eight actors on seven hosts, against which
# anything is done at any moment: kill -9 and SIGSTOP of every process, hosts cut
# off, slow or losing packets. In rounds: faults, one on top of the other, then
# all is mended and the run must go on.
#
#   tests/chaos/chaos.sh [--minutes=3] [--seed=N] [--one-host]
#                        [--faults=KIND,...] [--longest=8]
#
# --minutes: of faults, 3 as in CI, 30 for a night's sleep. --seed repeats the
# order, kinds, victims and lengths of the faults; a run prints its own. --faults:
# only these of kill, pause, cut_off, slow_down, lose_packets. --longest: seconds
# that one lasts at most.
# Hosts are network namespaces: where none can be made, and with --one-host, all
# is one host, and the network's faults are skipped by name.
#
# Judged: within 15 s of the last mending updates go on, each shard acknowledges
# rows and each actor gets some acknowledged; at the end every process ends with
# 0 and none has ended by itself before; the audit (softq-replay --audit) finds
# every acknowledged row, unaltered, and no other, in rings that never wrapped;
# batches in both shards are at most a window an actor and time that a shard was
# declared dead; the learner's count of rows is the rings'; the policy, learned
# meanwhile, reaches a goal in 90 % of episodes and each goal in 10 %; and in 3
# minutes or more each kind of fault struck.
set -u
here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
# shellcheck source=tests/chaos/net.bash
. "$here/net.bash"
[[ " $* " == *' --one-host '* ]] || enter_namespaces "$@"
# shellcheck source=tests/system/lib.bash
. "$here/../system/lib.bash"

minutes=3 seed=$((RANDOM * 32768 + RANDOM)) longest=8 only=
# a sanitised build learns too slowly to be judged for it
judge_policy=yes
[[ $build != *san* ]] || minutes=0.5 judge_policy=no
for argument; do
    case $argument in
    --minutes=*) minutes=${argument#*=} ;;
    --seed=*) seed=${argument#*=} ;;
    --longest=*) longest=${argument#*=} ;;
    --faults=*) only=${argument#*=} ;;
    --one-host) ;;
    *)
        echo "chaos.sh: what is $argument? --minutes=M, --seed=N, --one-host, \
--faults=KIND,..., --longest=S" >&2
        exit 2
        ;;
    esac
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ && $seed =~ ^[0-9]+$ &&
    $longest =~ ^[1-9][0-9]{0,2}$ ]] || {
    echo "chaos.sh: --minutes=$minutes --seed=$seed --longest=$longest: all are \
numbers, the last from 1 to 999" >&2
    exit 2
}

# cs of faults before all is mended
readonly round=$((longest > 8 ? 200 * longest : 4000))
readonly shards=2 actors=8 window=16
readonly recovery=1500          # cs
readonly enough_updates=15000    # for the policy
readonly longest_pause=8         # s before the supervisor's next start
run=$work/chaos
hosts=(learner shard-0 shard-1 crew-0 crew-1 crew-2 crew-3)
faults=(kill pause)
declare -A host_of address_of supervisor_of count
names=(learner)

# -- the run --

set_the_table() {
    local i host
    host_of[learner]=learner
    for ((i = 0; i < shards; i++)); do
        names+=("shard-$i")
        host_of[shard-$i]=shard-$i
    done
    for ((i = 0; i < actors; i++)); do
        names+=("actor-$i")
        host_of[actor-$i]=crew-$((i % 4))
    done
    if make_hosts "${hosts[@]}" 2>"$work/hosts.err"; then
        port=5550
        i=10
        for host in "${hosts[@]}"; do address_of[$host]=10.77.0.$((i++)); done
        faults+=(cut_off)
        if tc qdisc show >/dev/null 2>&1; then faults+=(slow_down); else
            skip slow_down 'no tc (iproute2)'
        fi
        if ip netns exec learner nft list tables >/dev/null 2>&1; then
            faults+=(lose_packets)
        else
            skip lose_packets 'no nft (nftables), or no leave to use it'
        fi
    else
        port=$((20000 + $$ % 1000 * 20))
        for host in "${hosts[@]}"; do address_of[$host]=127.0.0.1; done
        skip 'cut_off, slow_down, lose_packets' \
            "no network namespaces $(tail -n 1 "$work/hosts.err")"
    fi
    [[ -z $only ]] || choose_faults
}

choose_faults() {
    local kind possible=" ${faults[*]} "
    IFS=, read -ra faults <<<"$only"
    for kind in "${faults[@]}"; do
        [[ $possible == *" $kind "* ]] || {
            echo "chaos.sh: --faults=$only: no $kind here, there are:$possible" >&2
            exit 2
        }
    done
}

on_host() { # host, command...
    local host=$1
    shift
    if [[ ${address_of[$host]} == 127.0.0.1 ]]; then
        exec "$@"
    else
        exec ip netns exec "$host" "$@"
    fi
}

supervise_on() { # host, commands
    local host=$1
    shift
    on_host "$host" "$root/deploy/supervise" "--run=$run" "$@" \
        >>"$work/out" 2>>"$work/err" </dev/null &
    supervisor_of[$host]=$!
}

# A supervisor a host, as deploy/cluster would have it.
start_run() {
    local host name commands rows
    # 10 steps an update, at a speed that no learner here reaches
    rows=$(awk -v m="$minutes" 'BEGIN { print int((m + 3) * 700000) }')
    mkdir -p "$run"
    supervise_on learner -- learner \
        "$(program softq-learner)" --config="$root/deploy/presets/multigoal.ini" \
        --run_dir="$run" "--shards=$shards" "--actors=$actors" \
        "--window=$window" \
        "--replay_size=$rows" --max_updates=0 --learning_rate_end=1 \
        --ratio=0.1 --units=64 --minibatch=64 \
        --dead_after=2 --resend_after=0.5 --checkpoint_seconds=2 \
        --transport=tcp "--port=$port" "--bind=${address_of[learner]}" \
        --insecure=true --progress=none
    for host in "${hosts[@]:1}"; do
        commands=()
        for name in "${names[@]}"; do
            [[ ${host_of[$name]} == "$host" ]] || continue
            commands+=(-- "$name")
            case $name in
            shard-*) commands+=("$(program softq-replay)"
                "--index=${name#shard-}") ;;
            *) commands+=("$(program softq-actor)"
                "--ledger=$run.ledger") ;;
            esac
            commands+=("--name=$name" "--run_dir=$run"
                "--join=tcp://${address_of[learner]}:$port" --transport=tcp
                "--port=$port" "--bind=${address_of[$host]}" --insecure=true)
        done
        supervise_on "$host" "${commands[@]}"
    done
}

read_clock() { # cs, in $now
    local up rest
    read -r up rest </proc/uptime
    now=$((10#${up/./}))
}

all_run() {
    local name
    for name in "${names[@]}"; do
        absent=$name
        pid_of "$run" "$name" || return
    done
}

# -- faults --

mends=() # "when kind victim [pid]"
declare -A ailing kills pauses

log_fault() {
    printf '%7.2f %s\n' "$((now - began))e-2" "$*" >>"$run/faults"
}

strike() {
    local kind=${faults[RANDOM % ${#faults[@]}]} dice=$RANDOM length victim value
    length=$((50 + RANDOM % (100 * longest - 50))) # cs
    value=$RANDOM
    case $kind in
    kill | pause)
        case $((dice % 3)) in
        0) victim=learner ;;
        1) victim=shard-$((dice / 3 % shards)) ;;
        2) victim=actor-$((dice / 3 % actors)) ;;
        esac
        ;;
    *) victim=${hosts[dice % ${#hosts[@]}]} ;;
    esac
    # the draws are the seed's whether or not something hinders the blow
    [[ -z ${ailing[$kind $victim]-} ]] || return
    hit "$kind" "$victim" "$length" "$value" || return
    count[$kind]=$((${count[$kind]-0} + 1))
}

hit() { # kind, victim, cs, dice
    case $1 in
    kill)
        may_be_killed "$2" && pid_of "$run" "$2" && kill -9 "$pid" || return
        kills[$2]=$now pauses[$2]=$pause
        log_fault kill "$2"
        return
        ;;
    pause)
        pid_of "$run" "$2" && kill -STOP "$pid" || return
        log_fault pause "$2" "for $3 cs"
        set -- "$1" "$2" "$3" "$pid"
        ;;
    cut_off)
        cut_off "$2" || return
        log_fault cut_off "$2" "for $3 cs"
        ;;
    slow_down)
        set -- "$1" "$2" "$3" $((64 << $4 % 4))
        slow_down "$2" "$4" || return
        log_fault slow_down "$2" "to $4 kbit/s for $3 cs"
        ;;
    lose_packets)
        set -- "$1" "$2" "$3" $((5 + $4 % 26))
        lose_packets "$2" "$4" || return
        log_fault lose_packets "$2" "$4 % for $3 cs"
        ;;
    esac
    ailing[$1 $2]=yes
    mends+=("$((now + $3)) $1 $2 $4")
}

# The supervisor waits twice as long after each life of less than a minute. Not
# so long that a round would be spent without its learner.
may_be_killed() { # process: sets pause
    local pause_before=${pauses[$1]-0} died=${kills[$1]-0}
    pause=1
    ((pause_before == 0 || now - died - 100 * pause_before >= 6000)) ||
        pause=$((2 * pause_before))
    ((pause <= longest_pause))
}

mend() { # all that is due by then
    local deadline=$1 i due kind victim value
    for i in "${!mends[@]}"; do
        read -r due kind victim value <<<"${mends[i]}"
        ((due <= deadline)) || continue
        case $kind in
        pause) kill -CONT "$value" 2>/dev/null ;; # or killed meanwhile
        *) "mend_$kind" "$victim" || not_ok "mend $kind $victim" ;;
        esac
        log_fault "mend $kind" "$victim"
        unset "mends[i]" "ailing[$kind $victim]"
    done
}

strike_for() { # cs
    local until next=0
    read_clock
    until=$((now + $1))
    while ((now < until)); do
        mend "$now"
        if ((now >= next)); then
            strike
            next=$((now + 30 + RANDOM % 270))
        fi
        sleep 0.1
        read_clock
    done
    mend $((now + 100000))
}

# -- recovery --

declare -A mark

mark_ledger() {
    local file
    mark=()
    for file in "$run".ledger/*.acked; do mark[$file]=$(stat -c %s "$file"); done
}

# Who has nothing new in the ledger since the mark: actors and shards.
without_news() {
    local file
    for file in "$run".ledger/*.acked; do
        tail -c "+$((${mark[$file]-0} + 1))" "$file" |
            awk -v name="${file##*/}" '
                { shards["shard-" $4]; n++ }
                END {
                    if (n) print substr(name, 1, length(name) - 23)
                    for (s in shards) print s
                }'
    done | sort -u | grep -vxFf - <(printf '%s\n' "${names[@]:1}")
}

# Two readings, each above the one before: a learner that began again from its
# checkpoint is below where it was.
updates_rise() {
    local at
    at=$(updates_of "$run")
    [[ $at =~ ^[0-9]+$ ]] || return
    ((last_updates < 0 || at <= last_updates)) || rises=$((rises + 1))
    last_updates=$at
    ((rises >= 2))
}

# Within recovery of now, sets $took (cs), or $silent: who does not go on.
recovers() {
    local from
    last_updates=-1 rises=0
    mark_ledger
    read_clock
    from=$now
    while :; do
        silent=$(without_news | tr '\n' ' ')
        updates_rise || silent="learner $silent"
        read_clock
        took=$((now - from))
        [[ -n $silent ]] || return 0
        ((took < recovery * pace)) || return 1
        sleep 0.3
    done
}

why_stuck() {
    echo "$silent; faults:"
    tail -n 12 "$run/faults"
    tail -n 4 "$run"/logs/*.log
    (on_host learner timeout 8 "$(program softq-learner)" --status="$run")
}

play_rounds() {
    local left rounds=0 slowest=0
    left=$(awk -v m="$minutes" 'BEGIN { print int(m * 6000) }')
    while ((left > 0)); do
        strike_for $((left < round ? left : round))
        left=$((left - round))
        if ! within 20 all_run; then
            not_ok 'killed processes are started again' "$absent: \
$(tail -n 5 "$work/err")"
            return 1
        fi
        if ! recovers; then
            not_ok "all goes on within $((recovery / 100)) s of the last mending" \
                "$(why_stuck 2>&1)"
            return 1
        fi
        log_fault "all goes on after $took cs"
        rounds=$((rounds + 1))
        ((took <= slowest)) || slowest=$took
    done
    ok "all goes on within $((recovery / 100)) s of the last mending ($rounds \
rounds, slowest $((slowest / 100)).$((slowest % 100 / 10)) s)"
}

# -- the end --

stop_hosts() { # host...
    local host
    for host; do kill -TERM "${supervisor_of[$host]}" 2>/dev/null; done
    for host; do
        within 15 ended "${supervisor_of[$host]}" || return
        wait "${supervisor_of[$host]}" || return
    done
}

# Actors first, so that what the learner was last told is all there is.
end_run() {
    if ! stop_hosts "${hosts[@]:3}"; then
        not_ok 'actors end with 0' "$(tail -n 5 "$work/err")"
    fi
    sleep $((2 * pace)) # a heartbeat
    if ! stop_hosts learner shard-0 shard-1; then
        not_ok 'learner and shards end with 0' "$(tail -n 5 "$work/err")"
    fi
}

# Only our own kill -9 (137) and the end (0) are reasons to end.
nobody_ended_by_itself() {
    local others # "DATE TIME NAME (PID) ended with status N"
    others=$(awk '$4 ~ /^\(/ && $5 == "ended" && $NF != 137 && $NF != 0' \
        "$run/logs/supervise.log")
    if [[ -n $others ]]; then
        not_ok "${FUNCNAME[0]}" "$others"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# Kinds of fault that never struck: what makes them failed each time.
idle_faults() {
    local kind
    for kind in "${faults[@]}"; do
        ((${count[$kind]-0} > 0)) || echo "$kind"
    done
}

everything_was_tried() {
    local idle
    idle=$(idle_faults)
    if awk -v m="$minutes" 'BEGIN { exit !(m < 3) }'; then
        skip "${FUNCNAME[0]}" "less than 3 minutes"
    elif [[ -n $idle ]]; then
        not_ok "${FUNCNAME[0]}" "never struck: ${idle//$'\n'/, }"
    else
        ok "${FUNCNAME[0]}"
    fi
}

# Only what waited at a shard that is declared dead goes to another one, and
# that is a window at most; sent again to the shard itself, it is recognised.
most_duplicates() { # run
    echo $((actors * window * $(declared_dead "$1" .)))
}

few_duplicates() { # run
    (($(audited "$1" duplicate_batches) <= $(most_duplicates "$1")))
}

the_judge_can_say_no() {
    local invented=$work/invented faults=(kill pause)
    local -A count=([kill]=1 [pause]=1)
    mkdir -p "$invented/logs"
    echo 'shard 1 is silent: sampling goes on without it' \
        >"$invented/logs/learner.log"
    echo "duplicate_batches $((actors * window))" >"$invented.audit"
    if ! few_duplicates "$invented" || [[ -n $(idle_faults) ]]; then
        not_ok "${FUNCNAME[0]}" 'refuses what is within the bounds'
    fi
    echo "duplicate_batches $((actors * window + 1))" >"$invented.audit"
    unset 'count[pause]'
    if few_duplicates "$invented"; then
        not_ok "${FUNCNAME[0]}" 'one duplicate too many is not found'
    elif [[ $(idle_faults) != pause ]]; then
        not_ok "${FUNCNAME[0]}" 'a kind that never struck is not found'
    else
        ok "${FUNCNAME[0]}"
    fi
}

judge_rows() {
    local counted stored
    if passes_audit "$run"; then
        ok "what was acknowledged is stored, once a shard, and nothing else \
($(audited "$run" acked_batches) batches, $(audited "$run" duplicate_batches) \
of $(audited "$run" moved_batches) moved ones in both shards)"
    else
        not_ok 'what was acknowledged is stored' "$(cat "$run.audit")"
    fi
    if few_duplicates "$run"; then
        ok "batches in both shards are bounded ($(audited "$run" \
            duplicate_batches) of at most $(most_duplicates "$run"))"
    else
        not_ok 'batches in both shards are bounded' "$(audited "$run" \
            duplicate_batches), at most $(most_duplicates "$run")"
    fi
    [[ $(audited "$run" overwritten_batches) == 0 ]] ||
        not_ok 'no ring wraps' "$(cat "$run.audit")"
    counted=$(awk '$1 == "ring" { n += $3 } END { print n + 0 }' "$run/state")
    stored=$(audited "$run" stored_rows)
    if [[ $counted == "$stored" && $stored == "$(audited "$run" present_rows)" ]]; then
        ok "the learner counted the rings' rows ($stored)"
    else
        not_ok "the learner counted the rings' rows" \
            "it $counted, they $stored, of which $(audited "$run" present_rows)"
    fi
}

judge_by_evaluation() {
    local reached least episodes=300
    if [[ $judge_policy == no ]]; then
        skip 'the policy reaches the goals' 'a sanitised build learns too slowly'
        return
    fi
    "$(program softq-actor)" --evaluate="$run" --episodes=$episodes \
        >"$run.evaluation" 2>&1
    read -r reached least < <(tr -d '[]:,"' <"$run/evaluation.json" | awk '
        $1 == "success_rate" { rate = $2 }
        $1 == "goal_counts" { least = $2
            for (i = 3; i <= NF; i++) if ($i < least) least = $i }
        END { print rate, least }')
    if awk -v r="${reached:-0}" -v l="${least:-0}" -v n=$episodes \
        'BEGIN { exit !(r >= 0.9 && l >= 0.1 * n) }'; then
        ok "the policy reaches the goals ($reached of the episodes; the \
rarest goal in $least of $episodes)"
    else
        not_ok 'the policy reaches the goals' "$reached of the episodes; the \
rarest goal in $least of $episodes, after $(updates_of "$run") updates"
    fi
}

main() {
    local kind
    echo "seed $seed"
    RANDOM=$seed
    the_judge_can_say_no
    set_the_table
    start_run
    if ! within 60 has_updates "$run" 200; then
        not_ok 'a run starts' "$(tail -n 5 "$work/err" "$run"/logs/*.log)"
        return
    fi
    read_clock
    began=$now
    play_rounds || return
    if [[ $judge_policy == yes ]] && ! within 180 has_updates "$run" \
        "$enough_updates"; then
        not_ok "$enough_updates updates" "only $(updates_of "$run")"
    fi
    end_run
    for kind in "${faults[@]}"; do
        echo "# $kind: ${count[$kind]-0}"
    done
    everything_was_tried
    nobody_ended_by_itself
    judge_rows
    judge_by_evaluation
}

main
summary
