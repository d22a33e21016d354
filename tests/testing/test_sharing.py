"""Snapshots shared by the members of a simulation are those that each would have made."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.node.snapshots import Snapshots
from meshcluster.testing import Simulation
from meshcluster.testing.sharing import KEPT_DATAGRAMS, SharedSnapshots
from meshcluster.wire import codec
from meshcluster.wire.frames import Leave


def test_all_members_share_one_snapshot_of_each():
    sim = Simulation(seed=3, members=5)
    sim.run_until(sim.converged, limit=5)
    seen = [m.peer_named("m1").service for m in sim.members if m.name != "m1"]
    assert len({id(service) for service in seen}) == 1
    sim.members[0].retag("new")
    sim.run_until(lambda: all(m.peer_named("m1").service.tags for m in sim.members[1:]), limit=5)
    assert seen[0].tags == ()


def test_what_is_shared_is_what_would_have_been_made():
    sim = Simulation(seed=3, members=2)
    sim.run_until(sim.converged, limit=5)
    peer = sim.members[0].peer_named("m2")
    own = Snapshots()
    assert sim.snapshots.digest(peer, peer.details) == own.digest(peer, peer.details)
    made = own.service(peer, lan=False)
    assert (peer.service.name, peer.service.words) == (made.name, made.words)


def test_few_datagrams_are_kept_and_bad_ones_never():
    shared = SharedSnapshots()
    for number in range(KEPT_DATAGRAMS + 10):
        shared.datagram(codec.encode_datagram(Leave("c", b"i" * 16, number)))
    assert len(shared._datagrams) <= KEPT_DATAGRAMS
    for _ in range(2):
        with pytest.raises(DecodeError):
            shared.datagram(b"mc\1rubbish")
