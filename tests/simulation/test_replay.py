"""Old packets, merged words and small limits: what others found in their failure detectors.

Recorded datagrams come again from the same addresses, as from a network that has them queued or an
attacker who kept them.
"""

import pytest

from meshcluster.node.suspicion import Suspicion
from meshcluster.testing import Simulation, VirtualMember
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Dead, Leave, Suspect

Recording = list[tuple[VirtualMember, bytes, str | None]]
"""Who sent it, what, and to which address; None: to the group."""


def recorded(sim: Simulation) -> Recording:
    """All datagrams from now on."""
    seen: Recording = []
    announce, send = sim.announce, sim.send

    def to_all(sender: VirtualMember, data: bytes) -> None:
        seen.append((sender, data, None))
        announce(sender, data)

    def to_one(sender: VirtualMember, data: bytes, address: str) -> None:
        seen.append((sender, data, address))
        send(sender, data, address)

    sim.announce, sim.send = to_all, to_one  # type: ignore[method-assign]
    return seen


def replay(sim: Simulation, tape: Recording) -> None:
    """All of it comes again, in order, at once."""
    for sender, data, address in tape:
        if address is None:
            sim.announce(sender, data)
        else:
            sim.send(sender, data, address)


def settled(seed: int, members: int = 6, **config: object) -> tuple[Simulation, Recording]:
    sim = Simulation(seed, **config)  # type: ignore[arg-type]
    tape = recorded(sim)
    for _ in range(members):
        sim.add()
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=3)
    return sim, tape


def lost_by(sim: Simulation) -> set[tuple[str, str]]:
    return {(m.name, who) for m in sim.members for _, what, who in m.log if what == "lost"}


@pytest.mark.parametrize("wait", [0.5, 20.0, 400.0])
@pytest.mark.parametrize("way", ["leave", "kill"])
def test_packets_of_the_dead_bring_nobody_back(way: str, wait: float) -> None:
    """Also when nothing is left that remembers it."""
    sim, tape = settled(1)
    gone = sim.members[2]
    getattr(sim, way)(gone)
    sim.run_until(sim.converged, limit=10)
    sim.run(seconds=wait)
    old = tape.copy()
    for _ in range(3):
        replay(sim, old)
        sim.run(seconds=1.0)
        assert all(gone.name not in member.known for member in sim.members)
    sim.run(seconds=10)
    assert sim.converged()
    assert lost_by(sim) == {(member.name, gone.name) for member in sim.members}


@pytest.mark.parametrize("seed", range(4))
def test_packets_about_the_dead_do_not_kill_who_came_after(seed: int) -> None:
    """The goodbye, the suspicions and the death of an earlier run, at the same address."""
    sim, tape = settled(10 + seed)
    first = sim.members[2]
    sim.leave(first)
    sim.run(seconds=2)
    second = sim.restart(first)
    sim.run_until(sim.converged, limit=10)
    victim = sim.members[0]
    sim.partition([victim], [m for m in sim.members if m is not victim])
    sim.run(seconds=20)
    sim.repair()
    sim.run_until(sim.converged, limit=10)
    assert {type(codec.decode_datagram(data)) for _, data, _ in tape} >= {Leave, Suspect}
    before = {name: list(m.log) for name, m in ((m.name, m) for m in sim.members)}
    old = tape.copy()
    for _ in range(3):
        replay(sim, old)
        sim.run(seconds=5)
    sim.run(seconds=10)
    after = [
        entry for m in sim.members for entry in m.log[len(before[m.name]) :] if entry[1] == "lost"
    ]
    assert after == [], f"seed={sim.seed}"
    assert sim.converged()
    assert all(second.name in member.known for member in sim.members if member is not second)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [0.0, 0.02])
def test_ten_that_leave_one_after_another_have_all_left(seed: int, loss: float) -> None:
    sim, _ = settled(20 + seed, 10, loss=loss)
    left = []
    while len(sim.members) > 3:
        left.append(sim.members[0].name)
        sim.leave(sim.members[0])
        sim.run(seconds=0.3)
    sim.run_until(sim.converged, limit=15)
    for member in sim.members:
        assert {name: member.reasons[name] for name in left} == dict.fromkeys(left, "left")


def test_a_suspicion_that_is_older_than_what_was_heard_is_none() -> None:
    sim, _ = settled(30)
    accuser, victim, *others = sim.members
    me, number = accuser.node.identity, others[0].peer_named(victim.name).number
    sim.run(seconds=2)  # beacons came since
    for _ in range(20):
        for kind in (Suspect, Dead):
            rest = (False,) if kind is Dead else ()
            word = kind("default", me.id, me.boot, victim.node.identity.key, number, *rest)
            sim.announce(accuser, codec.encode_datagram(word))
        sim.run(seconds=0.05)
    assert {what for m in others for _, what, _ in m.log} == {"discovered"}


def test_a_suspicion_that_is_told_often_is_told_once() -> None:
    suspicion = Suspicion(0.0, active=True)
    suspicion.by.add(b"one")
    once = suspicion.seconds(100, 2.0)
    for _ in range(9):
        suspicion.by.add(b"one")
    assert suspicion.seconds(100, 2.0) == once


@pytest.mark.parametrize("members", [6, 70])
def test_one_liar_kills_nobody(members: int) -> None:
    """However often it says that a member is dead: that one says each time that it is not."""
    sim, _ = settled(31, members)
    liar, victim, *others = sim.members
    me = liar.node.identity
    for _ in range(100):
        word = Dead("default", me.id, me.boot, victim.node.identity.key, 2**32, False)
        sim.announce(liar, codec.encode_datagram(word))
        sim.run(seconds=0.1)
    sim.run(seconds=5)
    assert [m.name for m in others if victim.name not in m.known] == []


def test_what_a_member_says_of_itself_may_be_too_long_for_a_datagram() -> None:
    """Its beacon never is: it has no tags in it."""
    tags = [f"a-tag-that-says-much-{number:04}" for number in range(200)]
    sim = Simulation(32, 3)
    big = sim.add(tags=tuple(tags))
    sim.run_until(sim.converged, limit=10)
    limit = big.node.config.limits.datagram_bytes
    sent: list[int] = []
    announce = sim.announce

    def listen(sender: VirtualMember, data: bytes) -> None:
        if sender is big and isinstance(codec.decode_datagram(data), Beacon):
            sent.append(len(data))
        announce(sender, data)

    sim.announce = listen  # type: ignore[method-assign]
    sim.run(seconds=60)
    assert len(sent) > 40
    assert max(sent) <= limit
    assert lost_by(sim) == set()
