"""What the peers' learners share: their options, and turns of updates.

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


def take_turns(who, options, updates):
    """`ready`, then a turn of updates(n) and an object for each line read."""
    n = 1
    for _ in range(3):  # compiled, and caches warm
        start = time.perf_counter()
        updates(n)
        n = max(1, round(0.1 * n / (time.perf_counter() - start)))
    print("ready", flush=True)
    for _ in sys.stdin:
        start, done = time.perf_counter(), 0
        while time.perf_counter() - start < options["seconds"]:
            updates(n)
            done += n
        rate = done / (time.perf_counter() - start)
        result = {"name": who, "threads": options["threads"], "updates_per_s": rate}
        print(json.dumps(result), flush=True)
