"""What other programs make of a run's files, beside ours.

    compare.py DRIVER RUN FOLDER    lines of `ok NAME` or `not ok NAME: why`

DRIVER is export_driver, FOLDER what deploy/export.sh wrote of RUN.
"""

import csv
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import (
    HISTOGRAMS,
    SCALARS,
    EventAccumulator,
)

ROWS = 1000
BOUND = 1e-5
# Where large terms of a sum cancel, a float tells no more than some roundings of
# them, whoever adds them up.
ROUNDINGS = 4 * 2.0**-24

# progress.csv's columns by their tags: learner/progress.c
TAGS = {
    "seconds": "run/seconds",
    "updates": "run/updates",
    "steps": "run/steps",
    "updates_per_second": "speed/updates",
    "steps_per_second": "speed/steps",
    "episodes": "return/episodes",
    "mean_return": "return/mean",
    "q_loss": "q/loss",
    "q_mean": "q/mean",
    "target_mean": "q/target",
    "stein_norm": "sampler/stein_norm",
    "q_gradient": "q/gradient",
    "f_gradient": "sampler/gradient",
    "stored": "replay/stored",
    "present": "replay/present",
    "staleness": "replay/staleness",
    "alpha": "sampler/alpha",
    "entropy": "sampler/entropy",
    "negative": "sampler/negative",
    "degenerate": "sampler/degenerate",
    "stat_mean": "task/mean",
    "stat_least": "task/least",
    "stat_greatest": "task/greatest",
    "generation": "run/generation",
    "wall": "run/wall",
    "ratio": "speed/ratio",
    "q_deviation": "q/deviation",
    "td_deviation": "q/td_deviation",
    "value_uniform": "value/uniform",
    "value_sampler": "value/sampler",
    "score_norm": "sampler/score_norm",
    "repulsion_norm": "sampler/repulsion_norm",
    "bandwidth": "sampler/bandwidth",
    "q_dead": "q/dead",
    "f_dead": "sampler/dead",
}
# of a printed number: six digits, or what fixed decimals leave out
DIGITS = 5.1e-6
DECIMALS = {
    "seconds": 5.1e-4,
    "wall": 5.1e-4,
    "updates_per_second": 5.1e-3,
    "steps_per_second": 5.1e-3,
}


def report(name, wrong, note=""):
    if wrong:
        print(f"not ok {name}: {wrong}", flush=True)
    else:
        print(f"ok {name}" + (f" # {note}" if note else ""), flush=True)
    return not wrong


