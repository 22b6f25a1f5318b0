"""Soft Q-learning's and DDPG's update in PyTorch, as fast as we could write it.

    sql_torch.py [--threads=N] [--compile=1|2] [--chunk_rows=N] [--name=value ...]

Takes turns (turns.py). The gradients are written out, as ours are: autograd
would keep and fill more than these equations need.
The first layer's state half is computed once a state; Q's slopes leave out the
parameters' gradients; Adam is the fused one, over one flat vector. Passes that
keep nothing can go in chunks of some states (turns.chunk_states).

  B states  S observation  A action  N second inputs a state  H units
  V proposals  K fixed, M moved particles
"""

import math
import sys

import torch

import turns

relu_backward = torch.ops.aten.threshold_backward


class Network:
    """Flat parameters, their delayed copy, their gradient and Adam's state."""

    def __init__(self, S, X, H, Y, p, slow):
        self.shape = (S, X, H, Y)
        self.p, self.slow = p.clone(), slow.clone()
        self.g, self.m, self.v = (torch.zeros_like(p) for _ in range(3))
        self.step = torch.zeros(())

    def parts(self, flat):
        """Ws (S,H), Wx (X,H), b1 (H), W2 (H,H), b2 (H), W3 (H,Y), b3 (Y)."""
        S, X, H, Y = self.shape
        sizes = [S * H, X * H, H, H * H, H, H * Y, Y]
        ws, wx, b1, w2, b2, w3, b3 = flat.split(sizes)
        return ws.view(S, H), wx.view(X, H), b1, w2.view(H, H), b2, w3.view(H, Y), b3

    def adam(self, rate):
        self.step += 1
        if torch.compiler.is_compiling():  # into one loop, by the compiler
            self.m.lerp_(self.g, 0.1)
            self.v.lerp_(self.g * self.g, 0.001)
            root = (self.v / (1 - 0.999**self.step)).sqrt()
            self.p -= rate * self.m / (1 - 0.9**self.step) / (root + 1e-8)
            return
        torch._fused_adam_(
            [self.p], [self.g], [self.m], [self.v], [], [self.step],
            lr=rate, beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False,
        )  # fmt: skip


def forward(net, flat, s, x):
    """s (B,S), x (B,N,X) or (1,N,X) or None: h1, h2 (BN,H), y (BN,Y)."""
    ws, wx, b1, w2, b2, w3, b3 = net.parts(flat)
    h1 = torch.addmm(b1, s, ws)
    if x is not None:
        shared, N, X = x.shape
        h1 = h1[:, None] + (x.reshape(-1, X) @ wx).view(shared, N, -1)
        h1 = h1.view(-1, net.shape[2])
    h1.relu_()
    h2 = torch.addmm(b2, h1, w2).relu_()
    return h1, h2, torch.addmm(b3, h2, w3)


def to_input(net, h1, h2):
    """dy/dx (BN,X) of a network of one output."""
    _, wx, _, w2, _, w3, _ = net.parts(net.p)
    g = relu_backward(w3.view(1, -1).expand_as(h2), h2, 0)
    return relu_backward(g @ w2.T, h1, 0) @ wx.T


def to_parameters(net, s, x, h1, h2, dy):
    """dy (BN,Y): net.g."""
    _, _, _, w2, _, w3, _ = net.parts(net.p)
    g = net.parts(net.g)
    g[5].copy_(h2.T @ dy)
    g[6].copy_(dy.sum(0))
    d2 = relu_backward(dy @ w3.T, h2, 0)
    g[3].copy_(h1.T @ d2)
    g[4].copy_(d2.sum(0))
    d1 = relu_backward(d2 @ w2.T, h1, 0)
    a_state = d1
    if x is not None:
        g[1].copy_(x.reshape(-1, x.shape[-1]).T @ d1)
        a_state = d1.view(len(s), -1, d1.shape[-1]).sum(1)
    g[0].copy_(s.T @ a_state)
    g[2].copy_(a_state.sum(0))


def log_one_minus_tanh2(u):
    return 2 * (math.log(2) - u - torch.nn.functional.softplus(-2 * u))


