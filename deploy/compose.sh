#!/bin/bash
# Trains a sampler for the mean of several runs' Q functions, on the union of
# what those runs stored and without a step in any environment: the policy that
# does all their tasks at once, as far as they can be done at once (Haarnoja et
# al. 2018).
#
#   deploy/compose.sh RUN RUN [RUN ...] [--task=TASK] [--name=value ...]
#
# The result is a run like any other: deploy/evaluate.sh plays it, on TASK, the
# first run's own if none is named. Settings are the first run's; --max_updates
# is 10000 and --sampler_average 0.995 if not given. The runs must have ended,
# be of soft Q-learning, and agree in alpha (what they ended with), gamma,
# reward_scale, value_measure and shapes, or are refused.
#
# Ctrl-C, --resume and the exit status: as with deploy/local.sh.
set -u

here=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd -P)
# shellcheck source=deploy/common.sh
. "$here/common.sh"

runs=() options=() task=''

while (($#)); do
    case $1 in
    --help | -h) help "$0" ;;
    --task=*) task=${1#*=} ;;
    --resume*) refuse 'a composition goes on like any run: deploy/local.sh' \
        '--resume RUN' ;;
    --no-install) options+=("$1") ;;
    --algorithm* | --ratio* | --actors* | --compose* | --import* | --lockstep*)
        refuse "${1%%=*} is not for a composition: it learns from what its" \
            'runs have stored, without actors' ;;
    --*=*) options+=("$1") ;;
    --?*)
        [[ $# -gt 1 && $2 != --* ]] || refuse "$1 needs a value"
        options+=("$1=$2")
        shift
        ;;
    *)
        run=$(existing_run "$1") || exit 2
        case $run in *:*) refuse "the path $run holds a ':', which separates" \
            'runs: rename it' ;; esac
        [[ ! -e $run/lock ]] || flock -n -s "$run/lock" true 2>/dev/null ||
            refuse "$1 is running: end it first (Ctrl-C there)"
        [[ -n $(newest_checkpoint "$run") ]] ||
            refuse "$1 has no checkpoint yet"
        for other in "${runs[@]}"; do
            [[ $run != "$other" ]] || refuse "$1 is named twice: name runs of" \
                'different tasks'
        done
        runs+=("$run")
        ;;
    esac
    shift
done
((${#runs[@]} >= 2)) ||
    refuse 'name two runs or more: deploy/compose.sh RUN RUN [RUN ...]'

# The rows that a run's rings hold, at most. A ring may hold more than its shard
# had reported when the run ended, but no more than the last grant: slack rows.
stored_by() { # run
    local size shards slack
    size=$(option_of "$1/config.ini" replay_size)
    shards=$(option_of "$1/config.ini" shards)
    slack=$(option_of "$1/config.ini" slack)
    awk -v most="$((size / shards))" -v slack="$slack" '
        $1 == "ring" { rows += $3 + slack < most ? $3 + slack : most }
        END { print rows + 0 }' "$1/state"
}

rows=0
for run in "${runs[@]}"; do
    ((rows += $(stored_by "$run")))
done
joined=$(IFS=: && echo "${runs[*]}")
minibatch=$(option_of "${runs[0]}/config.ini" minibatch)
exec "$here/local.sh" "${task:-$(option_of "${runs[0]}/config.ini" task)}" \
    "--compose=$joined" --algorithm=compose --ratio=0 --actors=0 --shards=1 \
    --lockstep=false --init_from= --temperature=constant --noise_set=0 --exploration=none \
    --progress=auto --max_updates=10000 --max_steps=0 --max_seconds=0 --sampler_average=0.995 \
    "--warmup=$minibatch" "--replay_size=$rows" "${options[@]}"
