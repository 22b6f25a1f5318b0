"""Soft Q-learning's and DDPG's update in JAX, one jitted function of its state.

    sql_jax.py [--threads=N] [--chunk_rows=N] [--name=value ...]

Takes turns (turns.py). Gradients are JAX's own: XLA leaves out those that
nothing reads. XLA takes the processors that the caller gives us (taskset), and
with one thread --xla_cpu_multi_thread_eigen=false in XLA_FLAGS.

  B states  S observation  A action  N second inputs a state  H units
"""

import functools
import math
import sys

import jax
import jax.numpy as jnp
import turns


def parts(shape, flat):
    """Ws (S,H), Wx (X,H), b1 (H), W2 (H,H), b2 (H), W3 (H,Y), b3 (Y)."""
    S, X, H, Y = shape
    out, at = [], 0
    for size in ((S, H), (X, H), (H,), (H, H), (H,), (H, Y), (Y,)):
        n = math.prod(size)
        out.append(flat[at : at + n].reshape(size))
        at += n
    return out


def mlp(shape, flat, s, x):
    """s (B,S), x (B,N,X) or (1,N,X) or None: y (B,N,Y)."""
    ws, wx, b1, w2, b2, w3, b3 = parts(shape, flat)
    h = (s @ ws + b1)[:, None]
    if x is not None:
        h = h + x @ wx
    B, N, H = h.shape
    h = jax.nn.relu(h).reshape(B * N, H)  # one matrix product, not B
    h = jax.nn.relu(h @ w2 + b2)
    return (h @ w3 + b3).reshape(B, N, -1)


def log_one_minus_tanh2(u):
    return 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))


def sampler_proposals(f, s, xi):
    """a (B,V,A) and log q(a) (B,V): the Jacobian by tangents, one an input."""
    A = xi.shape[-1]
    u, push = jax.linearize(f, xi)
    units = [jnp.broadcast_to(row, xi.shape) for row in jnp.eye(A)]
    jacobian = jnp.stack([push(unit) for unit in units], -2)
    log_q = -0.5 * (xi**2).sum(-1) - 0.5 * A * math.log(2 * math.pi)
    log_q = log_q - jnp.linalg.slogdet(jacobian)[1] - log_one_minus_tanh2(u).sum(-1)
    return jnp.tanh(u), log_q


def lower_median(d2):
    """(B, n): the ceil(n/2)-th smallest, bit by bit: faster than XLA's sort.

    Of floats >= 0 the bits are in the floats' order.
    """
    bits = jax.lax.bitcast_convert_type(d2, jnp.uint32)
    rank = (d2.shape[-1] + 1) // 2

    def next_bit(i, found):
        above = found | (jnp.uint32(1) << (30 - i).astype(jnp.uint32))
        below = (bits < above[:, None]).sum(-1, dtype=jnp.int32)
        return jnp.where(below < rank, above, found)

    zero = jnp.zeros(len(d2), jnp.uint32)
    found = jax.lax.fori_loop(0, 31, next_bit, zero)
    return jax.lax.bitcast_convert_type(found, jnp.float32)


def adam(net, gradient, rate):
    step = net["step"] + 1
    m = 0.9 * net["m"] + 0.1 * gradient
    v = 0.999 * net["v"] + 0.001 * gradient**2
    root = jnp.sqrt(v / (1 - 0.999**step))
    p = net["p"] - rate * (m / (1 - 0.9**step)) / (root + 1e-8)
    return {**net, "p": p, "m": m, "v": v, "step": step}


