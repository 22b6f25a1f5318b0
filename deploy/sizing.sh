#!/bin/bash
# How much machine does a task take? A short run at the pace that each side makes
# alone, and what follows from it.
#
#   deploy/sizing.sh TASK [--seconds N] [--name=value ...]
#
# Starts deploy/local.sh TASK with those options on top and without a rate limiter
# (--ratio=0) in a folder of its own, looks at it for --seconds (20) once it is
# warm, stops it, and prints what an update, a step, a row and the parameters cost,
# and how many actors the learner takes at the ratio that the options or the preset
# give. --threads, --environments, --units, --minibatch and the particles are what
# changes the figures most. Costs are processor seconds of the processes, so that
# other work on the machine matters little; updates a second are by the clock.
#
# Exit status: 0; 2 refused, or the run did not come to updates.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

task='' seconds=20 launcher='' ratio='' options=()

read_arguments() {
    while (($#)); do
        case $1 in
        --help | -h) help "$0" ;;
        --seconds) seconds=${2-} && shift ;;
        --seconds=*) seconds=${1#*=} ;;
        --ratio=*) ratio=${1#*=} ;;
        --run[-_]dir=* | --resume* | --transport=*)
            refuse "${1%%=*} is set by deploy/sizing.sh itself" ;;
        --*) options+=("$1") ;;
        *)
            [[ -z $task ]] || refuse "one task at a time: $task or $1?"
            task=$1
            ;;
        esac
        shift
    done
    [[ -n $task ]] || refuse 'name a task: deploy/sizing.sh TASK (--help says more)'
    [[ $seconds =~ ^[1-9][0-9]{0,3}$ ]] ||
        refuse "--seconds $seconds: a whole number from 1 to 9999"
}

# shellcheck disable=SC2317 # a trap calls it
clean_up() {
    if [[ -n $launcher ]]; then
        kill -TERM "$launcher" 2>/dev/null
        wait "$launcher" 2>/dev/null
    fi
    rm -rf -- "$work"
}

# Of a process of the run: what it has used of the processors, in seconds.
used() { # its name
    local pid
    pid=$(sed -n "s/^.* $1 started as //p" "$run/logs/supervise.log" | tail -n 1)
    awk -v hertz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); print ($12 + $13) / hertz }' \
        "/proc/$pid/stat"
}

# A moment of the run, a `name value` a line.
look() { # file
    {
        "$here/status.sh" "$run" --table | grep -E '^[a-z_]+ [-0-9.e+]+$'
        echo "clock $EPOCHREALTIME"
        echo "learner_used $(used learner)"
        echo "shard_used $(used shard-0)"
        echo "actor_used $(used actor-0)"
    } >"$1" 2>/dev/null
}

is_warm() {
    look "$work/before" && grep -q '^updates [1-9]' "$work/before"
}

start() {
    env --default-signal=TERM "$here/local.sh" "$task" "${options[@]}" --ratio=0 \
        --actors=1 --shards=1 "--run_dir=$run" --max_updates=0 --max_seconds=0 \
        --max_steps=0 --progress=none >"$work/out" 2>"$work/err" </dev/null &
    launcher=$!
    until is_warm; do
        if ! kill -0 "$launcher" 2>/dev/null; then
            launcher=''
            cat -- "$work/err" >&2
            refuse "the run ended before its first update"
        fi
        sleep 0.2
    done
}

# The ratio that the run would have: the options', the preset's, the default.
wanted_ratio() {
    local file=$task found=$ratio
    [[ -f $file && $file == *.ini ]] || file=$here/presets/$task.ini
    [[ -n $found ]] || found=$(option_of "$file" ratio)
    echo "${found:-1}"
}

# The figures, and what follows from them.
tell() {
    awk -v ratio="$(wanted_ratio)" '
        FILENAME ~ /config.ini$/ { option[$1] = $3; next }
        FILENAME ~ /state$/ { if ($1 == "spec") { S = $2; A = $3 } next }
        FILENAME ~ /before$/ { before[$1] = $2; next }
        { after[$1] = $2 }
        function grown(name) { return after[name] - before[name] }
        function line(name, text) { printf "%-11s %s\n", name, text }
        END {
            units = option["units"]
            row = 8 * int((64 + 4 * (2 * S + A) + 7) / 8)
            phi = 4 * ((S + A + 1) * units + (units + 1) * units + (units + 1) * A)
            clock = grown("clock")
            updates = grown("updates") / clock
            if (grown("updates") < 1 || grown("steps") < 1 || grown("actor_used") <= 0) {
                print "sizing: too little was done: more --seconds" >"/dev/stderr"
                exit 2
            }
            step = grown("steps") / grown("actor_used")
            line("task", sprintf("%s: %d observations, %d actions", option["task"], S, A))
            line("update", sprintf("%.2f ms on %d threads, %.2f ms of processors; " \
                "%.0f a second at most", 1e3 * grown("trainer_seconds") / grown("updates"),
                after["trainer_threads"], 1e3 * grown("learner_used") / grown("updates"),
                grown("updates") / grown("trainer_seconds")))
            line("step", sprintf("%.1f us of a processor in an actor of %d environments: " \
                "%.0f a second and core", 1e6 / step, option["environments"], step))
            line("row", sprintf("%d bytes; replay_size = %d: %.0f MiB of disk in all", row,
                option["replay_size"], row * option["replay_size"] / 1048576))
            line("shard", sprintf("%.2g cores at %.0f rows in and %.0f out a second",
                grown("shard_used") / clock, grown("steps") / clock,
                updates * option["minibatch"]))
            wanted = grown("updates") / grown("trainer_seconds") / (ratio > 0 ? ratio : 1)
            if (ratio > 0)
                line("actors", sprintf("ratio %g: the learner takes %.0f steps a second, " \
                    "which is %.2g cores of actors", ratio, wanted, wanted / step))
            line("parameters", sprintf("%.0f kB; to N actors %.2f MB/s x N, at most %.1f " \
                "(parameter_rate; from N = %.0f on each pulls every N / %g s)", phi / 1e3,
                phi / option["pull_interval"] / 1e6, phi * option["parameter_rate"] / 1e6,
                option["parameter_rate"] * option["pull_interval"], option["parameter_rate"]))
            line("rows", sprintf("to the shards %.2f MB/s, minibatches from them %.2f MB/s",
                wanted * row / 1e6,
                grown("updates") / grown("trainer_seconds") * option["minibatch"] * row / 1e6))
        }' "$run/config.ini" "$run/state" "$work/before" "$work/after"
}

read_arguments "$@"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/softq-sizing-XXXXXX") || exit 2
run=$work/run
trap clean_up EXIT
trap 'exit 2' INT TERM HUP
start
sleep "$seconds"
look "$work/after"
tell
