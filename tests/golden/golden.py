#!/usr/bin/env python3
"""The updates of soft Q-learning and of DDPG in float64, from the equations.

Independent of the C code: it was written from the equations of REFERENCE.md
(Haarnoja et al. 2017), and every gradient comes from autograd. Its results are
the *.safetensors beside this file, which tests/unit/test_golden.c compares with
what our algorithm does from the same initial parameters, on the same
minibatches with the same noise. The test itself needs no Python.

To write them again:

    python3 -m venv /tmp/golden &&
        /tmp/golden/bin/pip install torch==2.13.0 numpy==2.4.6 &&
        /tmp/golden/bin/python tests/golden/golden.py

and `golden.py --float32` writes nothing but says how far these same equations
in float32 are from the float64 ones: what rounding alone costs.

A file holds its options by the names of the programs' options (metadata), and

    dims             U64 (2)  S and A
    NET.gradient     F32 (P)  of the first update's loss
    NET.after_1      F32 (P)  p - p0 after one update
    NET.after_100    F32 (P)  p - p0 after a hundred

where NET is q, f, and of twins also q2. P is in the order Ws (S,H), Wx (X,H),
b1 (H), W2 (H,H), b2 (H), W3 (H,Y), b3 (Y).

  B states   S observation   A action   V proposals   K fixed and M moved
  particles   H hidden units   P parameters
"""

import json
import math
import pathlib
import struct
import sys

import numpy as np
import torch

UPDATES = 100
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8

SMALL = {
    "algorithm": "sql",
    "seed": 1,
    "units": 16,
    "minibatch": 8,
    "particles_fixed": 4,
    "particles_moved": 4,
    "one_set": "false",
    "svgd_space": "presquash",
    "svgd_alpha_ramp": "1,0",
    "value_particles": 4,
    "value_particles_sampler": 4,
    "value_proposals": "uniform",
    "proposal_switch": 0,
    "shared_proposals": "true",
    "value_measure": "lebesgue",
    "twin_q": "false",
    "alpha": 0.5,
    "temperature": "constant",
    "alpha_end": 0.5,
    "alpha_span": 1,
    "alpha_rate": 3e-4,
    "entropy_target": -1.0,
    "gamma": 0.9,
    "reward_scale": 2.0,
    "learning_rate_q": 1e-3,
    "learning_rate_f": 1e-3,
    "learning_rate_end": 1.0,
    "sampler_average": 0.9,  # of f that acts: no part of training
    "target_rate": 0.01,
    "target_every": 10,
    "observation_normalisation": "false",
}
HARD_COPIES = {"target_rate": 0.0}
LARGE = {
    "seed": 2,
    "units": 128,
    "minibatch": 64,
    "particles_fixed": 16,
    "particles_moved": 16,
    "value_particles": 16,
    "learning_rate_q": 3e-4,
    "learning_rate_f": 3e-4,
}

# name: (S, A, options that differ from SMALL). Seeds: one rounding that puts a
# ReLU on its other side is some 5e-4 of a small network's way and grows, so a
# seed is one where float32 in several orders of the hidden units had none.
CASES = {
    "sql": (3, 2, {"seed": 3}),
    "sql_twin": (3, 2, {"twin_q": "true", **HARD_COPIES}),
    "sql_large": (11, 3, {**LARGE, **HARD_COPIES}),
    "sql_action": (3, 2, {"seed": 2, "svgd_space": "action", **HARD_COPIES}),
    "sql_one_set": (3, 2, {"one_set": "true"}),
    "sql_sampler": (3, 2, {"value_proposals": "sampler"}),
    "sql_uniform_measure": (3, 2, {"value_measure": "uniform", **HARD_COPIES}),
    "sql_proposals_a_state": (3, 2, {"shared_proposals": "false"}),
    "sql_auto_temperature": (3, 2, {"temperature": "auto", "alpha_rate": 0.02}),
    "sql_schedules": (
        3,
        2,
        {
            "temperature": "anneal",
            "alpha_end": 0.1,
            "alpha_span": 60,
            "svgd_alpha_ramp": "4,50",
        },
    ),
    "ddpg": (3, 2, {"algorithm": "ddpg"}),
    "ddpg_twin": (3, 2, {"algorithm": "ddpg", "twin_q": "true", **HARD_COPIES}),
}

