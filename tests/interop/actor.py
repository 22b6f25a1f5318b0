#!/usr/bin/env python3
"""An actor of a softq run in Python, to read: all that joins a run, acts and delivers transitions.

    actor.py RUN [--seconds=N]

joins the run in the folder RUN (its learner and shards are local.sh's, or any), plays an environment of its own (four
goals in the plane, as the task multigoal) with the run's policy, and ends when the run does. Debian's python3-numpy,
python3-zmq, python3-protobuf and protobuf-compiler are all it needs. Exit status: 0 stopped, 2 refused.

The conversation (proto/softq.proto has every field, proto/wire.h what values are accepted):

    we -> learner   Hello          -> Welcome(run, rank, options, topology)   again each second until answered
                    Ready(shape)   -> Go                                      likewise; then we are in
                    Heartbeat      -> Heartbeat                               each second; silent for 5 s: Hello again
                    GetParameters  -> Parameters or NotModified               each pull_interval
                    Episodes       -> Received                                returns; again until received
    learner -> we   Topology, Stop                                            at any time
    we -> shard     Insert(seq)    -> Inserted, Busy or Refused
    shard -> we     Room                                                      to those told Busy

One Envelope is one ZeroMQ message between our DEALER sockets and their ROUTERs. Anything may be lost: whatever is not
answered is sent again, unchanged.
"""
import os
import secrets
import subprocess
import sys
import tempfile
import time

import numpy as np
import zmq

here = os.path.dirname(os.path.realpath(__file__))
with tempfile.TemporaryDirectory() as folder:  # the messages' classes, from their description
    subprocess.run(["protoc", "-I" + here + "/../../proto", "--python_out=" + folder, "softq.proto"], check=True)
    sys.path.insert(0, folder)
    import softq_pb2 as softq
    sys.path.pop(0)

PROTOCOL, ACTOR, LISTED, DEAD = 1, 1, 1, 2
CODE_ILL_FORMED, CODE_STALE, CODE_OLDER, CODE_FINAL = 1, 5, 6, 7


class Peer:
    """One end of a conversation: a socket, and our name on every envelope."""

    run = 0  # of all peers: what Welcome says
    name = "python-%s-%d" % (os.uname().nodename[:40], os.getpid())
    incarnation = secrets.randbits(63) + 1  # a new one for every start of a process

    def __init__(self, context, address):
        self.address, self.heard, self.incarnation_there = address, time.monotonic(), None
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 200
        self.socket.connect(address)

    def send(self, kind, **fields):
        envelope = softq.Envelope(protocol=PROTOCOL, run=Peer.run, name=Peer.name, incarnation=Peer.incarnation)
        body = getattr(envelope, kind)
        body.SetInParent()  # an empty body is a message too
        for field, value in fields.items():
            if isinstance(value, (bytes, str, int, float, bool)):
                setattr(body, field, value)
            else:
                getattr(body, field).CopyFrom(value)
        try:
            self.socket.send(envelope.SerializeToString(), zmq.DONTWAIT)
        except zmq.Again:
            pass  # as good as lost

    def receive(self):
        """Every message that is here: (kind, body)."""
        while True:
            try:
                envelope = softq.Envelope.FromString(self.socket.recv(zmq.DONTWAIT))
            except zmq.Again:
                return
            self.heard = time.monotonic()
            self.restarted = self.incarnation_there not in (None, envelope.incarnation)
            self.incarnation_there, self.run_there = envelope.incarnation, envelope.run
            kind = envelope.WhichOneof("body")
            yield kind, getattr(envelope, kind)


