"""Messages in datagrams: at most once whatever the network does, and at last never lost unsaid."""

from collections import Counter

import pytest

from meshcluster.testing import Simulation
from meshcluster.wire import codec
from meshcluster.wire.frames import GroupParcel

BOTH = ("memory", "udp")


def settled(seed, members, **config):
    sim = Simulation(seed, members, schemes=BOTH, **config)
    sim.run_until(sim.converged, limit=20)
    return sim


def broadcasts(sim, words, pause):
    """Everybody tells everybody each word, a while apart."""
    for word in words:
        for member in sim.members:
            member.broadcast(word)
        sim.run(seconds=pause)


def heard(member):
    """How often it heard each word of each other member."""
    return Counter(member.received)


def to_the_group(sim, monkeypatch):
    """Who tells the group something from here on, and how many are told alone."""
    group, alone = [], []
    announce, send = sim.announce, sim.send

    def announcing(sender, data):
        group.extend([sender.name] if is_told(data) else [])
        announce(sender, data)

    def sending(sender, data, address):
        alone.extend([sender.name] if is_told(data) else [])
        send(sender, data, address)

    monkeypatch.setattr(sim, "announce", announcing)
    monkeypatch.setattr(sim, "send", sending)
    return group, alone


def is_told(data):
    return isinstance(codec.decode_datagram(data), GroupParcel)


def test_where_nothing_is_lost_each_gets_one_datagram_of_the_group_once(monkeypatch):
    sim = settled(1, 12, duplication=0.3)
    sim.run(seconds=2)  # all have heard all on the group
    group, alone = to_the_group(sim, monkeypatch)
    broadcasts(sim, range(5), 0.1)
    names = [member.name for member in sim.members]
    assert (sorted(group), alone) == (sorted(names * 5), [])
    for member in sim.members:
        others = [name for name in names if name != member.name]
        assert heard(member) == {(name, n): 1 for name in others for n in range(5)}


def test_where_there_is_no_multicast_each_gets_it_alone(monkeypatch):
    sim = Simulation(2, 6, schemes=BOTH, multicast=False, seeds=("m1",))
    sim.run_until(sim.converged, limit=20)
    group, alone = to_the_group(sim, monkeypatch)
    broadcasts(sim, range(3), 0.1)
    assert (group, len(alone)) == ([], 3 * 6 * 5)
    for member in sim.members:
        assert set(heard(member).values()) == {1}
        assert len(heard(member)) == 15


def test_in_a_large_mesh_the_first_word_of_a_member_has_it_asked_and_the_next_is_heard():
    """There not everybody has proved itself to everybody; from others nothing is taken."""
    sim = settled(3, 80)
    teller, *others = sim.members
    for word in ("first", "second"):
        teller.broadcast(word)
        sim.run(seconds=1)
    words = [word for member in others for name, word in member.received if name == teller.name]
    assert words.count("first") < words.count("second") == len(others)


@pytest.mark.parametrize("seed", range(5))
def test_through_loss_duplication_and_a_partition_nobody_hears_anything_twice(seed):
    sim = settled(seed, 10, loss=0.2, duplication=0.2)
    broadcasts(sim, range(10), 0.3)
    sim.partition(sim.members[:4], sim.members[4:])
    broadcasts(sim, range(10, 20), 0.6)  # so long that who hears others no more turns to unicast
    sim.repair()
    sim.network.loss = 0.0
    sim.run_until(sim.converged, limit=60)
    broadcasts(sim, ["healed"], 1)
    for member in sim.members:
        times = heard(member)
        assert set(times.values()) == {1}, f"seed={seed}"
        others = {other.name for other in sim.members if other is not member}
        assert {name for name, data in times if data == "healed"} == others
        assert len(times) > 0.5 * 9 * 10, "most of what is not lost comes"


@pytest.mark.parametrize("seed", range(10))
def test_at_last_every_message_is_heard_once_or_told_as_lost(seed):
    """No link can be opened: messages go by udp, through loss, duplicates, a cut and a death."""
    sim = settled(seed, 4, loss=0.2, duplication=0.2)
    everybody = tuple(sim.members)
    sim.block("memory")
    sent = Counter()
    for number in range(20):
        for sender in sim.members:
            sent.update((sender.name, to, number) for to in sender.known)
            sender.send(number)
        sim.run(seconds=sim.random.uniform(0, 0.5))
        if number == 10:
            sim.partition(everybody[:1], everybody[1:])
        if number == 14:
            sim.kill(everybody[3])
            sim.repair()
    sim.run(seconds=10)
    came = Counter((name, to.name, number) for to in everybody for name, number in to.received)
    lost = Counter((one.name, to, number) for one in everybody for to, number in one.lost)
    wait = {
        (one.name, peer.service.name): peer.sessions[""].backlog
        for one in sim.members
        for peer in one.node.peers
        if "" in peer.sessions
    }
    assert max(came.values()) == 1, f"seed={seed}: handled twice"
    unsaid = Counter((one, to) for one, to, _ in sent - came - lost if one != everybody[3].name)
    assert unsaid - Counter(wait) == Counter(), f"seed={seed}: lost unsaid"
    assert came
    assert lost
