#!/bin/bash
# Many actors on this machine, and a verdict: is every acknowledged row stored?
#
#   deploy/stress.sh [--actors N] [--shards R] [--minutes M] [--task TASK]
#                    [--simulated [--rate T] [--spec S,A]]
#                    [--faults] [--seed S] [--run_dir RUN] [--keep]
#                    [--audit=false] [--no-install] [--name=value ...]
#   deploy/stress.sh --report RUN      of a run that was kept, once more
#
# `--name value` and `--name=value` are the same. Starts a learner, R shards (4)
# and N actors (16): real ones that play TASK (swimmer), or with --simulated one
# softq-simulate that speaks for all N over connections of their own and sends T
# transitions a second in total (10000; 0: as fast as the windows let) of S and A
# numbers (8,2). --faults kills (-9), stops and continues processes until 15 s
# before the end, in an order that follows from --seed (1). M may be a fraction
# (1). Other options are those of softq-learner --help; what stress.sh sets on
# top of the preset: ratio 1 (simulated: 0, so that nobody waits), networks of
# 32 units with few particles, a window of 4 batches (simulated: 16), rings of
# 60000 rows over all shards, so that they wrap (simulated: 2000000).
#
# Every few seconds a line: rows stored and updates a second; how long inserts
# took from send to Inserted over the last seconds, in ms; actors here and with
# parameters; RssAnon of the learner, the greatest shard and all actors, in MiB.
# At the end percentiles, counts, RssAnon's growth over the second half, and the
# verdict. RUN/stress.csv and RUN/rss.csv have all of it; RUN is runs/stress-TIME
# if it is not given. Rings and ledger go at the end, unless --keep or a finding.
#
# Exit status: 0; 1 when an acknowledged row is missing or altered, no row was
# stored or no update made in the last quarter (at least 10 s, without faults at
# most 60), the learner did not answer at the end, the run ended early, without
# faults a process ended by itself, an actor was never served parameters, or, of
# 10 minutes or more without faults, a process grew by more than max(256 KiB, 1 %)
# in the second half, of an hour or more by 1 % an hour, or was not there to be
# measured; 2 a wrong option.
# After Ctrl-C nothing is said of memory or of the end.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"
# shellcheck source=deploy/stress_report.sh
. "$here/stress_report.sh"

actors=16 shards=4 minutes=1 task=swimmer simulated='' rate=10000 spec=8,2
faults='' seed=1 run='' keep='' audit=yes install=() options=() reported=''
interrupted='' supervisor='' began=0 seconds=60 final='' served_most=0 early=''
programs=(softq-actor softq-replay softq-learner softq-simulate)
readonly line_every=5 calm=15 # s
readonly patience=60          # s for a last answer: of a learner that starts again

# -- the command line --

switch() { # a value that means yes or no
    case $1 in
    true | yes | '') echo yes ;;
    false | no) ;;
    *) refuse "'$1' is neither true nor false" ;;
    esac
}

number() { # option, value, pattern, range in words
    [[ $2 =~ ^$3$ ]] || refuse "$1 is '$2': give $4"
    echo "$2"
}

take_option() { # name with '_' for '-', value
    local whole='[1-9][0-9]{0,4}' real='[0-9]+(\.[0-9]+)?'
    case $1 in
    actors) actors=$(number "$1" "$2" "$whole" '1 to 99999') || exit 2 ;;
    shards) shards=$(number "$1" "$2" "$whole" '1 to 256') || exit 2 ;;
    minutes) minutes=$(number "$1" "$2" "$real" 'minutes, as 0.5') || exit 2 ;;
    seed) seed=$(number "$1" "$2" '[0-9]{1,9}' '0 to 999999999') || exit 2 ;;
    rate) rate=$(number "$1" "$2" "$real" 'rows a second') || exit 2 ;;
    spec) spec=$2 ;;
    task) task=$2 ;;
    run_dir) run=$2 ;;
    report) reported=$2 ;;
    simulated) simulated=$(switch "$2") || exit 2 ;;
    faults) faults=$(switch "$2") || exit 2 ;;
    keep) keep=$(switch "$2") || exit 2 ;;
    audit) audit=$(switch "$2") || exit 2 ;;
    join | index | name | lifeline | evaluate | status | ledger | resume)
        refuse "--$1 is not for a launch" ;;
    *) options+=("--$1=$2") ;;
    esac
}

