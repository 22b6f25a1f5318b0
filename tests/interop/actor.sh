#!/bin/bash
# actor.py, the protocol's documented example, in real runs: alone, beside C
# actors, and while shard and learner are killed.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

learner=$(program softq-learner) replay=$(program softq-replay)
actor=$(program softq-actor) ring_dump=$(program ring_dump)
needs='python3 with numpy, zmq and protobuf, and protoc: deploy/install.sh --tests'
python=$(python_with numpy zmq google.protobuf) || lacks actor "no $needs"
command -v protoc >/dev/null || lacks actor "no $needs"

# The sampler on random parameters, with and without normalised observations,
# also with such a large pre-squash that tanh is 1.
its_policy_is_ours() {
    local said
    said=$("$python" -c '
import subprocess, sys
sys.path.insert(0, sys.argv[1])
sys.argv[1:] = sys.argv[2:]
import numpy as np
from actor import Policy, softq
rng, worst = np.random.default_rng(1), 0
for S, A, H, scale in ((2, 2, 32, 1), (17, 6, 64, 1), (3, 1, 128, 5)):
    P, n = S * H + A * H + H + H * H + H + H * A + A, 500
    phi = (scale * rng.normal(size=P) / np.sqrt(H)).astype("<f4")
    s, xi, mean = (rng.normal(size=shape).astype("<f4") for shape in ((n, S), (n, A), S))
    deviation = rng.uniform(0.1, 20, S).astype("<f4")
    for observed in (0, 1):
        head = np.array([S, A, H, n, observed], "<u4")
        normal = [mean, deviation] if observed else []
        out = subprocess.run([sys.argv[1]], input=b"".join(x.tobytes() for x in [head, phi, s, xi] + normal),
                             stdout=subprocess.PIPE, check=True).stdout
        message = softq.Parameters(phi=phi.tobytes(), mean=mean.tobytes() if observed else b"",
                                   scale=deviation.tobytes() if observed else b"")
        ours, policy = np.frombuffer(out, "<f4").reshape(n, A), Policy(message, S, A, H)
        theirs = policy.act(s, xi)
        for name in ("ws", "wx", "b1", "w2", "b2", "w3", "b3", "mean", "scale"):
            setattr(policy, name, getattr(policy, name).astype("f8"))
        exact = policy.act(s.astype("f8"), xi.astype("f8"))
        x = np.clip((s - policy.mean) * policy.scale, -10, 10) if observed else s
        h = np.maximum(np.maximum(x @ policy.ws + xi @ policy.wx + policy.b1, 0) @ policy.w2 + policy.b2, 0)
        rounding = 2**-24 * (1 + (h @ abs(policy.w3) + abs(policy.b3)) * (1 - exact**2))
        for acts in (ours, theirs):
            worst = max(worst, (abs(acts - exact) / rounding).max())
assert worst < 8, worst
print("%.1f" % worst)' "$root/tests/interop" "$(program policy_act)" 2>&1)
    if [[ $said =~ ^[0-9.e-]+$ ]]; then
        ok "${FUNCNAME[0]} (within $said roundings of the last sum)"
    else
        not_ok "${FUNCNAME[0]}" "$said"
    fi
}

start_learner() { # run, options...
    local run=$1
    shift
    "$learner" --run_dir="$run" --task=multigoal --units=32 --minibatch=16 \
        --value_particles=8 --particles_fixed=4 --particles_moved=4 \
        --warmup=200 --ratio=0.1 --replay_size=1000000 --progress=none \
        --resend_after=0.3 --actors=2 "$@" 2>>"$run.learner.log" &
    within 30 test -e "$run/address"
}

start_shard() { # run, index, options...
    local run=$1 index=$2
    shift 2
    "$replay" --join="$run" --run_dir="$run" --index="$index" "$@" \
        2>>"$run.shard-$index.log" &
}

start_python() { # run, number
    "$python" "$root/tests/interop/actor.py" "$1" >"$1.python-$2" 2>&1 &
}

# Rows in the rings and rows that Python actors call acknowledged.
stored() { # run
    "$ring_dump" "$1"/replay/shard-*.ring |
        awk '{ n += $4 } END { print n + 0 }'
}
acknowledged() { # run
    sed -n 's/.* \([0-9]*\) rows acknowledged.*/\1/p' "$1".python-* |
        awk '{ n += $1 } END { print n + 0 }'
}

# Two of them alone train a run to its end, over two shards.
they_alone_train_a_run() {
    local run=$work/alone one two status
    start_learner "$run" --shards=2 --max_updates=1000
    start_shard "$run" 0
    start_shard "$run" 1
    start_python "$run" 1
    one=$!
    start_python "$run" 2
    two=$!
    finish "$one" 120
    local first=$status
    finish "$two" 30
    within 30 gone "$run"
    if [[ $first/$status != 0/0 ]] ||
        ! grep -q 'max_updates reached' "$run".python-{1,2}; then
        not_ok "${FUNCNAME[0]}" "status $first, $status: $(cat "$run".python-*)"
    elif [[ $(updates_of "$run") != 1000 ]]; then
        not_ok "${FUNCNAME[0]}" "$(updates_of "$run") updates"
    elif (($(acknowledged "$run") < 10000 - 1024 ||
        $(stored "$run") < $(acknowledged "$run"))); then
        not_ok "${FUNCNAME[0]}" \
            "$(stored "$run") rows, $(acknowledged "$run") acknowledged"
    elif (($(cut -d, -f6 "$run/progress.csv" | tail -n 1) < 1)); then
        not_ok "${FUNCNAME[0]}" "no episodes: $(tail -n 1 "$run/progress.csv")"
    else
        ok "${FUNCNAME[0]} ($(stored "$run") rows)"
    fi
}

# So that its locks are free.
kill_all_the_way() { # run, program
    local pid
    pid=$(pids_of "$1" "$2")
    kill -9 "$pid"
    wait "$pid" 2>/dev/null
}

# Acknowledged to each of the two, as their heartbeats say.
both_have_rows() { # run, how many
    "$learner" --status="$1" 2>/dev/null | awk -v least="$2" '
        $1 == "actor" { for (i = 4; i < NF; i += 2) n += $i == "acknowledged" && $(i + 1) >= least }
        END { exit n < 2 }'
}

# A C actor beside it; shard and learner killed in turn: it goes on, and what
# it was told is stored is there.
it_goes_on_through_kills() {
    local run=$work/kills guest status
    start_learner "$run" --checkpoint_seconds=0.5
    start_shard "$run" 0
    "$actor" --join="$run" --run_dir="$run" 2>>"$run.actor.log" &
    start_python "$run" 1
    guest=$!
    within 60 has_updates "$run" 100 || not_ok "${FUNCNAME[0]}" 'no updates'
    kill_all_the_way "$run" softq-replay
    start_shard "$run" 0
    goes_on "$run" || not_ok "${FUNCNAME[0]}" 'no updates after the shard'
    within 30 compgen -G "$run/checkpoints/*" >/dev/null
    kill_all_the_way "$run" softq-learner
    start_learner "$run" --checkpoint_seconds=0.5
    goes_on "$run" || not_ok "${FUNCNAME[0]}" 'no updates after the learner'
    within 60 both_have_rows "$run" 1500
    kill -TERM "$(pids_of "$run" softq-learner)"
    finish "$guest" 30
    within 30 gone "$run" || not_ok "${FUNCNAME[0]}" "$(processes_of "$run")"
    local actors
    actors=$("$ring_dump" "$run"/replay/shard-0.ring |
        awk '$5 == 1 { n[$1] += $4 } END { for (a in n) if (n[a] > 1000) many++
            print many + 0 }')
    if [[ $status != 0 ]]; then
        not_ok "${FUNCNAME[0]}" "status $status: $(tail -n 3 "$run.python-1")"
    elif (($(stored_by_python "$run") < $(acknowledged "$run") ||
        $(acknowledged "$run") < 1000 || actors != 2)); then
        not_ok "${FUNCNAME[0]}" "$(stored_by_python "$run") rows, \
$(acknowledged "$run") acknowledged, $actors actors"
    else
        ok "${FUNCNAME[0]} ($(acknowledged "$run") rows)"
    fi
}

# Rows of the one whose rank is not the C actor's.
stored_by_python() { # run
    local rank
    rank=$(sed -n 's/.*welcome: rank \([0-9]*\),.*/\1/p' "$1.actor.log" |
        head -n 1)
    "$ring_dump" "$1"/replay/shard-*.ring |
        awk -v c="$rank" '$1 != c { n += $4 } END { print n + 0 }'
}

its_policy_is_ours
they_alone_train_a_run
it_goes_on_through_kills
summary
