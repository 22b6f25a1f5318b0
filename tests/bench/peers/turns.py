"""What the peers share: the learners' options, and turns.

Options have bench_update's names and defaults (the paper's settings), so that
one list of them is one piece of work for all.
"""

import json
import sys
import time

DEFAULTS = {
    "algorithm": "sql",
    "observation_dim": 28,
    "action_dim": 8,
    "units": 200,
    "minibatch": 64,
    "particles_fixed": 32,
    "particles_moved": 32,
    "value_particles": 50,
    "value_particles_sampler": 16,
    "value_proposals": "uniform",
    "proposal_switch": 0,
    "alpha": 1.0,
    "gamma": 0.99,
    "reward_scale": 1.0,
    "learning_rate_q": 3e-4,
    "learning_rate_f": 3e-4,
    "target_rate": 0.0,
    "target_every": 1000,
    "threads": 1,
    "seconds": 3.0,  # a turn
    "compile": 0,  # 1: torch.compile; 2: max-autotune
    "chunk_rows": 0,  # of a network's pass over many actions; 0: all at once
}
UPDATE_SLICE = 0.04  # bench_update.c


def read_options(arguments):
    """--name=value ... over the defaults."""
    options = dict(DEFAULTS)
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name not in options:
            sys.exit(f"{argument}: no option of the peers")
        options[name] = type(options[name])(value)
    return options


def chunk_states(states, rows_a_state, chunk_rows):
    """States a chunk: all, or as many as divide them and give chunk_rows or less.

    Our learner's passes go in chunks of 256 rows, which stay in L2.
    """
    most = chunk_rows // rows_a_state if chunk_rows else states
    return next(n for n in range(max(1, most), 0, -1) if states % n == 0)


def take_turns(result, unit, seconds, slice_seconds, wall, run):
    """`ready`, then for each line read a turn of run(n) and the result's line.

    A turn's rate is the median over slices, as bench_update's and
    bench_rollout's are; give their slice_seconds, so that what comes between
    counts as it does there. Time is the process's on cores, as theirs of one
    thread is, or by the clock on the wall.

    run(n) does n of something and returns how many units it did.
    """
    now = time.perf_counter if wall else time.process_time
    n = 1
    for _ in range(3):  # compiled, and caches warm
        start = now()
        run(n)
        n = 1 + int(slice_seconds * n / (now() - start))
    print("ready", flush=True)
    for _ in sys.stdin:
        rates = []
        start = at = now()
        while at < start + seconds:
            done, began = run(n), at
            at = now()
            rates.append(done / (at - began))
        result[unit] = sorted(rates)[len(rates) // 2]
        print(json.dumps(result), flush=True)
