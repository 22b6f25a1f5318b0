#!/bin/bash
# Rows out of a run and into another as numpy has them: what softq-replay
# exports is what the rings hold, of a live run too, and what numpy saves is
# imported, stored and deflated.
set -u
# shellcheck source=tests/system/lib.bash
. "$(dirname "$0")/../system/lib.bash"

replay=$(program softq-replay)
one=$work/one
python=$(python_with numpy) ||
    lacks data 'no python3 with numpy: deploy/install.sh --tests'

# Lines of Python with what they need; its last word in $said.
py() { # script, arguments...
    local script="import sys
sys.path.insert(0, '$root/deploy/examples')
import numpy as np
from read_ring import read_ring
$1"
    shift
    said=$("$python" -W error -c "$script" "$@" 2>&1)
}

# The rings by the fifteen lines of deploy/examples/read_ring.py.
same_as_rings() { # file.npz, run, shards
    py '
z = np.load(sys.argv[1])
rings = [read_ring("%s/replay/shard-%d.ring" % (sys.argv[2], i)) for i in range(int(sys.argv[3]))]
rows = np.concatenate(rings)
columns = dict(observations=rows["s"], actions=rows["a"], rewards=rows["r"], next_observations=rows["next"],
               terminals=(rows["flags"] & 1) > 0, truncations=(rows["flags"] & 2) > 0,
               shard=np.repeat(np.arange(len(rings)), [len(r) for r in rings]))
for name in ("actor", "epoch", "seq", "index", "version"):
    columns[name] = rows[name]
assert sorted(z) == sorted(columns), sorted(z)
for name, column in columns.items():
    assert z[name].shape == column.shape, (name, z[name].shape, column.shape)
    assert (z[name] == column).all(), name
types = dict(observations="<f4", actions="<f4", rewards="<f4", next_observations="<f4", terminals="|b1",
             truncations="|b1", actor="<u8", epoch="<u8", seq="<u8", index="<u4", version="<u8", shard="<u4")
assert {name: z[name].dtype.str for name in z} == types
print(len(rows))' "$@"
}

# So many shards are listed, each with so many rows or more.
shards_hold() { # run, shards, rows
    "$(program softq-learner)" --status="$1" 2>/dev/null | awk -v rows="$3" '
        $1 == "shard" && $4 == "listed" { for (i = 5; i < NF; i++) n += $i == "present" && $(i + 1) >= rows }
        END { exit n != '"$2"' }'
}

has_rows() { # run
    "$replay" --export="$1" --out="$work/probe.npz" 2>/dev/null
}

a_live_run_is_exported_and_then_the_ended_one() {
    local status
    launch "$one" --ratio=0.05 --shards=2 --replay_size=4000
    within 60 has_rows "$one" || not_ok "${FUNCNAME[0]}" 'no rows of a live run'
    "$replay" --export "$one" --out "$work/live.npz" 2>"$work/live.err"
    status=$?
    py 'z = np.load(sys.argv[1])
assert np.isfinite(z["observations"]).all() and (abs(z["actions"]) <= 1).all()
assert len(np.unique(np.stack([z["epoch"], z["seq"], z["index"].astype("u8")]), axis=1).T) == len(z["seq"])' \
        "$work/live.npz" || status="$status: $said"
    if [[ $status == 0 ]]; then
        ok "${FUNCNAME[0]}: live"
    else
        not_ok "${FUNCNAME[0]}: live" "$status $(tail -n 2 "$work/live.err")"
    fi
    within 60 shards_hold "$one" 2 2000
    kill -INT "$launcher"
    finish "$launcher" 30
    "$replay" --export="$one" --out="$work/one.npz" 2>"$work/one.err" ||
        not_ok "${FUNCNAME[0]}" "$(tail -n 2 "$work/one.err")"
    if same_as_rings "$work/one.npz" "$one" 2 && ((said == 4000)); then
        ok "${FUNCNAME[0]}: ended, by a reader of fifteen lines"
    else
        not_ok "${FUNCNAME[0]}: ended" "$said"
    fi
}

