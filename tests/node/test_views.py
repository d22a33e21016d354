"""In a large mesh a member's word is enough; what is believed, and what is not."""

import pytest

from meshcluster.node import effects as fx
from meshcluster.node.views import BEACONS_A_SECOND, DIRECT_PROOFS
from meshcluster.testing import Bench, Simulation, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Details, Entry, Vouch


def entry(number, address="10.0.0.9", **changes):
    details = {"name": f"m{number}", "host": "h", "port": 5000, "heartbeat_seconds": 1.0, **changes}
    return Entry(
        number.to_bytes(16, "big"), 1, address,
        Details(1, details.pop("name"), details.pop("host"), (), (), {}, **details),
    )  # fmt: skip


def vouch(by, *entries):
    me = by.node.identity
    return Vouch("default", me.id, me.boot, list(entries))


@pytest.fixture
def large():
    """One knows other, and by its word so many that its mesh is a large one."""
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    views = one.node._views
    for number in range(100, 100 + DIRECT_PROOFS):
        each = entry(number)
        taken = one.node.peers.hear(each.id, each.boot, ("10.0.0.9", 5000), 0.0)
        one.node._admission.proved(taken, each.details, 0.0)
    assert views.large
    one.node.take_effects()
    return one, other


def test_the_word_of_a_member_is_taken_in_a_large_mesh(large):
    one, other = large
    one.hear(other, vouch(other, entry(7)), 1.0)
    assert "m7" in one.known
    (peer,) = [p for p in one.node.peers if p.service.name == "m7"]
    assert (peer.state, peer.address) == ("told", ("10.0.0.9", 5000))


def test_the_word_of_a_stranger_is_worth_nothing(large):
    one, _other = large
    stranger = Bench(3)
    one.hear(stranger, vouch(stranger, entry(7)), 1.0)
    assert "m7" not in one.known


def test_in_a_small_mesh_everybody_is_asked():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.datagrams()
    one.hear(other, vouch(other, entry(7)), 1.0)
    assert "m7" not in one.known
    (probe,) = one.take(fx.SendDatagram)
    assert probe.address == ("10.0.0.9", 5000)


def test_nobody_is_brought_back_by_a_word_who_has_just_left(large):
    one, other = large
    one.hear(other, vouch(other, entry(7)), 1.0)
    (peer,) = [p for p in one.node.peers if p.service.name == "m7"]
    one.node._admission.lose(peer, "left", 2.0)
    one.hear(other, vouch(other, entry(7)), 3.0)
    assert "m7" not in one.known
    one.hear(other, vouch(other, entry(7)), 60.0)
    assert "m7" in one.known


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_remote_member_cannot_tell_of_loopback_addresses(large, address):
    one, other = large
    one.hear(other, vouch(other, entry(7, address)), 1.0)
    assert "m7" not in one.known


def test_an_address_that_is_a_name_is_malformed(large):
    one, other = large
    one.hear(other, vouch(other, entry(7, "example.org")), 1.0)
    assert one.dropped["datagrams: malformed address"] == 1


def test_few_ask_a_stranger_in_a_large_mesh(large):
    one, _other = large
    for number in range(1000, 1200):
        beacon = Beacon("default", number.to_bytes(16, "big"), 1, 1, b"", (), 1000, 5)
        one.node.datagram_received(codec.encode_datagram(beacon), ("10.0.0.8", 9), 1.0)
    assert 0 <= len(one.take(fx.SendDatagram)) < 20


def test_beacons_become_rarer_as_the_mesh_grows(large):
    one, _other = large
    views = one.node._views
    assert views.interval(1.0) == 1.0
    assert views.interval(0.1) == pytest.approx(views.known / BEACONS_A_SECOND)


# --- whole meshes, simulated ---


def test_a_newcomer_of_a_large_mesh_is_soon_known_to_all_and_knows_all():
    sim = Simulation(seed=5, members=90, loss=0.01)
    sim.run_until(sim.converged, limit=20)
    sim.add("late")
    assert sim.run_until(sim.converged, limit=20) < 15


def test_who_is_killed_or_leaves_is_lost_everywhere_and_stays_lost():
    sim = Simulation(seed=6, members=80)
    sim.run_until(sim.converged, limit=20)
    sim.kill(sim.members[3])
    sim.leave(sim.members[4])
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=10)
    assert sim.converged()


def test_changed_details_reach_everybody():
    sim = Simulation(seed=7, members=80, loss=0.01)
    sim.run_until(sim.converged, limit=20)
    sim.members[0].retag("new")
    name = sim.members[0].name
    others = sim.members[1:]
    sim.run_until(
        lambda: all(m.peer_named(name).service.tags == ("new",) for m in others), limit=30
    )
