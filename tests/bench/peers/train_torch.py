"""Soft Q-learning in one process by PyTorch: seconds to a given quality.

    train_torch.py CONFIG BEGAN WANTED [--name=value ...]

CONFIG: a whole configuration as softq-learner --print_config prints it; the
method, its sizes, rates and ratio are taken from it, and the task (multigoal,
or one that EnvPool has). BEGAN: seconds since 1970 from which time counts.
WANTED: on multigoal the share of 1000 episodes that reach a goal, each goal by
a tenth of them or more; else the mean return of 20 episodes. --name=value: over
CONFIG's (seed, max_updates, threads).

Acting takes turns with updates, many environments a step. The policy is put
aside once a second and judged when training has ended, as of ours the
checkpoints are. Prints one object: name, task, seconds (null: never), updates
then, all_seconds, best.
"""

import json
import sys
import time

import environments
import numpy as np
import sql_torch
import torch
import turns

SNAPSHOT_SECONDS, LEAST_SHARE = 1.0, 0.1


class Multigoal:
    """actor/tasks/multigoal.c, many at once: reward goals."""

    goals = np.array([[5, 0], [-5, 0], [0, 5], [0, -5]], np.float32)
    dims, horizon = (2, 2), 30

    def __init__(self, n, config, seed):
        self.random, self.sd = np.random.default_rng(seed), config["multigoal_start_sd"]
        self.x, self.age = np.zeros((n, 2), np.float32), np.zeros(n, int)
        self.goal = np.full(n, -1)
        self.reset(np.ones(n, bool))

    def reset(self, which):
        start = self.random.normal(0, float(self.sd), (which.sum(), 2))
        self.x[which], self.age[which] = np.clip(start, -7, 7), 0

    def step(self, a):
        """Rows s, a, r, next, terminal of all, and who ended."""
        s = self.x.copy()
        self.x = np.clip(s + a, -7, 7)
        self.age += 1
        d2 = ((self.x[:, None] - self.goals) ** 2).sum(-1)
        terminal = d2.min(1) <= 1
        r = -30 * (a * a).sum(1) - d2.min(1) + 10 * terminal
        rows = (s, a, r, self.x.copy(), terminal)
        over = terminal | (self.age >= self.horizon)
        self.goal = np.where(terminal, d2.argmin(1), -1)
        self.reset(over)
        return rows, over


class Simulated:
    """A task of EnvPool's; its step after an episode's end only resets."""

    def __init__(self, n, config, seed):
        import envpool

        self.env = envpool.make_gymnasium(
            environments.NAMES[config["task"]],
            num_envs=n,
            num_threads=int(config["threads"]),
            seed=seed,
            thread_affinity_offset=0,  # else all where OpenMP pins this one
        )
        self.high = self.env.action_space.high
        self.x = self.env.reset()[0]
        self.dims = self.x.shape[1], self.high.shape[0]
        self.over = np.zeros(n, bool)

    def step(self, a):
        s, live = self.x, ~self.over
        out = self.env.step((a * self.high).astype(self.env.action_space.dtype))
        self.x, r, terminal, truncated, _ = out
        rows = tuple(x[live] for x in (s, a, r, self.x, terminal))
        self.over = (terminal | truncated) & live
        return rows, self.over


def make(config, n, seed):
    kind = Multigoal if config["task"] == "multigoal" else Simulated
    return kind(n, config, seed)


def act(f, p, x):
    """a (n, A) for observations x (n, S)."""
    s = torch.from_numpy(np.ascontiguousarray(x, np.float32))
    xi = torch.randn(len(s), 1, f.shape[1])
    return sql_torch.forward(f, p, s, xi)[2].tanh_().numpy()


