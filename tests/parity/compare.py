"""Our tasks against Gymnasium's, step by step, on Gymnasium's model files.

    compare.py DRIVER [TASK ...]    lines of `ok NAME` or `not ok NAME: why`

DRIVER is parity_driver, linked with the libmujoco.so that this Python loads.
Both sides get the same states and the same double controls. What they must
agree on is within 1e-6 (1 + |theirs|): observation and reward in double; ends
are equal. Resets are compared by the moments of 10,000.
"""

import subprocess
import sys

import gymnasium
import mujoco
import numpy as np

from tasks import TASKS, case, model_file, report

BOUND = 1e-6
STEPS = 1000  # free-running
SINGLE = 300  # injected states
RESETS = 10000
SIGMAS = 5.5  # of a moment's own error, for every one of them


class Ours:
    """The other end of driver.c."""

    def __init__(self, driver):
        self.process = subprocess.Popen(
            [driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def send(self, *words):
        text = " ".join(w if isinstance(w, str) else repr(float(w)) for w in words)
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def numbers(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("not ok driver: it has stopped")
        return np.array(line.split(), dtype=float)

    def ask(self, *words):
        self.send(*words)
        return self.numbers()


class Theirs:
    """Gymnasium's environment without its wrappers."""

    def __init__(self, name):
        self.horizon = gymnasium.spec(name).max_episode_steps
        self.env = gymnasium.make(name).unwrapped
        self.model, self.data = self.env.model, self.env.data
        low, high = self.model.actuator_ctrlrange.T
        self.middle, self.half = 0.5 * (low + high), 0.5 * (high - low)

    def control(self, action):
        """As mujoco_step() scales it, to the last bit."""
        return self.middle + self.half * action

    def set_state(self, qpos, qvel):
        mujoco.mj_resetData(self.model, self.data)
        self.env.set_state(qpos, qvel)
        return self.env._get_obs()

    def inject(self, time, qpos, qvel, act, warmstart):
        mujoco.mj_resetData(self.model, self.data)
        self.data.time = time
        self.data.qpos[:], self.data.qvel[:] = qpos, qvel
        self.data.act[:], self.data.qacc_warmstart[:] = act, warmstart
        mujoco.mj_forward(self.model, self.data)
        self.data.qacc_warmstart[:] = warmstart
        return self.env._get_obs()

    def step(self, action):
        obs, reward, terminated, _, _ = self.env.step(self.control(action))
        return obs, float(reward), bool(terminated)


class Worst:
    """The largest difference so far, in units of the bound's right side."""

    def __init__(self):
        self.value, self.where = 0.0, ""

    def see(self, ours, theirs, where):
        ours, theirs = np.atleast_1d(ours), np.atleast_1d(theirs)
        if ours.shape != theirs.shape:
            self.value = np.inf
            self.where = f"{where}: {ours.shape[0]} numbers, {theirs.shape[0]}"
            return
        off = np.abs(ours - theirs) / (1 + np.abs(theirs))
        off = np.where(np.isfinite(off), off, np.inf)
        at = int(np.argmax(off))
        if off[at] > self.value:
            self.value = off[at]
            self.where = f"{where}[{at}]: {ours[at]:.17g}, theirs {theirs[at]:.17g}"

    def wrong(self):
        return self.where if self.value > BOUND else ""


def both_step(ours, theirs, action, worst, where):
    """Whether the episode has ended."""
    obs, reward, terminated = theirs.step(action)
    answer = ours.ask("step", *action)
    worst.see(answer[0], reward, f"reward {where}")
    worst.see(answer[3:], obs, f"observation {where}")
    if bool(answer[1]) != terminated:
        worst.value, worst.where = np.inf, f"terminal {where}: {terminated} for them"
    return terminated


def fresh_state(theirs):
    theirs.env.reset()
    return theirs.data.qpos.copy(), theirs.data.qvel.copy()


def free_running(ours, theirs, rng):
    worst, episodes, fresh = Worst(), 0, True
    for t in range(STEPS):
        if fresh:
            qpos, qvel = fresh_state(theirs)
            obs = theirs.set_state(qpos, qvel)
            worst.see(ours.ask("state", *qpos, *qvel), obs, f"start of step {t}")
            episodes += 1
        action = rng.uniform(-1, 1, theirs.model.nu)
        fresh = both_step(ours, theirs, action, worst, f"at step {t}")
    return worst, f"{STEPS} steps, {episodes} episodes, off by {worst.value:.1e}"


def injected(ours, theirs, rng):
    """Single steps from states that no episode leads to."""
    model, worst, ends = theirs.model, Worst(), 0
    for i in range(SINGLE):
        qpos, qvel = fresh_state(theirs)
        qpos += 0.2 * rng.standard_normal(model.nq)
        qvel += rng.standard_normal(model.nv)
        act = rng.standard_normal(model.na)
        warmstart, time = 10 * rng.standard_normal(model.nv), rng.uniform(0, 9)
        obs = theirs.inject(time, qpos, qvel, act, warmstart)
        answer = ours.ask("inject", time, *qpos, *qvel, *act, *warmstart)
        worst.see(answer, obs, f"state {i}")
        action = rng.uniform(-1, 1, model.nu)
        ends += both_step(ours, theirs, action, worst, f"after state {i}")
    return worst, f"{SINGLE} states, {ends} ends, off by {worst.value:.1e}"


def moments(x):
    """Means of x and of all products of two, with their variances."""
    products = np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)
    everything = np.concatenate([x, products], axis=1)
    return everything.mean(axis=0), everything.var(axis=0) / len(x)


def resets(ours, theirs):
    model = theirs.model
    ours.send("reset", 7, RESETS)
    a = np.array([ours.numbers() for _ in range(RESETS)])[:, : model.nq + model.nv]
    b = np.array([np.concatenate(fresh_state(theirs)) for _ in range(RESETS)])
    # around what does not vary, so that a variance is one and not a mean
    a, b = a - b.mean(axis=0), b - b.mean(axis=0)
    (mean_a, var_a), (mean_b, var_b) = moments(a), moments(b)
    sigmas = np.abs(mean_a - mean_b) / np.sqrt(var_a + var_b + 1e-24)
    far = np.abs(np.abs(a).max(axis=0) - np.abs(b).max(axis=0))
    wrong = ""
    if sigmas.max() > SIGMAS:
        wrong = f"moment {int(np.argmax(sigmas))} is off by {sigmas.max():.1f} sigmas"
    note = f"{len(sigmas)} moments, off by {sigmas.max():.1f} sigmas at most"
    return wrong, f"{note}, extremes by {far.max():.1e}"


def compare(ours, task):
    name, file = TASKS[task]
    theirs, rng = Theirs(name), np.random.default_rng(3)
    theirs.env.reset(seed=5)
    model = theirs.model
    expected = [
        *(model.nq, model.nv, model.nu),
        *(theirs.env.observation_space.shape[0], theirs.horizon),
    ]
    got = ours.ask("task", task, model_file(file)).astype(int).tolist()
    passed = report(
        case("dimensions_and_horizon_agree", task),
        "" if got == expected else f"{got}, theirs {expected}",
    )
    worst, note = free_running(ours, theirs, rng)
    passed &= report(case("free_running_steps_agree", task), worst.wrong(), note)
    worst, note = injected(ours, theirs, rng)
    passed &= report(case("single_steps_agree", task), worst.wrong(), note)
    wrong, note = resets(ours, theirs)
    return report(case("resets_have_the_same_law", task), wrong, note) and passed


def main():
    ours = Ours(sys.argv[1])
    passed = [compare(ours, task) for task in sys.argv[2:] or TASKS]
    sys.exit(not all(passed))


main()