def sampler_proposals(f, s, xi):
    """a (B,V,A) and log q(a) (B,V): the Jacobian by tangents, one an input."""
    B, V, A = xi.shape
    h1, h2, u = forward(f, f.p, s, xi)
    _, wx, _, w2, _, w3, _ = f.parts(f.p)
    t = (wx * (h1 > 0)[:, None]).view(-1, wx.shape[1])
    t = ((t @ w2).view(B * V, A, -1) * (h2 > 0)[:, None]).view(t.shape)
    log_det = torch.linalg.slogdet((t @ w3).view(B * V, A, A)).logabsdet
    log_q = -0.5 * (xi**2).sum(-1) - 0.5 * A * math.log(2 * math.pi)
    log_q = log_q - (log_det + log_one_minus_tanh2(u).sum(-1)).view(B, V)
    return u.tanh().view(B, V, A), log_q


class Learner:
    def __init__(self, options, q, q_slow, f, f_slow):
        o = self.options = options
        S, A, H = o["observation_dim"], o["action_dim"], o["units"]
        self.A, self.B = A, o["minibatch"]
        self.q, self.f = Network(S, A, H, 1, q, q_slow), Network(S, A, H, A, f, f_slow)

    def draw(self):
        o, B, A = self.options, self.B, self.A
        if o["algorithm"] == "ddpg":
            return {}
        if o["value_proposals"] == "sampler":
            value = {"xi_value": torch.randn(B, o["value_particles_sampler"], A)}
        else:
            value = {"proposals": torch.rand(o["value_particles"], A) * 2 - 1}
        return {
            **value,
            "xi_fixed": torch.randn(B, o["particles_fixed"], A),
            "xi_moved": torch.randn(B, o["particles_moved"], A),
        }

    def in_chunks(self, function, rows_a_state, *inputs):
        """function of (B, ...) inputs; of some states at a time, by option."""
        n = turns.chunk_states(self.B, rows_a_state, self.options["chunk_rows"])
        if n == self.B:
            return function(*inputs)
        return torch.cat([function(*x) for x in zip(*(x.split(n) for x in inputs))])

    def soft_value(self, s, noise):
        """V(s') (B)."""
        alpha = self.options["alpha"]

        def value(s, xi=None):
            if xi is not None:
                a, log_q = sampler_proposals(self.f, s, xi)
            else:
                a, log_q = noise["proposals"][None], -self.A * math.log(2)
            q = forward(self.q, self.q.slow, s, a)[2].view(len(s), -1)
            q = torch.logsumexp(q / alpha - log_q, -1) - math.log(q.shape[-1])
            return alpha * q

        if "xi_value" in noise:
            xi = noise["xi_value"]  # its widest pass: the tangents, A a proposal
            return self.in_chunks(value, xi.shape[1] * self.A, s, xi)
        return self.in_chunks(value, len(noise["proposals"]), s)

    def slope(self, s, a):
        """dQ/da (B,K,A)."""
        return to_input(self.q, *forward(self.q, self.q.p, s, a)[:2]).view(a.shape)

    def q_step(self, value, batch):
        o, q, a = self.options, self.q, batch["a"][:, None]
        target = o["reward_scale"] * batch["r"]
        target = target + o["gamma"] * (1 - batch["terminal"]) * value
        h1, h2, y = forward(q, q.p, batch["s"], a)
        to_parameters(q, batch["s"], a, h1, h2, (y - target[:, None]) / self.B)
        q.adam(o["learning_rate_q"])

    def stein_direction(self, x, y, g):
        """x, g (B,K,A), y (B,M,A): D (B,M,A)."""
        K, alpha = x.shape[1], self.options["alpha"]
        norms = (x**2).sum(-1)[:, :, None] + (y**2).sum(-1)[:, None, :]
        d2 = torch.baddbmm(norms, x, y.transpose(1, 2), alpha=-2).clamp_(min=0)
        h = d2.view(len(x), -1).median(-1).values  # the lower one
        h = (h / math.log(K)).clamp_(min=1e-3)[:, None, None]
        kappa = torch.exp(-d2 / h).transpose(1, 2)
        pull = 2 * alpha / h
        return (kappa @ (g - pull * x) + pull * y * kappa.sum(-1, keepdim=True)) / K

    def f_step(self, s, noise):
        o, f, B, A = self.options, self.f, self.B, self.A
        x = forward(f, f.p, s, noise["xi_fixed"])[2].view(B, -1, A)
        a = x.tanh()
        g = self.in_chunks(self.slope, a.shape[1], s, a)
        g = g * (1 - a * a) - 2 * o["alpha"] * a
        h1, h2, y = forward(f, f.p, s, noise["xi_moved"])
        D = self.stein_direction(x, y.view(B, -1, A), g).reshape(y.shape)
        to_parameters(f, s, noise["xi_moved"], h1, h2, -D / len(y))
        f.adam(o["learning_rate_f"])

    def actor_step(self, s):
        """DDPG: ascend the mean of Q(s, tanh f(s))."""
        q, f = self.q, self.f
        h1, h2, u = forward(f, f.p, s, None)
        a = u.tanh()
        g = to_input(q, *forward(q, q.p, s, a[:, None])[:2])
        to_parameters(f, s, None, h1, h2, -g * (1 - a * a) / self.B)
        f.adam(self.options["learning_rate_f"])

    def update(self, batch, noise):
        """All but the targets' turn."""
        if self.options["algorithm"] == "ddpg":
            a = forward(self.f, self.f.slow, batch["next"], None)[2].tanh()
            value = forward(self.q, self.q.slow, batch["next"], a[:, None])[2][:, 0]
            self.q_step(value, batch)
            self.actor_step(batch["s"])
        else:
            self.q_step(self.soft_value(batch["next"], noise), batch)
            self.f_step(batch["s"], noise)

    def move_targets(self, updates):
        rate = self.options["target_rate"]
        for net in (self.q, self.f)[: 1 + (self.options["algorithm"] == "ddpg")]:
            if rate > 0:
                net.slow.lerp_(net.p, rate)
            elif updates % self.options["target_every"] == 0:
                net.slow.copy_(net.p)