class Multigoal:
    """E points in the plane; ten for coming within 1 of a goal, less the distance and thirty times the speed."""

    S, A, HORIZON = 2, 2, 30
    GOALS = np.array([[5, 0], [-5, 0], [0, 5], [0, -5]])

    def __init__(self, E, start_sd):
        self.E, self.start_sd = E, start_sd
        self.x, self.t = np.zeros((E, 2)), np.zeros(E, int)
        self.reset(np.ones(E, bool))

    def reset(self, which):
        self.x[which] = np.clip(self.start_sd * np.random.randn(which.sum(), 2), -7, 7)
        self.t[which] = 0

    def step(self, a):
        """s' (E, 2) before any reset, r, terminal and truncated (E)."""
        self.x = np.clip(self.x + a, -7, 7)
        self.t += 1
        nearest = ((self.x[:, None] - self.GOALS) ** 2).sum(2).min(1)
        terminal = nearest <= 1
        reward = -30 * (a ** 2).sum(1) - nearest + 10 * terminal
        return self.x.copy(), reward, terminal, ~terminal & (self.t >= self.HORIZON)


class Policy:
    """a = tanh f(s, xi), two hidden ReLU layers; all floats little-endian, matrices by rows."""

    def __init__(self, message, S, A, H):
        phi, self.at = np.frombuffer(message.phi, "<f4"), 0

        def take(*shape):
            self.at += int(np.prod(shape))
            return phi[self.at - int(np.prod(shape)):self.at].reshape(shape)

        self.ws, self.wx, self.b1 = take(S, H), take(A, H), take(H)
        self.w2, self.b2, self.w3, self.b3 = take(H, H), take(H), take(H, A), take(A)
        assert self.at == phi.size, "a sampler of another shape"
        self.version = message.version
        self.noise = np.frombuffer(message.noise, "<f4").reshape(-1, A)  # what xi is drawn from; none: N(0, I)
        self.mean, self.scale = (np.frombuffer(column, "<f4") for column in (message.mean, message.scale))

    def draw(self, n):
        if len(self.noise):
            return self.noise[np.random.randint(len(self.noise), size=n)]
        return np.random.randn(n, self.wx.shape[0]).astype("f4")

    def act(self, s, xi):
        """a (n, A) for s (n, S) and xi (n, A)."""
        if self.mean.size:
            s = np.clip((s - self.mean) * self.scale, -10, 10)
        h = np.maximum(s @ self.ws + xi @ self.wx + self.b1, 0)
        return np.tanh(np.maximum(h @ self.w2 + self.b2, 0) @ self.w3 + self.b3)


class Delivery:
    """Batches on their way to the shards: at most `window` numbers from the oldest unanswered one on."""

    def __init__(self, context, options, rank):
        self.context, self.rank = context, rank
        self.span, self.resend = int(options["window"]), float(options["resend_after"])
        self.shards, self.peers = {}, {}  # by index: what the topology says, our connection
        self.batches, self.next, self.turn = {}, 0, 0  # by seq: [rows, shard, when to send again, told busy]
        self.acknowledged = self.busy = self.stale = 0

    def listed(self):
        return [i for i, shard in sorted(self.shards.items()) if shard.state == LISTED]

    def has_room(self):
        return bool(self.listed()) and self.next < min(self.batches, default=self.next) + self.span

    def push(self, rows):
        self.batches[self.next] = [rows, None, 0, False]
        self.next += 1
        self.place()

    def place(self):
        """To a listed shard, in turn, what is at none: new batches and those whose shard died."""
        for seq in sorted(seq for seq, batch in self.batches.items() if batch[1] is None):
            if self.listed():
                self.turn += 1
                self.batches[seq][1] = self.listed()[self.turn % len(self.listed())]
                self.send(seq)

    def send(self, seq):
        rows, index = self.batches[seq][:2]
        self.batches[seq][2:] = [time.monotonic() + self.resend, False]
        self.peers[index].send("insert", epoch=Peer.incarnation, seq=seq, rank=self.rank, rows=rows)

    def at(self, index):
        return sorted(seq for seq, batch in self.batches.items() if batch[1] == index)

    def topology(self, topology):
        """Only a dead shard's batches move; a shard that started again is asked for all of its own at once."""
        for shard in topology.shards:
            old = self.shards.get(shard.index)
            self.shards[shard.index] = shard
            if shard.index not in self.peers or self.peers[shard.index].address != shard.address:
                self.peers[shard.index] = Peer(self.context, shard.address)
            for seq in self.at(shard.index):
                if shard.state == DEAD:
                    self.batches[seq][1] = None
                elif old is None or old.incarnation != shard.incarnation:
                    self.send(seq)
        self.place()

    def work(self):
        """What shards have answered; then the oldest batch of each that is due."""
        for index, peer in self.peers.items():
            for kind, body in peer.receive():
                if kind == "inserted" and body.epoch == Peer.incarnation and body.seq in self.batches:
                    self.acknowledged += self.batches.pop(body.seq)[0].n
                    self.ask_busy(index)  # one by one: there is room for a batch, not for all
                elif kind == "busy" and body.seq in self.batches:
                    self.busy += 1
                    self.batches[body.seq][2:] = [time.monotonic() + 1, True]
                elif kind == "room":
                    self.ask_busy(index)
                elif kind == "refused" and body.code == CODE_STALE:
                    self.stale += self.batches.pop(body.seq, None) is not None
                elif kind == "refused" and body.code != 0:
                    sys.exit("actor.py: shard %d refused: %s" % (index, body.reason))
            for seq in self.at(index)[:1]:
                if time.monotonic() >= self.batches[seq][2]:
                    self.send(seq)

    def ask_busy(self, index):
        for seq in [seq for seq in self.at(index) if self.batches[seq][3]][:1]:
            self.send(seq)