# The line of the README, as float64 and deflated too, in one run.
what_numpy_saves_is_imported() {
    local run=$work/two status
    py '
z = np.load(sys.argv[1])
o, a, r, p, t = (z[k] for k in ("observations", "actions", "rewards", "next_observations", "terminals"))
np.savez(sys.argv[2], observations=o, actions=a, rewards=r, next_observations=p, terminals=t)
h = slice(0, 1000)
np.savez_compressed(sys.argv[3], observations=o[h].astype("f8"), actions=a[h].astype("f8"), rewards=r[h] + 1.0,
                    next_observations=p[h], terminals=t[h].astype("u1"), truncations=z["truncations"][h])' \
        "$work/one.npz" "$work/plain.npz" "$work/deflated.npz" ||
        not_ok "${FUNCNAME[0]}" "$said"
    launch "$run" --import="$work/plain.npz:$work/deflated.npz" \
        --ratio=100 --shards=2 --replay_size=40000
    within 90 shards_hold "$run" 2 2500 # listed when all are imported
    kill -INT "$launcher"
    finish "$launcher" 30
    "$replay" --export="$run" --out="$work/two.npz" 2>"$work/two.err"
    py '
have, plain, deflated = (np.load(path) for path in sys.argv[1:])
theirs = have["actor"] == 2**64 - 1
names = ("observations", "actions", "rewards", "next_observations", "terminals")
def rows(z, pick=slice(None)):
    columns = [z[k][pick].astype("f4").reshape(len(z["rewards"][pick]), -1) for k in names]
    flags = z["truncations"][pick] if "truncations" in z else np.zeros(len(columns[0]))
    return np.hstack(columns + [flags.reshape(-1, 1)]).astype("f4")
want = np.concatenate([rows(plain), rows(deflated)])
got = rows(have, theirs)
order = lambda x: x[np.lexsort(x.T)]
assert got.shape == want.shape, (got.shape, want.shape)
assert (order(got) == order(want)).all()
print(len(got))' "$work/two.npz" "$work/plain.npz" "$work/deflated.npz"
    status=$?
    if [[ $status == 0 && $said == 5000 ]]; then
        ok "${FUNCNAME[0]}"
    else
        not_ok "${FUNCNAME[0]}" "$said $(tail -n 3 "$run.err")"
    fi
}

# What d4rl-like scripts get wrong first, each in one line, by numpy itself.
mistakes_are_said_in_one_line() {
    local run=$work/bad mistake word
    while IFS='|' read -r mistake word; do
        py "
z = dict(np.load(sys.argv[1]))
o, a, r, p, t = (z[k] for k in ('observations', 'actions', 'rewards', 'next_observations', 'terminals'))
$mistake
np.savez(sys.argv[2], observations=o, actions=a, rewards=r, next_observations=p, terminals=t)" \
            "$work/plain.npz" "$work/bad.npz" || not_ok "${FUNCNAME[0]}" "$said"
        rm -rf "$run" "$run.err"
        launch "$run" --import="$work/bad.npz" --max_updates=300
        finish "$launcher" 60
        if [[ $status != 2 ]]; then
            not_ok "${FUNCNAME[0]}: $mistake" "status $status"
        elif ! grep -rqF -- "import: $work/bad.npz: $word" "$run/logs"; then
            not_ok "${FUNCNAME[0]}: $mistake" "no '$word': $(grep -rh ' error: ' "$run/logs")"
        else
            ok "${FUNCNAME[0]}: $mistake"
        fi
    done <<'LIST'
a = a * 2|actions: 
o = np.asfortranarray(o)|observations: in Fortran order
LIST
}

a_live_run_is_exported_and_then_the_ended_one
what_numpy_saves_is_imported
mistakes_are_said_in_one_line
summary
