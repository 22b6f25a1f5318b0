#!/bin/bash
# What a run writes for other programs, read by those programs.
#
#   tests/export.sh
#
# Installs pinned versions of ONNX, onnxruntime, TensorBoard and safetensors
# from the package registry into a folder that is removed afterwards, trains
# two small runs (one killed and resumed), exports them and compares
# (tests/export/compare.py): onnxruntime's outputs with ours on 1000 inputs,
# TensorBoard's scalars with progress.csv, a checkpoint in Python. Prints `ok
# NAME` or `not ok NAME: why` a case; needs Python 3.10 or later with venv, the
# network, and a build (SOFTQ_BUILD: its folder).
set -u
root=$(cd -- "$(dirname -- "$(readlink -f -- "$0")")/.." && pwd -P)
build=${SOFTQ_BUILD:-$root/build}
# the pins may be overridden, for a look at older or newer ones
read -ra packages <<<"${EXPORT_PACKAGES:-onnx==1.23.2 onnxruntime==1.32.0 \
tensorboard==2.21.0 safetensors==0.8.0}"

# shellcheck disable=SC2317 # a trap calls it
clean_up() {
    local left
    left=$(jobs -p) # a run that we gave up on
    [[ -z $left ]] || { kill "$left" && wait; } 2>/dev/null
    rm -rf -- "$work"
}

small=(--no-install --warmup=200 --units=32 --value_particles=8
    --particles_fixed=4 --particles_moved=4 --minibatch=16 --progress=none
    --evaluation_episodes=5)

train() { # run, further arguments of local.sh
    local run=$1
    shift
    quiet "$root/deploy/local.sh" "$@" "${small[@]}" \
        --run_dir="$run" </dev/null ||
        give_up 'not ok' "no run: $(tail -n 3 "$work/log")"
}

# Killed between two checkpoints, so that TensorBoard has something to forget.
kill_and_resume() { # run
    local learner updates=0 end=$((SECONDS + 60))
    quiet "$root/deploy/local.sh" multigoal "${small[@]}" \
        --observation_normalisation=true --twin_q=true --max_updates=0 \
        --max_seconds=16 --checkpoint_seconds=5 --run_dir="$1" </dev/null &
    until ((updates > 0)) && compgen -G "$1/checkpoints/*.safetensors" >/dev/null; do
        ((SECONDS < end)) ||
            give_up 'not ok' "no checkpoint: $(tail -n 3 "$work/log")"
        sleep 0.2
        updates=$(tail -n 1 "$1/progress.csv" 2>/dev/null | cut -d, -f2)
        [[ $updates =~ ^[0-9]+$ ]] || updates=0
    done
    sleep 4 # rows beyond the checkpoint
    learner=$(head -n 1 "$1/lock")
    kill -9 "$learner"
    wait $!
    (($(find "$1/tensorboard" -type f | wc -l) == 2)) ||
        give_up 'not ok' "no second learner: $(tail -n 3 "$work/log")"
}

compare() { # run
    quiet "$root/deploy/export.sh" "$1" ||
        give_up 'not ok' "no export: $(tail -n 1 "$work/log")"
    "$work/venv/bin/python" "$root/tests/export/compare.py" \
        "$build/tests/export/export_driver" "$1" "$1/export" 2>"$work/err" &&
        return
    tail -n 5 "$work/err" >&2
    return 1
}

work=$(mktemp -d /tmp/softq-export-XXXXXX)
trap clean_up EXIT
trap 'exit 1' INT TERM
export SOFTQ_BUILD=$build
# shellcheck source=tests/python.bash
. "$root/tests/python.bash"
python_environment "$work/venv" "${packages[@]}" ||
    give_up skip "no onnxruntime: $(tail -n 1 "$work/log")"
versions_in "$work/venv" onnx onnxruntime tensorboard safetensors
kill_and_resume "$work/multigoal"
# its motor takes [-3, 3], and it has a noise set
train "$work/inverted-pendulum" inverted-pendulum --max_updates=300 \
    --noise_set=4
status=0
compare "$work/multigoal" || status=1
compare "$work/inverted-pendulum" || status=1
exit "$status"
