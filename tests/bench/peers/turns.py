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
    "compile": 0,
}


def read_options(arguments):
    """--name=value ... over the defaults."""
    options = dict(DEFAULTS)
    for argument in arguments:
        name, _, value = argument.removeprefix("--").partition("=")
        if name not in options:
            sys.exit(f"{argument}: no option of the peers")
        options[name] = type(options[name])(value)
    return options


def take_turns(result, unit, seconds, threads, run):
    """`ready`, then for each line read a turn of run(n) and the result's line.

    One thread's rate is by the process's time on cores, more threads' by the
    clock on the wall, as bench_update's and bench_rollout's are.

    run(n) does n of something that takes about a fraction of a second when n
    is right, and returns how many units it did.
    """
    now = time.process_time if threads == 1 else time.perf_counter
    n = 1
    for _ in range(3):  # compiled, and caches warm
        start = now()
        run(n)
        n = max(1, round(0.1 * n / (now() - start)))
    print("ready", flush=True)
    for _ in sys.stdin:
        start, done = now(), 0
        while now() - start < seconds:
            done += run(n)
        result[unit] = done / (now() - start)
        print(json.dumps(result), flush=True)