read_arguments() {
    local name
    while (($#)); do
        name=${1%%=*}
        name=${name#--}
        name=${name//-/_}
        case $1 in
        --help | -h) help "$0" ;;
        --no-install | --no_install) install=(--no-install) ;;
        --simulated | --faults | --keep | --audit | --insecure)
            take_option "$name" true ;;
        --*=*) take_option "$name" "${1#*=}" ;;
        --?*)
            [[ $# -gt 1 && $2 != --* ]] || refuse "$1 needs a value"
            take_option "$name" "$2"
            shift
            ;;
        *) refuse "what is $1? Write --name=value (--help says which)" ;;
        esac
        shift
    done
    [[ -z $reported ]] || return
    [[ -e $here/presets/$task.ini ]] ||
        refuse "there is no task '$task': deploy/local.sh names them"
    seconds=$(awk -v m="$minutes" 'BEGIN { printf "%d", 60 * m + 0.5 }')
    ((seconds >= 5)) || refuse "minutes is $minutes: give at least 0.1"
}

# -- the run --

effective() { option_of "$run/launch.ini" "$1"; }

# The options as the learner takes them, the user's last.
configure() {
    local fast=(--units=32 --value_particles=8 --particles_fixed=4
        --particles_moved=4 --minibatch=32 --max_updates=0 --max_steps=0
        --max_seconds=0 --checkpoint_seconds=10 --threads=1)
    if [[ -n $simulated ]]; then
        fast+=(--ratio=0 --replay_size=2000000)
    else
        fast+=(--ratio=1 --replay_size=60000 --window=4 --environments=2)
    fi
    options=("--config=$here/presets/$task.ini" "--task=$task" "${fast[@]}"
        "--actors=$actors" "--shards=$shards" "--seed=$seed" --progress=none
        "${options[@]}")
    effective=$("$(built softq-learner)" "${options[@]}" --print_config) ||
        exit 2
    "$(built softq-simulate)" "--simulated_spec=$spec" "--simulated=$actors" \
        "--simulated_rate=$rate" --print_config >/dev/null || exit 2
}

make_run() {
    local stamp
    if [[ -z $run ]]; then
        printf -v stamp '%(%Y%m%d-%H%M%S)T' -1
        run=runs/stress-$stamp-$$
    elif [[ -e $run/config.ini || -e $run/state ]]; then
        refuse "$run is a run already: give another folder"
    fi
    mkdir -p -- "$run/logs" || exit 2
    run=$(cd -- "$run" && pwd -P)
    keep_programs "$run" "${programs[@]}"
    echo "$effective" >"$run/launch.ini" || exit 2
}

launch() {
    local i line beside ledger=()
    beside=$(beside_learner "${options[@]}")
    local commands=(-- learner "$run/bin/softq-learner" "--run_dir=$run"
        "${options[@]}")
    local peer=("--config=$run/launch.ini" "--join=$run" "--run_dir=$run")
    [[ -z $audit ]] || ledger=("--ledger=$run/ledger")
    for ((i = 0; i < shards; i++)); do
        commands+=(-- "shard-$i" "$run/bin/softq-replay" "${peer[@]}"
            "--index=$i")
    done
    if [[ -n $simulated ]]; then
        commands+=(-- actor-all "$run/bin/softq-simulate" "${peer[@]}"
            --name=simulated "--simulated=$actors" "--simulated_rate=$rate"
            "--simulated_spec=$spec" --log_level=warn "${ledger[@]}")
    else
        for ((i = 0; i < actors; i++)); do
            commands+=(-- "actor-$i" "$run/bin/softq-actor" "${peer[@]}"
                "--name=actor-$i" "$beside" "--idle_actors=$actors" "${ledger[@]}")
        done
    fi
    exec {line}<> <(:)
    supervise_under "$run" "$line" "${commands[@]}" &
    supervisor=$!
    began=$SECONDS
}