class Actor:
    def __init__(self, run):
        self.run, self.context, self.learner, self.stopped = run, zmq.Context(), None, None
        self.state, self.asked, self.beat, self.pulled, self.told = "finding", 0, 0, 0, 0
        self.policy = self.delivery = None
        self.topology_version = self.steps = 0
        self.stage, self.staged = [], 0  # steps of no batch yet, since when
        self.ended, self.first = [], 0  # episodes on their way: (return, length, version), the first one's number

    def find(self):
        """RUN/address has a line `learner ADDRESS`; the learner may come back at another one."""
        try:
            lines = [line.split() for line in open(self.run + "/address")]
        except OSError:
            return
        address = dict(line for line in lines if len(line) == 2).get("learner")
        if address and (self.learner is None or self.learner.address != address):
            self.learner = Peer(self.context, address)
            self.state = "hello"

    def converse(self):
        now = time.monotonic()
        if self.state == "joined" and now - self.learner.heard > 5:
            self.state = "hello"  # it has gone: whoever comes back is greeted
        if self.state != "joined" and now - self.asked >= 1:
            self.asked = now
            self.find()
            if self.state == "hello":
                self.learner.send("hello", role=ACTOR, build="actor.py")
            elif self.state == "ready":
                self.learner.send("ready", obs_dim=Multigoal.S, act_dim=Multigoal.A)
        elif self.state == "joined" and now - self.beat >= 1:
            self.beat = now
            d = self.delivery
            counters = softq.Counters(steps=self.steps, episodes=self.first + len(self.ended), busy=d.busy,
                                      acknowledged=d.acknowledged, outstanding=len(d.batches), refused=d.stale,
                                      policy_version=self.policy.version if self.policy else 0)
            self.learner.send("heartbeat", topology_version=self.topology_version, counters=counters)
        if self.state == "joined" and self.ended and now - self.told >= 0.5:
            self.told = now
            returns, lengths, versions = zip(*self.ended[:256])
            self.learner.send("episodes", epoch=Peer.incarnation, first=self.first, n=len(returns),
                              returns=np.array(returns, "<f8").tobytes(), lengths=np.array(lengths, "<u8").tobytes(),
                              versions=np.array(versions, "<u8").tobytes(), n_stats=bytes(len(returns)))
        if self.state == "joined" and now - self.pulled >= float(self.options["pull_interval"]):
            self.pulled = now
            self.learner.send("get_parameters", have=self.policy.version if self.policy else 0)

    def listen(self):
        for kind, body in self.learner.receive() if self.learner else ():
            if self.learner.restarted and kind != "stop":
                self.state = "hello"  # it does not know us any more
            if kind == "welcome" and self.state != "joined":
                self.welcome(body)
            elif kind == "go" and self.state == "ready":
                self.state = "joined"
            elif kind == "parameters" and self.delivery:
                self.policy = Policy(body, Multigoal.S, Multigoal.A, int(self.options["units"]))
            elif kind == "topology" and self.delivery:
                self.topology_version = body.version
                self.delivery.topology(body)
            elif kind == "received" and body.epoch == Peer.incarnation:
                self.ended, self.first = self.ended[max(0, body.next - self.first):], max(self.first, body.next)
            elif kind == "stop":
                self.stopped = body.text.decode()
            elif kind == "refused" and 3 <= body.code != CODE_STALE:
                sys.stderr.write("actor.py: the learner refused: %s\n" % body.reason)
                sys.exit(2)
            elif kind == "refused" and self.state == "joined" and body.code != CODE_ILL_FORMED:
                self.state = "hello"

    def welcome(self, body):
        """The run's id, our rank in it, its options as `name = value` lines, its shards."""
        Peer.run = self.learner.run_there
        self.options = dict(line.split(" = ", 1) for line in body.options.decode().splitlines() if " = " in line)
        if self.delivery is None:
            self.delivery = Delivery(self.context, self.options, body.rank)
            self.env = Multigoal(int(self.options["environments"]), float(self.options["multigoal_start_sd"]))
            self.returns = np.zeros(self.env.E)
        self.topology_version = body.topology.version
        self.delivery.topology(body.topology)
        self.state, self.asked = "ready", 0

    def step(self):
        s = self.env.x.astype("<f4")
        a = self.policy.act(s, self.policy.draw(self.env.E)).astype("<f4")
        following, reward, terminal, truncated = self.env.step(a.astype(float))
        self.staged = self.staged if self.stage else time.monotonic()
        for i in range(self.env.E):
            self.stage.append((s[i], a[i], reward[i], following[i], terminal[i] + 2 * truncated[i],
                               self.policy.version))
        self.steps += self.env.E
        self.returns += reward
        over = terminal | truncated
        self.ended += [(self.returns[i], self.env.t[i], self.policy.version) for i in np.flatnonzero(over)]
        self.returns[over] = 0
        self.env.reset(over)

    def flush(self, all_of_them):
        """Batches of `batch` rows; what is left over too when it gets old."""
        batch = int(self.options["batch"])
        while self.delivery.has_room() and len(self.stage) >= (1 if all_of_them else batch):
            s, a, r, following, flags, version = zip(*self.stage[:batch])
            del self.stage[:batch]
            self.delivery.push(softq.Rows(
                n=len(s), obs_dim=Multigoal.S, act_dim=Multigoal.A, s=np.array(s, "<f4").tobytes(),
                a=np.array(a, "<f4").tobytes(), r=np.array(r, "<f4").tobytes(), flags=np.array(flags, "u1").tobytes(),
                next=np.array(following, "<f4").tobytes(), version=np.array(version, "<u8").tobytes()))

    def play(self, seconds):
        end = time.monotonic() + seconds
        while self.stopped is None and time.monotonic() < end:
            self.listen()
            self.converse()
            if self.delivery is None:
                time.sleep(0.01)
                continue
            self.delivery.work()
            batch = int(self.options["batch"])
            if self.policy and self.delivery.has_room() and len(self.stage) < batch:
                self.step()
            else:
                time.sleep(0.001)  # the window is full: the shards, or the ratio, want us to wait
            self.flush(bool(self.stage) and time.monotonic() - self.staged >= float(self.options["flush_after"]))
        print("%s: %d steps, %d rows acknowledged, %d episodes"
              % (self.stopped or "time is over", self.steps, self.delivery.acknowledged if self.delivery else 0,
                 self.first + len(self.ended)))


if __name__ == "__main__":
    Actor(sys.argv[1]).play(float(sys.argv[2].split("=")[1]) if len(sys.argv) > 2 else float("inf"))
