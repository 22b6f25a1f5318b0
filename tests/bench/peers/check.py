"""The peers do our learner's work: its golden cases, by their updates.

    check.py

Initial parameters, minibatches and noise are those of tests/golden/golden.py,
whose results in float64 our learner is tested with. Prints `ok NAME` or `not
ok NAME` a case: the parameters' way after 1 update and after 100 is the golden
one within 1e-4 of its length. Also passes in chunks, and the average that acts.
"""

import pathlib
import struct
import sys
import json

import jax
import numpy as np
import sql_jax
import sql_torch
import torch
import train_torch
import turns

golden_folder = pathlib.Path(__file__).parents[2] / "golden"
sys.path.insert(0, str(golden_folder))
import golden  # noqa: E402

CASES = ("sql", "sql_large", "sql_sampler", "ddpg")
WITHIN = 1e-4


def stored(name):
    """The arrays of a golden case."""
    data = (golden_folder / f"{name}.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8 : 8 + length]), data[8 + length :]
    return {
        key: np.frombuffer(data[slice(*entry["data_offsets"])], "<f4")
        for key, entry in header.items()
        if entry.get("dtype") == "F32"
    }


def ways(case, update):
    """Where the update takes q and f, after 1 and 100."""
    out, start = {}, {"q": case.q[0].start.numpy(), "f": case.f.start.numpy()}
    for t in range(1, golden.UPDATES + 1):
        noise = case.noise(t)
        if case.options["value_proposals"] == "sampler":
            del noise["proposals"]
        else:
            del noise["xi_value"]
        networks = update(t, case.batch(t), noise)
        if t in (1, golden.UPDATES):
            for name, p in networks.items():
                out[f"{name}.after_{t}"] = np.array(p) - start[name]
    return out


def parameters(case):
    return case.q[0].start, case.q[0].slow.p, case.f.start, case.f.slow.p


def by_torch(case, options, compiled=0):
    learner = sql_torch.Learner(options, *parameters(case))
    step = learner.update
    if compiled:
        step = sql_torch.compiled(step, compiled == 2)

    def update(t, batch, noise):
        with torch.inference_mode():
            step(batch, noise)
            learner.move_targets(t)
        return {"q": learner.q.p.numpy(), "f": learner.f.p.numpy()}

    return ways(case, update)


def by_jax(case, options):
    learner = sql_jax.Learner(options)
    state = learner.state(*(jax.numpy.array(x.numpy()) for x in parameters(case)))
    step = jax.jit(learner.update)

    def update(t, batch, noise):
        nonlocal state
        numbers = [{k: x.numpy() for k, x in d.items()} for d in (batch, noise)]
        state = step(state, *numbers)
        return {name: state[name]["p"] for name in ("q", "f")}

    return ways(case, update)


def averages_as_ours():
    """learner/network.h: the sum of d^(t-i) p_i over that of d^(t-i)."""
    decay, random = 0.9, np.random.default_rng(1)
    average, policies = torch.full((3,), 100.0), random.normal(size=(20, 3))
    for t, p in enumerate(policies, 1):
        train_torch.move_average(average, torch.tensor(p).float(), t, decay)
        weights = decay ** np.arange(t)[::-1]
        wanted = weights @ policies[:t] / weights.sum()
        if not np.allclose(average.numpy(), wanted, atol=1e-5):
            return False
    return True


def main():
    failed = False
    for name in CASES:
        S, A, options = golden.CASES[name]
        case = golden.Case(S, A, options, torch.float32)
        mine = {**turns.DEFAULTS, "observation_dim": S, "action_dim": A}
        mine |= {k: v for k, v in case.options.items() if k in mine}
        wanted = stored(name)
        widest = max(mine["value_particles"], mine["value_particles_sampler"] * A)
        chunks = {**mine, "chunk_rows": 2 * widest}
        assert turns.chunk_states(mine["minibatch"], widest, 2 * widest) == 2
        for who, found in (
            ("eager", by_torch(case, mine)),
            ("eager_in_chunks", by_torch(case, chunks)),
            ("compiled", by_torch(case, mine, 1)),
            ("tuned", by_torch(case, mine, 2)),
            ("jax", by_jax(case, mine)),
            ("jax_in_chunks", by_jax(case, chunks)),
        ):
            off = max(
                np.linalg.norm(way - wanted[key]) / np.linalg.norm(wanted[key])
                for key, way in found.items()
            )
            good = off <= WITHIN
            failed |= not good
            print(f"{'ok' if good else 'not ok'} {who}_does_{name} # off by {off:.1e}")
    good = averages_as_ours()
    print(f"{'ok' if good else 'not ok'} policy_averages_as_ours")
    sys.exit(failed or not good)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