running() { kill -0 "$supervisor" 2>/dev/null; }

# shellcheck disable=SC2317 # a trap calls it
on_signal() {
    interrupted=yes
    kill -TERM "$supervisor" 2>/dev/null
}

# -- what is measured --

# "NAME PID" of each process as it was started last.
processes() {
    cat -- "$run/logs/supervise.log.old" "$run/logs/supervise.log" 2>/dev/null |
        awk '$4 == "started" && $5 == "as" { pid[$3] = $6 }
            END { for (name in pid) print name, pid[name] }'
}

# "NAME PID KIB" of those alive.
memory() {
    local names list=()
    names=$(processes)
    mapfile -t list < <(awk '{ print "/proc/" $2 "/status" }' <<<"$names")
    grep -H ^RssAnon "${list[@]}" 2>/dev/null |
        awk -v names="$names" '
            BEGIN {
                n = split(names, line, "\n")
                for (i = 1; i <= n; i++) {
                    split(line[i], f, " ")
                    name[f[2]] = f[1]
                }
            }
            { split($0, f, "/"); print name[f[3]], f[3], $2 }'
}

# $memory_every: s between two samples. However many processes: at most 25 MB a
# day; in a short run often enough for a verdict.
memory_period() {
    local processes=$actors
    [[ -z $simulated ]] || processes=1
    memory_every=$((5 + processes / 10))
    ((memory_every <= 5 + seconds / 20)) || memory_every=$((5 + seconds / 20))
}

note_memory() {
    local now=$((SECONDS - began)) list
    list=$(memory)
    [[ -n $list ]] || return
    awk -v t="$now" '{ print t "," $1 "," $2 "," $3 }' <<<"$list" \
        >>"$run/rss.csv"
    rss=$(awk '/^learner/ { l = $3 } /^shard/ && $3 > s { s = $3 }
        /^actor/ { a += $3 }
        END { printf "%.1f %.1f %.1f", l / 1024, s / 1024, a / 1024 }' \
        <<<"$list")
}

status() {
    setpriv --pdeathsig TERM -- timeout 4 "$run/bin/softq-learner" \
        "--status=$run" --log_level=error 2>/dev/null
}

# A line of the table and of stress.csv; $last: of the one before.
last='0 0 0'
show() {
    local text row
    text=$(status) || {
        printf '%5d s  no answer from the learner\n' $((SECONDS - began))
        return 1
    }
    row=$(awk '
        $1 == "shard" {
            for (i = 5; i < NF; i += 2) value[$i] += $(i + 1)
            next
        }
        { value[$1] = $2 }
        END {
            print value["stored"] + 0, value["updates"], value["recent_insert_us_p50"],
                value["recent_insert_us_p99"], value["recent_pull_us_p99"],
                value["sample_us_p50"], value["sample_us_p99"],
                value["actors"], value["actors_served"], value["busy"] + 0
        }' <<<"$text")
    awk -v t=$((SECONDS - began)) -v row="$row" -v last="$last" -v rss="${rss-0 0 0}" \
        -v csv="$run/stress.csv" '
        BEGIN {
            split(row, f, " ")
            split(rss, m, " ")
            split(last, l, " ")
            dt = t - l[1]
            stored = dt > 0 && f[1] > l[2] ? (f[1] - l[2]) / dt : 0
            updates = dt > 0 && f[2] > l[3] ? (f[2] - l[3]) / dt : 0
            printf "%5d s %9.0f %9.0f %9.2f %9.2f %9.2f %6d %6d %8.1f %7.1f %8.1f\n",
                t, stored, updates, f[3] / 1e3, f[4] / 1e3, f[7] / 1e3, f[8],
                f[9], m[1], m[2], m[3]
            printf "%d,%d,%d,%.1f,%.1f,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", t, f[1],
                f[2], stored, updates, f[3], f[4], f[5], f[6], f[7], f[8], f[9],
                m[1], m[2], m[3] >>csv
        }'
    last="$((SECONDS - began)) $row"
    final=$text
    served_most=$(awk -v most="$served_most" \
        '$1 == "actors_served" && $2 > most { most = $2 } END { print most }' \
        <<<"$text")
}

head_of_table() {
    printf '%7s %9s %9s %9s %9s %9s %6s %6s %8s %7s %8s\n' '' stored/s \
        updates/s 'ins p50' 'ins p99' 'smp p99' actors served learner shard \
        actors
    echo seconds,stored,updates,stored_per_second,updates_per_second,insert_us_p50,insert_us_p99,pull_us_p99,sample_us_p50,sample_us_p99,actors,served,rss_learner_mib,rss_shard_mib,rss_actors_mib \
        >"$run/stress.csv"
    echo seconds,name,pid,rss_anon_kib >"$run/rss.csv"
}

# -- faults --

frozen=()
fault_at=8

# One process, kill -9 or a pause of 1 to 7 s; RANDOM is seeded.
fault() { # seconds since the start
    local now=$1 list pick kind name pid rest=() f
    for f in "${frozen[@]}"; do
        if ((${f%% *} <= now)); then
            kill -CONT "${f#* }" 2>/dev/null
        else
            rest+=("$f")
        fi
    done
    frozen=("${rest[@]}")
    ((now >= fault_at && now < seconds - calm)) || return
    mapfile -t list < <(processes | sort)
    pick=$RANDOM kind=$((RANDOM % 2))
    fault_at=$((now + 3 + RANDOM % 5))
    # each role as often as the other, however many actors there are
    case $((pick % 5)) in
    0) mapfile -t list < <(printf '%s\n' "${list[@]}" | grep ^learner) ;;
    1 | 2) mapfile -t list < <(printf '%s\n' "${list[@]}" | grep ^shard) ;;
    *) mapfile -t list < <(printf '%s\n' "${list[@]}" | grep ^actor) ;;
    esac
    read -r name pid <<<"${list[$((RANDOM % ${#list[@]}))]}"
    if ((kind)); then
        kill -KILL "$pid" 2>/dev/null || return
        printf '%5d s  kill -9 %s\n' "$now" "$name"
    else
        f=$((1 + RANDOM % 7))
        kill -STOP "$pid" 2>/dev/null || return
        frozen+=("$((now + f)) $pid")
        printf '%5d s  stop %s for %d s\n' "$now" "$name" "$f"
    fi
}

