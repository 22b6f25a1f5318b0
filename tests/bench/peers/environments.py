"""Environment steps a second of Gymnasium's vector environments and EnvPool.

    environments.py sync|async|envpool|envpool-async TASK
        [PROCESSES [THREADS [SECONDS]]]

16 environments of Gymnasium's v5 task, with the frame skip of its own (which is
ours), and no policy: 64 steps' actions are chosen beforehand by an untrained
sampler as ours is, and come again and again. envpool-async: steps are of the 8
environments that are there first. Takes turns (turns.py). An agent's step is
counted, not the simulator's; the step that only resets is not. PROCESSES: such
as this one that run at once. THREADS: of EnvPool, or the processors that are
ours. SECONDS: a turn (3). One thread of one process is timed on its core.
"""

import sys

import numpy as np
import turns

NAMES = {
    "swimmer": "Swimmer-v5",
    "half-cheetah": "HalfCheetah-v5",
    "hopper": "Hopper-v5",
    "walker2d": "Walker2d-v5",
    "ant": "Ant-v5",
    "humanoid": "Humanoid-v5",
}
ENVIRONMENTS, FIRST, UNITS, CHOSEN = 16, 8, 128, 64
SLICE = 0.02  # bench_rollout.c


def make(how, task, threads):
    """What says itself who it is, and the environments."""
    if how.startswith("envpool"):
        import envpool

        env = envpool.make_gymnasium(
            NAMES[task],
            num_envs=ENVIRONMENTS,
            batch_size=FIRST if how == "envpool-async" else ENVIRONMENTS,
            num_threads=threads,
            seed=1,
        )
        return f"EnvPool {envpool.__version__}", env
    import gymnasium

    env = gymnasium.make_vec(NAMES[task], ENVIRONMENTS, vectorization_mode=how)
    return f"Gymnasium {gymnasium.__version__} {how}", env


def choose(env):
    """(64, 16, A): tanh f(s, xi) with fresh weights (mlp_init), a step each."""
    space = env.action_space  # EnvPool's is of one, Gymnasium's of all
    low, high = (x.reshape(-1)[: space.shape[-1]] for x in (space.low, space.high))
    random, s = np.random.default_rng(1), env.reset()[0]

    def weights(rows, columns):
        bound = np.sqrt(6 / (rows + columns))
        return random.uniform(-bound, bound, (rows, columns))

    S, A, out = s.shape[-1], len(low), []
    ws, wx, w2 = weights(S, UNITS), weights(A, UNITS), weights(UNITS, UNITS)
    w3 = weights(UNITS, A)
    for _ in range(CHOSEN):
        h = np.maximum(s @ ws + random.normal(size=(ENVIRONMENTS, A)) @ wx, 0)
        a = np.tanh(np.maximum(h @ w2, 0) @ w3)
        out.append((low + (a + 1) / 2 * (high - low)).astype(space.dtype))
        s = env.step(out[-1])[0]
    return np.array(out)


class Steps:
    """Steps of all environments; the count of those that did not only reset."""

    def __init__(self, env, actions):
        self.env, self.actions = env, actions
        self.over = np.zeros(ENVIRONMENTS, bool)
        env.reset()

    def __call__(self, n):
        done = 0
        for i in range(n):
            _, _, terminated, truncated, _ = self.env.step(self.actions[i % CHOSEN])
            done += ENVIRONMENTS - self.over.sum()  # the next step only resets
            self.over = terminated | truncated
        return int(done)


class StepsOfTheFirst(Steps):
    """Of the environments that are there first; EnvPool."""

    def __init__(self, env, actions):
        self.env, self.actions = env, actions[:, :FIRST]
        self.over = np.ones(ENVIRONMENTS, bool)  # what comes first was reset
        env.async_reset()

    def __call__(self, n):
        done = 0
        for i in range(n):
            _, _, terminated, truncated, info = self.env.recv()
            which = info["env_id"]
            done += FIRST - self.over[which].sum()
            self.over[which] = terminated | truncated
            self.env.send(self.actions[i % CHOSEN], which)
        return int(done)


def main():
    how, task = sys.argv[1:3]
    processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    threads = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 3.0
    chooser = make("envpool" if "envpool" in how else "sync", task, threads)[1]
    actions = choose(chooser)
    chooser.close()
    who, env = make(how, task, threads)
    steps = (StepsOfTheFirst if how == "envpool-async" else Steps)(env, actions)
    result = {"name": who, "task": task, "environments": ENVIRONMENTS}
    wall = processes * threads > 1
    turns.take_turns(result, "steps_per_s", seconds, SLICE, wall, steps)
    env.close()


if __name__ == "__main__":
    main()