class Memory:
    def __init__(self, capacity, S, A):
        self.rows = [torch.empty(capacity, n) for n in (S, A, 1, S, 1)]
        self.n, self.capacity = 0, capacity

    def append(self, rows):
        for memory, new in zip(self.rows, rows):
            new = torch.from_numpy(np.ascontiguousarray(new, np.float32))
            at = torch.arange(self.n, self.n + len(new)) % self.capacity
            memory[at] = new.view(-1, memory.shape[1])
        self.n += len(rows[2])

    def sample(self, n):
        at = torch.randint(min(self.n, self.capacity), (n,))
        s, a, r, after, terminal = (x[at] for x in self.rows)
        return {"s": s, "a": a, "r": r[:, 0], "next": after, "terminal": terminal[:, 0]}


def judge(config, f, p, seed):
    """What WANTED is about: a share in percent, or a mean return."""
    several = config["task"] == "multigoal"
    env = make(config, 1000 if several else 20, seed)
    goal, returns = np.full(len(env.x), -1), np.zeros(len(env.x))
    open_ = np.ones(len(env.x), bool)
    while open_.any():
        rows, over = env.step(act(f, p, env.x))
        if several:
            goal[open_ & over] = env.goal[open_ & over]
        else:
            returns[open_] += rows[2][open_]
        open_ &= ~over
    if not several:
        return returns.mean()
    shares = np.bincount(goal[goal >= 0], minlength=4) / len(goal)
    return 100 * shares.sum() if shares.min() >= LEAST_SHARE else 0.0


def move_average(average, p, updates, decay):
    """As learner/network.c's: of the updates so far, without the start."""
    average.lerp_(p, (1 - decay) / (1 - decay**updates))


def train(config, options, began):
    """(seconds, updates, policy) of about every second."""
    ratio, last = float(config["ratio"]), int(config["max_updates"])
    # as many environments as steps an update, where their number is free
    n = max(int(config["environments"]), min(32, round(1 / ratio)))
    env = make(config, n, int(config["seed"]))
    memory = Memory(int(config["replay_size"]), *env.dims)
    decay = float(config["sampler_average"])
    rates = {k: options[k] for k in ("learning_rate_q", "learning_rate_f")}
    end = float(config["learning_rate_end"])
    options |= {"observation_dim": env.dims[0], "action_dim": env.dims[1]}
    learner = sql_torch.new_learner(options, int(config["seed"]))
    average, f = learner.f.p.clone(), learner.f
    snapshots, updates = [], 0
    while updates < last:
        while memory.n < float(config["warmup"]) + updates / ratio:
            memory.append(env.step(act(f, average, env.x))[0])
        for name, rate in rates.items():
            options[name] = rate * (1 - (1 - end) * updates / last)
        learner.update(memory.sample(options["minibatch"]), learner.draw())
        updates += 1
        learner.move_targets(updates)
        move_average(average, f.p, updates, decay)
        seconds = time.time() - began
        if updates == last or seconds > len(snapshots) * SNAPSHOT_SECONDS:
            snapshots.append((seconds, updates, average.clone()))
    return f, snapshots


def main():
    path, began, wanted, *over = sys.argv[1:]
    lines = [line.partition("=") for line in open(path, encoding="utf-8")]
    config = {name.strip(): value.strip() for name, _, value in lines if value}
    config |= dict(option.removeprefix("--").split("=", 1) for option in over)
    config["threads"] = max(1, int(config["threads"]))
    known = [f"--{k}={v}" for k, v in config.items() if k in turns.DEFAULTS]
    options = turns.read_options(known)
    torch.set_num_threads(options["threads"])
    torch.manual_seed(int(config["seed"]))
    f, snapshots = train(config, options, float(began))
    result = {
        "name": f"PyTorch {torch.__version__}, one process",
        "task": config["task"],
        "seconds": None,
        "all_seconds": snapshots[-1][0],
        "best": -float("inf"),
    }
    for seconds, updates, policy in snapshots:
        quality = judge(config, f, policy, 1000 + int(config["seed"]))
        result["best"] = max(result["best"], round(float(quality), 2))
        if quality >= float(wanted):
            result |= {"seconds": round(seconds, 2), "updates": updates}
            break
    print(json.dumps(result))


if __name__ == "__main__":
    with torch.inference_mode():
        main()