heal() {
    local f
    for f in "${frozen[@]}"; do kill -CONT "${f#* }" 2>/dev/null; done
    frozen=()
}

watch() {
    local now next=0 next_memory=4
    memory_period
    while running; do
        now=$((SECONDS - began))
        ((now < seconds)) || return
        [[ -z $interrupted ]] || return
        if ((now >= next_memory)); then
            note_memory
            next_memory=$((now + memory_every))
        fi
        if ((now >= next)); then
            ((now == 0)) || show
            next=$((now + line_every))
        fi
        [[ -z $faults ]] || fault "$now"
        sleep 1
    done
    [[ -n $interrupted ]] || early='it ended before its time (logs/supervise.log)'
}

finish() {
    heal
    if [[ -z $interrupted ]]; then
        note_memory
        until show; do
            [[ -z $interrupted ]] || break
            ((SECONDS - began < seconds + patience)) || break
            running || break
            sleep 1
        done
    fi
    kill -TERM "$supervisor" 2>/dev/null
    wait "$supervisor"
    while running; do wait "$supervisor"; done
    remove_sockets "$run"
}

main() {
    read_arguments "$@"
    if [[ -n $reported ]]; then
        recall_facts
        report
        [[ -z $failed ]]
        exit
    fi
    "$here/install.sh" "${install[@]}" || exit 2
    build "${programs[@]}"
    configure
    make_run
    RANDOM=$seed
    echo "run $(shown_path "$run"): $actors ${simulated:+simulated }actors," \
        "$shards shards, $minutes minutes${faults:+, faults from seed $seed}"
    trap on_signal INT TERM HUP
    launch
    head_of_table
    watch
    finish
    keep_facts
    report
    if [[ -z $keep && -z $failed ]]; then
        rm -rf -- "${run:?}"/{ledger,replay,bin,checkpoints}
    fi
    [[ -z $failed ]]
}

main "$@"
