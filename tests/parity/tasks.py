"""The ten tasks: our name, Gymnasium's, and its model file."""

import pathlib

import gymnasium

TASKS = {
    "swimmer": ("Swimmer-v5", "swimmer.xml"),
    "hopper": ("Hopper-v5", "hopper.xml"),
    "half-cheetah": ("HalfCheetah-v5", "half_cheetah.xml"),
    "walker2d": ("Walker2d-v5", "walker2d_v5.xml"),
    "ant": ("Ant-v5", "ant.xml"),
    "humanoid": ("Humanoid-v5", "humanoid.xml"),
    "reacher": ("Reacher-v5", "reacher.xml"),
    "pusher": ("Pusher-v5", "pusher_v5.xml"),
    "inverted-pendulum": ("InvertedPendulum-v5", "inverted_pendulum.xml"),
    "inverted-double-pendulum": (
        "InvertedDoublePendulum-v5",
        "inverted_double_pendulum.xml",
    ),
}


def model_file(name):
    """Where Gymnasium keeps a model."""
    package = pathlib.Path(gymnasium.__file__).parent
    return str(package / "envs" / "mujoco" / "assets" / name)


def case(claim, task):
    return claim + "_" + task.replace("-", "_")


def report(name, wrong, note=""):
    """One line of a case; whether it passed."""
    if wrong:
        print(f"not ok {name}: {wrong}", flush=True)
    else:
        print(f"ok {name}" + (f" # {note}" if note else ""), flush=True)
    return not wrong
