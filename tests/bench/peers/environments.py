"""Environment steps a second of Gymnasium's vector environments and EnvPool.

    environments.py sync|async|envpool TASK [THREADS [SECONDS]]

16 environments of Gymnasium's v5 task, with the frame skip of its own (which is
ours), uniform random actions drawn beforehand and no policy. Takes turns
(turns.py). An agent's step is counted, not the simulator's; the step that only
resets is not. THREADS: of EnvPool, or the processors that are ours.
SECONDS: a turn (3).
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
ENVIRONMENTS = 16


def make(how, task, threads):
    """What says itself who it is, and the environments."""
    if how == "envpool":
        import envpool

        env = envpool.make_gymnasium(
            NAMES[task], num_envs=ENVIRONMENTS, num_threads=threads, seed=1
        )
        return f"EnvPool {envpool.__version__}", env
    import gymnasium

    env = gymnasium.make_vec(NAMES[task], ENVIRONMENTS, vectorization_mode=how)
    return f"Gymnasium {gymnasium.__version__} {how}", env


def main():
    how, task = sys.argv[1:3]
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    seconds = float(sys.argv[4]) if len(sys.argv) > 4 else 3.0
    who, env = make(how, task, threads)
    space = env.action_space  # EnvPool's is of one, Gymnasium's of all
    low, high = space.low.reshape(-1)[0], space.high.reshape(-1)[0]
    shape = (64, ENVIRONMENTS, space.shape[-1])
    random = np.random.default_rng(1)
    actions = random.uniform(low, high, shape).astype(space.dtype)
    env.reset()
    over = np.zeros(ENVIRONMENTS, bool)

    def steps(n):
        nonlocal over
        done = 0
        for i in range(n):
            _, _, terminated, truncated, _ = env.step(actions[i % 64])
            done += ENVIRONMENTS - over.sum()  # the next step only resets
            over = terminated | truncated
        return int(done)

    result = {"name": who, "task": task, "environments": ENVIRONMENTS}
    turns.take_turns(result, "steps_per_s", seconds, threads, steps)
    env.close()


if __name__ == "__main__":
    main()
