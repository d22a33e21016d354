"""Acknowledged sends over a hostile network: every call and every handling is judged."""

from collections import Counter
from functools import partial
from random import Random

import pytest

from meshcluster.config import Limits
from meshcluster.testing import Simulation
from meshcluster.testing.ledger import OK, RAISED, UNKNOWN, UNSENT, Ledger, outcome_of

MEMBERS, CALLS = 5, 400


class Judged:
    """A mesh whose members send to each other, handle or raise, and are judged. With an odd seed
    their hooks are slow, so that much waits at its sender.
    """

    def __init__(self, seed):
        window = 400 if seed % 2 else Limits().event_window_bytes
        self.sim = Simulation(
            seed, loss=0.3, duplication=0.1, heartbeat_seconds=0.5,
            limits=Limits(event_window_bytes=window),
        )  # fmt: skip
        self.random = Random(f"promises {seed}")
        self.ledger = Ledger()
        self.open = []
        self.numbers = {}
        for _ in range(MEMBERS):
            self.take_in(self.sim.add())

    def take_in(self, member):
        """A run that has just begun."""
        run = key(member)
        self.numbers[run] = 0

        def handle(arrived):
            number = int.from_bytes(arrived.question.body)
            error = ValueError(number) if self.random.random() < 0.2 else None
            sender = arrived.service.key.hex()
            self.ledger.handled(run, sender, number, raised=error is not None)
            delay = self.random.choice([0, 0, 0.01, 0.5])
            self.sim.after(delay, member.acknowledge, arrived, error)

        member.handle = handle

    def call(self):
        """Somebody tells somebody."""
        sender = self.random.choice([m for m in self.sim.members if not m.paused])
        if not sender.known:
            return
        name = self.random.choice(sender.known)
        number = self.numbers[key(sender)] = self.numbers[key(sender)] + 1
        receiver = sender.peer_named(name).service.key.hex()
        self.ledger.began(key(sender), number, receiver)
        timeout = self.random.choice([0.3, 5, 30])
        promise = sender.promise(number.to_bytes(4), name, timeout=timeout)
        self.open.append((sender, number, promise))

    def harm(self):
        """What happens to a mesh."""
        sim, random = self.sim, self.random
        match random.choice(["kill", "restart", "cut", "cut", "abort", "abort", "pause", "leave"]):
            case "kill" if len(sim.members) > 3:
                sim.kill(random.choice(sim.members))
                self.take_in(sim.add())
            case "leave":
                sim.leave(random.choice(sim.members))
                self.take_in(sim.add())
            case "restart":
                self.take_in(sim.restart(random.choice(sim.members)))
            case "cut":
                sim.partition(sim.members[::2], sim.members[1::2])
                sim.after(random.choice([0.2, 3, 12]), sim.repair)
            case "pause":
                sim.pause(random.choice(sim.members), random.choice([0.2, 4]))
            case _:
                sim.abort_links(0.3)

    def end(self):
        """All that is still open ends; notes how."""
        self.sim.repair()
        self.sim.run(seconds=60)
        for sender, number, promise in self.open:
            if not promise.over:
                assert not sender.alive
                continue
            error = next(iter(promise._errors.values()), None)
            self.ledger.ended(key(sender), number, outcome_of(error))


def key(member):
    return member.node.identity.key.hex()


@pytest.mark.parametrize("seed", range(12))
def test_none_is_lost_and_none_is_handled_twice(seed):
    """Loss of a third, datagrams that come twice, partitions, links that break, members that are
    killed, stopped, restarted and leave: each call tells the truth.
    """
    judged = Judged(seed)
    judged.sim.run(seconds=3)
    for number in range(CALLS):
        judged.call()
        judged.sim.run(seconds=judged.random.choice([0, 0, 0.001, 0.02, 0.1]))
        if number % 20 == 19:
            judged.harm()
    judged.end()
    assert not judged.ledger.faults(), f"seed={seed}: {judged.ledger}"
    assert judged.ledger.outcomes[OK] > CALLS / 10, f"seed={seed}: {judged.ledger}"


@pytest.mark.parametrize("seed", range(5))
def test_a_question_runs_its_responder_at_most_once(seed):
    """And who answered was run; the same network, queries instead of sends."""
    judged = Judged(seed)
    sim, asked, run = judged.sim, [], Counter()

    def respond(member, question):
        run[question.data, key(member)] += 1
        return member.name

    def teach():
        for member in sim.members:
            member.respond = partial(respond, member)

    sim.run(seconds=3)
    for number in range(CALLS // 2):
        teach()
        asker = judged.random.choice([m for m in sim.members if not m.paused])
        if asker.known:
            timeout = judged.random.choice([0.3, 5, 30])
            asked.append((number, asker.ask(number, timeout=timeout)))
        sim.run(seconds=judged.random.choice([0, 0.001, 0.02, 0.1]))
        if number % 20 == 19:
            judged.harm()
    sim.repair()
    sim.run(seconds=60)
    assert max(run.values()) == 1, f"seed={seed}"
    for number, gathering in asked:
        for service in gathering.results:
            assert run[number, service.key.hex()] == 1, f"seed={seed}"


def test_the_seeds_bring_every_outcome_about():
    """Or the judge would have nothing to judge."""
    outcomes = None
    for seed in range(100, 104):
        judged = Judged(seed)
        judged.sim.run(seconds=3)
        for number in range(CALLS):
            judged.call()
            judged.sim.run(seconds=0.02)
            if number % 20 == 19:
                judged.harm()
        judged.end()
        assert not judged.ledger.faults(), f"seed={seed}: {judged.ledger}"
        outcomes = judged.ledger.outcomes if outcomes is None else outcomes + judged.ledger.outcomes
    print(outcomes)
    assert {OK, RAISED, UNKNOWN, UNSENT} <= outcomes.keys()
