# Sourced by the system tests: real processes in a folder of their own under
# /tmp, found by it again. Every case prints `ok NAME` or `not ok NAME: why`.
# SOFTQ_BUILD: folder of the programs' build.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(cd "$root" && cd "${SOFTQ_BUILD:-build}" 2>/dev/null && pwd) || {
    echo "not ok build: there is no ${SOFTQ_BUILD:-build}"
    exit 1
}
export SOFTQ_BUILD=$build
work=$(mktemp -d /tmp/softq-test-XXXXXX)
failures=0 failed_run=''
pace=1 # factor on times: a sanitised build is slower
[[ $build != *san* ]] || pace=2

ok() {
    echo "ok $1"
}

not_ok() { # name, why
    echo "not ok $1${2:+: $2}"
    failures=$((failures + 1))
    failed_run=$work
}

skip() { # name, why
    echo "ok $1 # SKIP $2"
}

# What the script needs is not here: that ends it, in CI as a failure.
lacks() { # name, what
    if [[ ${CI-} == true ]]; then
        not_ok "$1" "$2"
        exit 1
    fi
    skip "$1" "$2"
    exit 0
}

program() { # a binary by its name
    local found
    found=$(find "$build" -maxdepth 3 -name "$1" -type f -perm -u+x | head -n 1)
    echo "${found:-$build/$1}"
}

# The first python3 that has these modules, or status 1: Debian's are not seen
# by another one that comes first on the path.
python_with() { # module...
    local found
    for found in python3 /usr/bin/python3; do
        if "$found" -c "$(printf 'import %s\n' "$@")" 2>/dev/null; then
            command -v "$found"
            return
        fi
    done
    return 1
}

# Live processes whose command line names the word (a run's folder).
processes_of() {
    local dir stat line
    for dir in /proc/[0-9]*; do
        [[ ${dir#/proc/} != "$$" && ${dir#/proc/} != "$BASHPID" ]] || continue
        { line=$(tr '\0' ' ' <"$dir/cmdline"); } 2>/dev/null || continue
        [[ $line == *"$1"* ]] || continue
        { stat=$(<"$dir/stat"); } 2>/dev/null || continue
        stat=${stat##*) }
        [[ ${stat:0:1} == [ZX] ]] || echo "${dir#/proc/} $line"
    done
}

pids_of() { # run, program
    processes_of "$1" | awk -v name="$2" '$2 ~ name "$" { print $1 }'
}

pid_named() { # run, a process's name in it
    processes_of "$1" | awk -v name="--name=$2" \
        '$2 ~ /softq-[a-z]+$/ && index($0 " ", name " ") { print $1 }'
}

# Of its newest life, in $pid; false when it is not there.
pid_of() { # run, a supervised process's name
    pid=$(awk -v name="$2" '$3 == name && $4 == "started" { p = $6 }
        END { print p }' "$1/logs/supervise.log")
    [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null
}

declared_dead() { # run, shard ('.': any): how often, by the learner's log
    cat "$1"/logs/learner.log* |
        grep -c "shard $2 is silent: sampling goes on without it"
}

# Wait until the command succeeds, at most that many seconds.
within() {
    local end=$((SECONDS + $1 * pace))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

gone() {
    [[ -z $(processes_of "$1") ]]
}

updates_of() { # the newest row of progress.csv
    tail -n 1 "$1/progress.csv" 2>/dev/null | cut -d, -s -f2 | grep -x '[0-9]*'
}

has_updates() { # run, how many
    local n
    n=$(updates_of "$1")
    [[ $n =~ ^[0-9]+$ ]] && ((n >= $2))
}

# A run of the multigoal task in the background, its launcher in $launcher. A
# script's background jobs ignore Ctrl-C; this one must not.
small=(--no-install --warmup=200 --units=32 --value_particles=8
    --particles_fixed=4 --particles_moved=4 --minibatch=16
    --replay_size=200000 --evaluation_episodes=20 --checkpoint_seconds=1
    --max_updates=0 --progress=lines --idle_priority=false)

# shellcheck disable=SC2034 # the scripts read $launcher
launch() { # run, further options
    local run=$1
    shift
    env --default-signal=INT "$root/deploy/local.sh" multigoal "${small[@]}" \
        --run_dir="$run" "$@" >"$run.out" 2>"$run.err" </dev/null &
    launcher=$!
}

ended() {
    ! kill -0 "$1" 2>/dev/null
}

# Sets status: the launcher's, or "late" after so many seconds.
finish() { # launcher, seconds
    status=late
    within "$2" ended "$1" || return
    wait "$1"
    # shellcheck disable=SC2034 # the scripts read it
    status=$?
}

has_evaluation() {
    local key
    for key in episodes mean_return std_return min_return max_return \
        mean_length goal_counts success_rate; do
        grep -q "\"$key\"" "$1/evaluation.json" 2>/dev/null || return 1
    done
}

goes_on() { # run: fifty updates more
    local at
    at=$(updates_of "$1")
    within 30 has_updates "$1" $((${at:-0} + 50))
}

# However long the kills took: stop, and let a resumed run end at its limit.
end_by_limit() { # run
    kill -INT "$launcher"
    finish "$launcher" 20
    "$root/deploy/local.sh" --no-install --resume "$1" --max_seconds=1 \
        --progress=lines --ledger="$1.ledger" >>"$1.out" 2>>"$1.err" </dev/null &
    finish $! 60
}

acks_of() { # run: how many batches the ledger says are stored
    cat "$1".ledger/*.acked 2>/dev/null | grep -c .
}

has_acks() { # run, how many
    (($(acks_of "$1") >= $2))
}

# Is all that was acknowledged where it should be? The judge's figures are in
# $1.audit.
passes_audit() { # run
    "$(program softq-replay)" --audit="$1" --ledger="$1.ledger" \
        >"$1.audit" 2>&1
}

audited() { # run, figure
    awk -v name="$2" '$1 == name { print $2 }' "$1.audit"
}

# Status 2 within 60 s, one line on stderr, and the line has the word.
refuses() { # name, word, command...
    local name=$1 word=$2 status lines
    shift 2
    timeout -k 2 $((60 * pace)) "$@" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    lines=$(grep -c . "$work/err")
    if [[ $status != 2 ]]; then
        not_ok "$name" "status $status: $(head -c 300 "$work/err")"
    elif [[ $lines != 1 ]] || ! grep -qF -- "$word" "$work/err"; then
        not_ok "$name" "$lines lines, not one with '$word': \
$(head -c 300 "$work/err")"
    else
        ok "$name"
    fi
}

clean_up() {
    local pid
    for pid in $(processes_of "$work" | cut -d' ' -f1); do
        kill -9 "$pid" 2>/dev/null
    done
    if [[ -n $failed_run && -n ${SOFTQ_KEEP-} ]]; then
        echo "kept: $failed_run"
    else
        rm -rf "$work"
    fi
}
trap clean_up EXIT

# The last line of every script.
summary() {
    ((failures == 0))
}