class Learner:
    def __init__(self, options):
        o = self.options = options
        S, A, H = o["observation_dim"], o["action_dim"], o["units"]
        self.A, self.B = A, o["minibatch"]
        self.q = functools.partial(mlp, (S, A, H, 1))
        self.f = functools.partial(mlp, (S, A, H, A))
        self.sizes = (S, A, H, 1), (S, A, H, A)

    @staticmethod
    def state(q, q_slow, f, f_slow):
        def network(p, slow):
            m, v = jnp.zeros_like(p), jnp.zeros_like(p)
            return {"p": p, "slow": slow, "m": m, "v": v, "step": 0}

        return {"q": network(q, q_slow), "f": network(f, f_slow), "updates": 0}

    def draw(self, key):
        o, B, A = self.options, self.B, self.A
        if o["algorithm"] == "ddpg":
            return {}
        one, two, three = jax.random.split(key, 3)
        if o["value_proposals"] == "sampler":
            shape = (B, o["value_particles_sampler"], A)
            value = {"xi_value": jax.random.normal(one, shape)}
        else:
            shape = (o["value_particles"], A)
            value = {"proposals": jax.random.uniform(one, shape, minval=-1.0)}
        return {
            **value,
            "xi_fixed": jax.random.normal(two, (B, o["particles_fixed"], A)),
            "xi_moved": jax.random.normal(three, (B, o["particles_moved"], A)),
        }

    def in_chunks(self, function, rows_a_state, *inputs):
        """function of (B, ...) inputs; of some states at a time, by option."""
        n = turns.chunk_states(self.B, rows_a_state, self.options["chunk_rows"])
        if n == self.B:
            return function(*inputs)
        split = [x.reshape(-1, n, *x.shape[1:]) for x in inputs]
        out = jax.lax.map(lambda x: function(*x), split)
        return out.reshape(self.B, *out.shape[2:])

    def soft_value(self, state, s, noise):
        """V(s') (B)."""
        alpha = self.options["alpha"]

        def value(s, xi=None):
            if xi is not None:
                f = functools.partial(self.f, state["f"]["p"], s)
                a, log_q = sampler_proposals(f, s, xi)
            else:
                a, log_q = noise["proposals"][None], -self.A * math.log(2)
            q = self.q(state["q"]["slow"], s, a)[..., 0]
            v = jax.nn.logsumexp(q / alpha - log_q, -1) - math.log(q.shape[-1])
            return alpha * v

        if "xi_value" in noise:
            xi = noise["xi_value"]  # its widest pass: the tangents, A a proposal
            return self.in_chunks(value, xi.shape[1] * self.A, s, xi)
        return self.in_chunks(value, len(noise["proposals"]), s)

    def q_step(self, net, value, batch):
        o = self.options
        target = o["reward_scale"] * batch["r"]
        target = target + o["gamma"] * (1 - batch["terminal"]) * value

        def loss(p):
            q = self.q(p, batch["s"], batch["a"][:, None])[:, 0, 0]
            return 0.5 * ((q - target) ** 2).mean()

        return adam(net, jax.grad(loss)(net["p"]), o["learning_rate_q"])

    def stein_direction(self, x, y, g):
        """x, g (B,K,A), y (B,M,A): D (B,M,A)."""
        K, alpha = x.shape[1], self.options["alpha"]
        d2 = (x**2).sum(-1)[:, :, None] + (y**2).sum(-1)[:, None, :]
        d2 = jnp.maximum(d2 - 2 * jnp.einsum("bka,bma->bkm", x, y), 0)
        h = lower_median(d2.reshape(len(x), -1)) / math.log(K)
        h = jnp.maximum(h, 1e-3)[:, None, None]
        kappa = jnp.exp(-d2 / h)
        pull = 2 * alpha / h
        D = jnp.einsum("bkm,bka->bma", kappa, g - pull * x)
        return (D + pull * y * kappa.sum(1)[..., None]) / K

    def f_step(self, state, s, noise):
        o, net, q = self.options, state["f"], state["q"]["p"]
        x = self.f(net["p"], s, noise["xi_fixed"])
        a = jnp.tanh(x)
        slope = jax.grad(lambda a, s: self.q(q, s, a).sum())
        g = self.in_chunks(slope, a.shape[1], a, s)
        g = g * (1 - a * a) - 2 * o["alpha"] * a
        y, back = jax.vjp(lambda p: self.f(p, s, noise["xi_moved"]), net["p"])
        D = self.stein_direction(x, y, g)
        (gradient,) = back(-D / (y.shape[0] * y.shape[1]))
        return adam(net, gradient, o["learning_rate_f"])

    def actor_step(self, state, s):
        """DDPG: ascend the mean of Q(s, tanh f(s))."""
        net, q = state["f"], state["q"]["p"]

        def loss(p):
            return -self.q(q, s, jnp.tanh(self.f(p, s, None))).mean()

        rate = self.options["learning_rate_f"]
        return adam(net, jax.grad(loss)(net["p"]), rate)

    def update(self, state, batch, noise):
        if self.options["algorithm"] == "ddpg":
            a = jnp.tanh(self.f(state["f"]["slow"], batch["next"], None))
            value = self.q(state["q"]["slow"], batch["next"], a)[:, 0, 0]
        else:
            value = self.soft_value(state, batch["next"], noise)
        state = {**state, "q": self.q_step(state["q"], value, batch)}
        if self.options["algorithm"] == "ddpg":
            state["f"] = self.actor_step(state, batch["s"])
        else:
            state["f"] = self.f_step(state, batch["s"], noise)
        return self.move_targets({**state, "updates": state["updates"] + 1})

    def move_targets(self, state):
        o, moved = self.options, dict(state)
        for name in ("q", "f")[: 1 + (o["algorithm"] == "ddpg")]:
            net = state[name]
            share = o["target_rate"]
            if not share:
                share = (state["updates"] % o["target_every"] == 0) * 1.0
            slow = net["slow"] + share * (net["p"] - net["slow"])
            moved[name] = {**net, "slow": slow}
        return moved


def initial(shape, key):
    """Xavier uniform an input block, biases 0."""
    S, X, H, Y = shape
    out = []
    for rows, columns in ((S, H), (X, H), (0, H), (H, H), (0, H), (H, Y), (0, Y)):
        bound = math.sqrt(6 / (rows + columns)) if rows else 0.0
        key, one = jax.random.split(key)
        n = max(rows, 1) * columns
        out.append(bound * jax.random.uniform(one, (n,), minval=-1.0))
    return jnp.concatenate(out)


def main():
    options = turns.read_options(sys.argv[1:])
    learner = Learner(options)
    B, S, A = options["minibatch"], options["observation_dim"], options["action_dim"]
    keys = jax.random.split(jax.random.key(1), 6)
    q, f = (initial(shape, key) for shape, key in zip(learner.sizes, keys))
    batch = {
        "s": jax.random.normal(keys[2], (B, S)),
        "a": jax.random.uniform(keys[3], (B, A), minval=-1.0),
        "r": jax.random.normal(keys[4], (B,)),
        "next": jax.random.normal(keys[5], (B, S)),
        "terminal": jnp.zeros(B),
    }

    @functools.partial(jax.jit, donate_argnums=0)
    def one(state):
        key, mine = jax.random.split(state["key"])
        state = {**state, "key": key}
        return learner.update(state, batch, learner.draw(mine))

    copies = (jnp.array(x) for x in (q, q, f, f))  # each to be donated
    state = {**learner.state(*copies), "key": jax.random.key(2, impl="rbg")}

    def updates(n):
        nonlocal state
        for _ in range(n):
            state = one(state)
        jax.block_until_ready(state)
        return n

    who = {"name": f"JAX {jax.__version__}"}
    seconds, threads = options["seconds"], options["threads"]
    turns.take_turns(
        who, "updates_per_s", seconds, turns.UPDATE_SLICE, threads > 1, updates
    )


if __name__ == "__main__":
    main()