def initial(S, X, H, Y, generator):
    """Xavier uniform an input block, biases 0."""
    parts = []
    for rows, columns in ((S, H), (X, H), (0, H), (H, H), (0, H), (H, Y), (0, Y)):
        bound = math.sqrt(6 / (rows + columns)) if rows else 0.0
        u = torch.rand(max(rows, 1) * columns, generator=generator)
        parts.append(bound * (2 * u - 1))
    return torch.cat(parts)


def new_learner(options, seed=1):
    g = torch.Generator().manual_seed(seed)
    S, A, H = options["observation_dim"], options["action_dim"], options["units"]
    q, f = initial(S, A, H, 1, g), initial(S, A, H, A, g)
    return Learner(options, q, q, f, f)


def compiled(function, tuned=False):
    """tuned: its choices by trying them, minutes on a slow machine."""
    mode = "max-autotune-no-cudagraphs" if tuned else None
    return torch.compile(function, fullgraph=True, dynamic=False, mode=mode)


def main():
    options = turns.read_options(sys.argv[1:])
    torch.set_num_threads(options["threads"])
    learner = new_learner(options)
    B, S, A = options["minibatch"], options["observation_dim"], options["action_dim"]
    batch = {
        "s": torch.randn(B, S),
        "a": torch.rand(B, A) * 2 - 1,
        "r": torch.randn(B),
        "next": torch.randn(B, S),
        "terminal": torch.zeros(B),
    }
    done = 0

    def one():
        learner.update(batch, learner.draw())

    if options["compile"]:
        one = compiled(one, options["compile"] == 2)

    def updates(n):
        nonlocal done
        for _ in range(n):
            one()
            done += 1
            learner.move_targets(done)
        return n

    how = ("eager", "compiled", "compiled and tuned")[options["compile"]]
    who = {"name": f"PyTorch {torch.__version__} {how}"}
    seconds, threads = options["seconds"], options["threads"]
    turns.take_turns(
        who, "updates_per_s", seconds, turns.UPDATE_SLICE, threads > 1, updates
    )


if __name__ == "__main__":
    with torch.inference_mode():
        main()