# --- numbers that C makes too ---------------------------------------------
#
# Value i of (seed, what, update) is splitmix64's output function at
# key + i * GAMMA, with key the same of seed, what and update in one word.

GAMMA = 0x9E3779B97F4A7C15
WORD = 2**64 - 1
(Q, Q_TARGET, Q2, Q2_TARGET, F, F_TARGET) = range(6)
(STATE, ACTION, REWARD, NEXT, PROPOSALS, XI_VALUE, XI_FIXED, XI_MOVED) = range(8, 16)


def mix(z):
    """splitmix64's output function, of an array of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Numbers:
    def __init__(self, seed, dtype):
        self.seed, self.dtype = seed, dtype

    def words(self, what, update, n):
        origin = (self.seed << 48 | what << 32 | update) + GAMMA & WORD
        key = mix(np.array([origin], np.uint64))
        return mix(key + np.arange(n, dtype=np.uint64) * np.uint64(GAMMA))

    def uniform(self, what, update, *shape):
        """On (-1, 1), 24 bits: exact in float32."""
        k = self.words(what, update, math.prod(shape)) >> np.uint64(40)
        x = (2 * k.astype(np.int64) + 1 - 2**24) * 2.0**-24
        return self.tensor(x, shape)

    def normal(self, what, update, *shape):
        """The sum of 12 uniforms of 16 bits, three words: nearly N(0, 1)."""
        n = math.prod(shape)
        fields = self.words(what, update, 3 * n).view(np.uint16).astype(np.int64)
        x = (2 * fields + 1 - 2**16).reshape(n, 12).sum(1) * 2.0**-17
        return self.tensor(x, shape)

    def parameters(self, what, S, X, H, Y):
        """Xavier uniform per input block; biases near 0, and b2 near 1/4.

        A unit that nearly no state wakes has a gradient of few digits, which
        Adam turns into steps of full length: b2 leaves few such units.
        """
        sizes = mlp_sizes(S, X, H, Y)
        fan = [S + H, X + H, 0, H + H, 0, H + Y, 0]
        bounds = [math.sqrt(6.0 / n) if n else 0.1 for n in fan]
        centres = [0, 0, 0, 0, 0.25, 0, 0]
        u = self.uniform(what, 0, sum(sizes)).double().numpy()
        u = np.repeat(centres, sizes) + u * np.repeat(bounds, sizes)
        return self.tensor(u, (sum(sizes),))

    def tensor(self, x, shape):
        x = x.astype(np.float32).reshape(shape)  # what C can hold
        return torch.from_numpy(x).to(self.dtype)


# --- networks and their optimiser -----------------------------------------


def mlp_sizes(S, X, H, Y):
    return [S * H, X * H, H, H * H, H, H * Y, Y]


def mlp(net, s, x):
    """s (B, S), x (B, N, X) or (N, X): y (B, N, Y)."""
    S, X, H, Y = net.shape
    ws, wx, b1, w2, b2, w3, b3 = net.p.split(mlp_sizes(S, X, H, Y))
    h = torch.relu((s @ ws.view(S, H))[:, None, :] + x @ wx.view(X, H) + b1)
    h = torch.relu(h @ w2.view(H, H) + b2)
    return h @ w3.view(H, Y) + b3


class Network:
    """Parameters p, their delayed copy, and Adam."""

    def __init__(self, numbers, what, target, shape):
        self.shape = shape
        self.p = numbers.parameters(what, *shape).requires_grad_()
        self.start = self.p.detach().clone()
        self.slow = Frozen(shape, numbers.parameters(target, *shape))
        self.m, self.v, self.step = torch.zeros_like(self.start), 0.0, 0

    def descend(self, loss, rate):
        """One step of Adam (Kingma & Ba 2015). Returns the gradient."""
        (g,) = torch.autograd.grad(loss, self.p)
        (beta1, beta2), self.step = ADAM_BETAS, self.step + 1
        self.m = beta1 * self.m + (1 - beta1) * g
        self.v = beta2 * self.v + (1 - beta2) * g**2
        m = self.m / (1 - beta1**self.step)
        v = self.v / (1 - beta2**self.step)
        with torch.no_grad():
            self.p -= rate * m / (v.sqrt() + ADAM_EPSILON)
        return g

    def moved(self):
        return self.p.detach() - self.start


class Frozen:
    def __init__(self, shape, p):
        self.shape, self.p = shape, p


# --- the equations --------------------------------------------------------


def smallest_q(networks, s, a):
    """Twins: the smaller. (B, N)"""
    q = torch.stack([mlp(net, s, a).squeeze(-1) for net in networks])
    return q.amin(0)


def log_one_minus_tanh2(u):
    return 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))


def sampler_log_density(f, s, xi):
    """u = f(s, xi) (B, N, A) and log q(tanh u) (B, N).

    log q = log N(xi; 0, I) - log|det du/dxi| - sum_i log(1 - tanh^2 u_i)
    """
    A = xi.shape[-1]
    xi = xi.detach().requires_grad_()
    u = mlp(f, s, xi)
    rows = [
        torch.autograd.grad(u[..., i].sum(), xi, retain_graph=True)[0]
        for i in range(A)
    ]
    log_det = torch.linalg.slogdet(torch.stack(rows, -2)).logabsdet
    assert torch.isfinite(log_det).all()
    u = u.detach()
    log_normal = -0.5 * (xi.detach() ** 2).sum(-1) - 0.5 * A * math.log(2 * math.pi)
    return u, log_normal - log_det - log_one_minus_tanh2(u).sum(-1)


def soft_value(case, alpha, next_s, noise):
    """V(s') (B), VHAT."""
    o = case.options
    if o["value_proposals"] == "sampler":
        u, log_q = sampler_log_density(case.f, next_s, noise["xi_value"])
        a = torch.tanh(u)
    else:
        a, log_q = noise["proposals"], -case.A * math.log(2)
    q = smallest_q([net.slow for net in case.q], next_s, a)
    v = alpha * ((q / alpha - log_q).logsumexp(-1) - math.log(q.shape[-1]))
    if o["value_measure"] == "uniform":
        v = v - alpha * case.A * math.log(2)
    return v


def q_step(case, value, batch):
    """B and JQ: one target, and a loss for each network."""
    o = case.options
    alive = 1 - batch["terminal"]
    target = o["reward_scale"] * batch["r"] + o["gamma"] * alive * value
    gradients = {}
    for name, net in zip(("q", "q2"), case.q):
        q = mlp(net, batch["s"], batch["a"][:, None, :])[:, 0, 0]
        loss = 0.5 * ((q - target.detach()) ** 2).mean()
        gradients[name] = net.descend(loss, o["learning_rate_q"])
    return gradients


def lower_median(d2):
    """(B, n): the ceil(n/2)-th smallest of each row."""
    n = d2.shape[-1]
    return d2.sort(-1).values[:, math.ceil(n / 2) - 1]


def stein_direction(case, alpha, x, y, g):
    """D(y_i) (B, M, A), SVGD. x (B, K, A), y (B, M, A), g (B, K, A)."""
    K, M = x.shape[1], y.shape[1]
    # a copy of x_j for each y_i, so that autograd gives grad_{x_j} of each pair
    x_j = x[:, :, None, :].repeat(1, 1, M, 1).requires_grad_()
    d2 = ((x_j - y[:, None, :, :]) ** 2).sum(-1)
    if case.options["one_set"] == "true":
        counts = ~torch.eye(K, dtype=torch.bool)  # j != i
        divisor = K - 1
    else:
        counts = torch.ones(K, M, dtype=torch.bool)
        divisor = K
    h = lower_median(d2.detach()[:, counts]) / math.log(K)
    h = h.clamp(min=1e-3)
    kappa = torch.exp(-d2 / h[:, None, None])
    (grad_x,) = torch.autograd.grad(kappa.sum(), x_j)
    terms = kappa.detach()[..., None] * g[:, :, None, :] + alpha * grad_x
    return (terms * counts[..., None]).sum(1) / divisor


def score(case, alpha, s, u):
    """x_j and g_j in the space of the particles: u, or a = tanh u."""
    if case.options["svgd_space"] == "action":
        x = torch.tanh(u).detach().requires_grad_()
        squash = torch.log(1 - x**2 + 1e-6)
        a = x
    else:
        x = u.detach().requires_grad_()
        squash = torch.log(1 - torch.tanh(x) ** 2)
        a = torch.tanh(x)
    log_pi = smallest_q(case.q, s, a) + alpha * squash.sum(-1)
    (g,) = torch.autograd.grad(log_pi.sum(), x)
    return x.detach(), g / case.g_divisor


def f_step(case, alpha, s, noise):
    """JF: ascend the mean over states and i of D(y_i)^T y_i."""
    x, g = score(case, alpha, s, mlp(case.f, s, noise["xi_fixed"]))
    one_set = case.options["one_set"] == "true"
    y = mlp(case.f, s, noise["xi_fixed" if one_set else "xi_moved"])
    if case.options["svgd_space"] == "action":
        y = torch.tanh(y)
    D = stein_direction(case, alpha, x, y.detach(), g)
    loss = -(D * y).sum(-1).mean()
    return case.f.descend(loss, case.options["learning_rate_f"])


def mu(f, s):
    """The deterministic action of DDPG (B, 1, A): no noise."""
    return torch.tanh(mlp(f, s, torch.zeros(1, f.shape[1], dtype=s.dtype)))


def actor_step(case, s):
    """DDPG: ascend the mean of Q(s, tanh mu(s))."""
    loss = -smallest_q(case.q, s, mu(case.f, s)).mean()
    return case.f.descend(loss, case.options["learning_rate_f"])


def move_targets(case, update):
    networks = case.q + ([case.f] if case.options["algorithm"] == "ddpg" else [])
    rate = case.options["target_rate"]
    for net in networks:
        p = net.p.detach()
        if rate > 0:
            net.slow.p = (1 - rate) * net.slow.p + rate * p
        elif update % case.options["target_every"] == 0:
            net.slow.p = p.clone()


class Case:
    def __init__(self, S, A, options, dtype):
        self.S, self.A = S, A
        self.options = o = {**SMALL, **options}
        self.numbers = Numbers(o["seed"], dtype)
        self.log_alpha, self.g_divisor = math.log(o["alpha"]), 1
        H = o["units"]
        self.q = [Network(self.numbers, Q, Q_TARGET, (S, A, H, 1))]
        if o["twin_q"] == "true":
            self.q.append(Network(self.numbers, Q2, Q2_TARGET, (S, A, H, 1)))
        self.f = Network(self.numbers, F, F_TARGET, (S, A, H, A))

    def batch(self, t):
        B, S, A = self.options["minibatch"], self.S, self.A
        draw = self.numbers
        row = torch.arange(B)
        return {
            "s": draw.normal(STATE, t, B, S),
            "a": draw.uniform(ACTION, t, B, A),
            "r": draw.normal(REWARD, t, B),
            "next": draw.normal(NEXT, t, B, S),
            # rows 2, 6, 10 ... are truncated, which is no end
            "terminal": (row % 4 == 1).to(draw.dtype),
        }

    def noise(self, t):
        o, A, draw = self.options, self.A, self.numbers
        B, V = o["minibatch"], o["value_particles"]
        proposals = (V, A) if o["shared_proposals"] == "true" else (B, V, A)
        W, K, M = (
            o[name]
            for name in ("value_particles_sampler", "particles_fixed", "particles_moved")
        )
        return {
            "proposals": draw.uniform(PROPOSALS, t, *proposals),
            "xi_value": draw.normal(XI_VALUE, t, B, W, A),
            "xi_fixed": draw.normal(XI_FIXED, t, B, K, A),
            "xi_moved": draw.normal(XI_MOVED, t, B, M, A),
        }

    def schedule(self, done):
        """What the number of updates done sets: alpha and g's divisor."""
        o = self.options
        if o["temperature"] == "anneal":
            share = min(done / o["alpha_span"], 1)
            ends = math.log(o["alpha"]), math.log(o["alpha_end"])
            self.log_alpha = (1 - share) * ends[0] + share * ends[1]
        factor, span = (float(x) for x in o["svgd_alpha_ramp"].split(","))
        self.g_divisor = factor + (1 - factor) * min(done / max(span, 1), 1)

    def update(self, t):
        """The t-th, from 1. Returns the gradients."""
        batch, noise, o = self.batch(t), self.noise(t), self.options
        s = batch["s"]
        if o["algorithm"] == "ddpg":
            targets = [net.slow for net in self.q]
            next_a = mu(self.f.slow, batch["next"])
            value = smallest_q(targets, batch["next"], next_a)[:, 0]
            gradients = q_step(self, value, batch)
            gradients["f"] = actor_step(self, s)
        else:
            self.schedule(t - 1)
            alpha = math.exp(self.log_alpha)
            if o["temperature"] == "auto":
                _, log_q = sampler_log_density(self.f, s, noise["xi_fixed"])
                entropy = -log_q.mean().item()
                wanted = o["entropy_target"] * self.A
                self.log_alpha += o["alpha_rate"] * (wanted - entropy)
            value = soft_value(self, alpha, batch["next"], noise)
            gradients = q_step(self, value, batch)
            gradients["f"] = f_step(self, alpha, s, noise)
        move_targets(self, t)
        return gradients

    def networks(self):
        return {"f": self.f, **dict(zip(("q", "q2"), self.q))}

    def run(self):
        results = {}
        for t in range(1, UPDATES + 1):
            gradients = self.update(t)
            for name, net in self.networks().items():
                if t == 1:
                    results[name + ".gradient"] = gradients[name]
                if t in (1, UPDATES):
                    results[f"{name}.after_{t}"] = net.moved()
        return results


# --- files ----------------------------------------------------------------


def write(path, notes, arrays):
    """safetensors: length of the header, JSON, the arrays' bytes."""
    header, data = {"__metadata__": notes}, b""
    types = {"float32": "F32", "uint64": "U64"}
    for name, array in arrays.items():
        header[name] = {
            "dtype": types[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_case(name):
    S, A, options = CASES[name]
    case = Case(S, A, options, torch.float64)
    # dims first: eight bytes a number, so all are aligned
    arrays = {"dims": np.array([S, A], np.uint64)}
    for key, x in case.run().items():
        arrays[key] = x.numpy().astype(np.float32)
    notes = {key: str(value) for key, value in case.options.items()}
    path = pathlib.Path(__file__).with_name(name + ".safetensors")
    write(path, notes, arrays)
    print(f"{path.name}: {path.stat().st_size} bytes")


def compare_float32(name):
    S, A, options = CASES[name]
    exact = Case(S, A, options, torch.float64).run()
    rounded = Case(S, A, options, torch.float32).run()
    for key, x in exact.items():
        error = (rounded[key].double() - x).norm() / x.norm()
        print(f"{name} {key}: {error:.1e}")


def main():
    names = [name for name in sys.argv[1:] if name != "--float32"] or CASES
    for name in names:
        (compare_float32 if "--float32" in sys.argv else write_case)(name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
