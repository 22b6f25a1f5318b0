"""The peers do our learner's work: its golden cases, by their updates.

    check.py

Initial parameters, minibatches and noise are those of tests/golden/golden.py,
whose results in float64 our learner is tested with. Prints `ok NAME` or `not
ok NAME` a case: the parameters' way after 1 update and after 100 is the golden
one within 1e-4 of its length.
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


def by_torch(case, options, compiled):
    learner = sql_torch.Learner(options, *parameters(case))
    step = sql_torch.compiled(learner.update) if compiled else learner.update

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


def main():
    failed = False
    for name in CASES:
        S, A, options = golden.CASES[name]
        case = golden.Case(S, A, options, torch.float32)
        mine = {**turns.DEFAULTS, "observation_dim": S, "action_dim": A}
        mine |= {k: v for k, v in case.options.items() if k in mine}
        wanted = stored(name)
        for who, found in (
            ("eager", by_torch(case, mine, False)),
            ("compiled", by_torch(case, mine, True)),
            ("jax", by_jax(case, mine)),
        ):
            off = max(
                np.linalg.norm(way - wanted[key]) / np.linalg.norm(wanted[key])
                for key, way in found.items()
            )
            good = off <= WITHIN
            failed |= not good
            print(f"{'ok' if good else 'not ok'} {who}_does_{name} # off by {off:.1e}")
    sys.exit(failed)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