def ours(driver, run, rng):
    """Inputs, and what our own code answers: (S), (A), (A) -> (A), (1)."""
    process = subprocess.Popen(
        [driver, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    S, A = map(int, process.stdout.readline().split())
    rows = np.hstack(
        [
            3 * rng.standard_normal((ROWS, S)),
            rng.standard_normal((ROWS, A)),
            rng.uniform(-1, 1, (ROWS, A)),
        ]
    ).astype("<f4")
    answer, _ = process.communicate(rows.tobytes())
    out = np.frombuffer(answer, "<f4").reshape(ROWS, A + 1)
    return np.split(rows, [S, S + A], axis=1), out[:, :A], out[:, A:]


def summed(tensors, name, s, a):
    """The terms' magnitude in the last layer's sum: (S) normalised, (A) -> (1)."""
    layer = {key: tensors[f"{name}.{key}"] for key in ("ws", "wx", "b1", "w2", "b2")}
    h = np.maximum(s @ layer["ws"] + a @ layer["wx"] + layer["b1"], 0)
    h = np.maximum(h @ layer["w2"] + layer["b2"], 0)
    return h @ np.abs(tensors[f"{name}.w3"]) + np.abs(tensors[f"{name}.b3"])


def terms_of_q(run, s, a):
    """Of Q, or the larger ones of two: (S), (A) -> (1)."""
    tensors = load_file(newest_checkpoint(run))
    if "normal.mean" in tensors:
        variance = tensors["normal.m2"] / tensors["normal.count"]
        s = np.clip((s - tensors["normal.mean"]) / np.sqrt(variance), -10, 10)
    names = [name for name in ("q", "q2") if f"{name}.ws" in tensors]
    return np.max([summed(tensors, name, s, a) for name in names], axis=0)


def compare_model(task, path, inputs, expected, terms=0):
    """onnx.checker accepts it; onnxruntime's numbers are ours, in any batch."""
    name = path.stem
    try:
        onnx.checker.check_model(onnx.load(path), full_check=True)
        wrong = ""
    except onnx.checker.ValidationError as error:
        wrong = str(error)
    passed = report(f"{task}_{name}_is_accepted_by_onnx", wrong)
    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    (out,) = session.run(None, inputs)
    one = session.run(None, {key: x[:1] for key, x in inputs.items()})[0]
    if out.shape != expected.shape:
        return report(f"{task}_{name}_agrees", f"shape {out.shape}")
    scale = np.maximum(1 + np.abs(expected), terms * (ROUNDINGS / BOUND))
    error = np.max(np.abs(out - expected) / scale)
    error = max(error, np.max(np.abs(one[0] - out[0]) / scale[0]))
    return passed & report(
        f"{task}_{name}_agrees_by_onnxruntime",
        "" if error <= BOUND else f"off by {error:.2g}",
        f"{ROWS} inputs within {error:.2g}",
    )


def compare_models(task, driver, run, folder):
    (s, xi, a), action, q = ours(driver, run, np.random.default_rng(1))
    inputs = {"observation": s, "action": a}
    return compare_model(
        task, folder / "sampler.onnx", {"observation": s, "noise": xi}, action
    ) & compare_model(task, folder / "q.onnx", inputs, q, terms_of_q(run, s, a))


def newest_checkpoint(run):
    return sorted(pathlib.Path(run, "checkpoints").glob("*.safetensors"))[-1]


def open_checkpoint(task, run):
    tensors = load_file(newest_checkpoint(run))
    wrong = "" if {"f.ws", "updates"} <= set(tensors) else str(sorted(tensors))
    if not all(np.all(np.isfinite(x)) for x in tensors.values()):
        wrong = "a tensor is not finite"
    return report(
        f"{task}_checkpoint_opens_in_python", wrong, f"{len(tensors)} tensors"
    )


def compare_events(task, run):
    """Every number of progress.csv stands under its tag, and nothing else."""
    events = EventAccumulator(
        str(pathlib.Path(run, "tensorboard")), {SCALARS: 0, HISTOGRAMS: 0}
    )
    events.Reload()
    with open(pathlib.Path(run, "progress.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    wrong, seen = "", 0
    if set(rows[0]) != set(TAGS):
        wrong = f"columns {sorted(set(rows[0]) ^ set(TAGS))}"
    known = events.Tags()["scalars"]
    for column, tag in TAGS.items():
        expected = [
            (int(row["updates"]), float(row[column])) for row in rows if row[column]
        ]
        got = [(e.step, e.value) for e in events.Scalars(tag)] if tag in known else []
        if len(got) != len(expected) or any(
            x[0] != y[0]
            or abs(x[1] - y[1]) > DIGITS * abs(y[1]) + DECIMALS.get(column, 0)
            for x, y in zip(got, expected)
        ):
            wrong = wrong or f"{tag}: {got[-3:]}, {column}: {expected[-3:]}"
        seen += len(got)
    passed = report(
        f"{task}_tensorboard_has_every_scalar",
        wrong,
        f"{len(rows)} rows, {seen} numbers, {len(TAGS)} tags",
    )
    names = events.Tags()["histograms"]
    wrong = "" if {"action/0", "replay/ages"} <= set(names) else str(names)
    for name in names:
        for event in events.Histograms(name):
            h = event.histogram_value
            if sum(h.bucket) != h.num or not h.min <= h.max:
                wrong = f"{name}: {h}"
    return passed & report(f"{task}_tensorboard_has_histograms", wrong)


def main(driver, run, folder):
    task = pathlib.Path(run).name.replace("-", "_")
    passed = compare_models(task, driver, run, pathlib.Path(folder))
    passed &= open_checkpoint(task, run)
    passed &= compare_events(task, run)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
