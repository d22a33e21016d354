"""Links that are kept open because they break at once when a process ends."""

import pytest

from meshcluster.node import effects as fx
from meshcluster.node.monitors import AT_ONCE, NEIGHBOURS, PAUSE_SECONDS, RETRY_SECONDS
from meshcluster.node.monitors import SETTLE_SECONDS as SETTLE
from meshcluster.node.views import DIRECT_PROOFS
from meshcluster.testing import Bench, connect, introduce
from meshcluster.wire.frames import Details

SETTLED = 2 * SETTLE + 0.01


def dials(bench):
    return bench.take(fx.DialEndpoint)


def peer_of(one, other):
    me = other.node.identity
    return one.node.peers.hear(me.id, me.boot, other.address, 0.0)


def know(bench, number):
    """A member more, whose key is the higher the higher the number."""
    member_id = number.to_bytes(16, "big")
    peer = bench.node.peers.hear(member_id, 1, ("10.0.9.9", number), bench.now)
    endpoints = Bench(9).node.details.endpoints
    details = Details(0, f"m{number}", "host", (), endpoints, {}, 1000 + number, 1.0, {})
    bench.node._admission.proved(peer, details, bench.now)
    return peer


@pytest.fixture
def lowest():
    """A member with the lowest key of all."""
    bench = Bench(0)
    bench.now = 0.0
    bench.node.start(0.0)
    return bench


def monitor(bench, now):
    bench.now = now
    bench.node._monitors.open(now)


def test_the_lower_of_two_opens_the_link_soon_after_they_met():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    other.node.take_effects()
    one.node.advance(SETTLED)
    other.node.advance(SETTLED)
    assert len(dials(one)) == 1
    assert dials(other) == []


def test_it_is_not_opened_at_once(lowest):
    know(lowest, 5)
    lowest.node.advance(SETTLE * 0.9)
    assert dials(lowest) == []


def test_where_members_come_all_the_time_links_are_opened_all_the_same(lowest):
    for number in range(1, 12):
        lowest.now = number * SETTLE / 2
        know(lowest, number)
        lowest.node.advance(lowest.now)
    assert len(dials(lowest)) >= 8


def test_who_has_a_link_needs_no_other():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    connect(one, other)
    one.node.take_effects()
    one.node.advance(SETTLED)
    assert dials(one) == []


def test_an_observer_opens_none():
    one, other = Bench(1, observer=True), Bench(2)
    one.node._admission.proved(peer_of(one, other), other.node.details, 0.0)
    assert one.known == ["n2"]
    one.node.advance(SETTLED)
    assert dials(one) == []


def test_an_observer_is_not_monitored(lowest):
    peer = know(lowest, 5)
    assert peer in list(lowest.node._monitors._owed())
    lowest.node._admission.lose(peer, "left", 0.0)
    member_id = (6).to_bytes(16, "big")
    peer = lowest.node.peers.hear(member_id, 1, ("10.0.9.9", 6), 0.0)
    details = Details(0, "eye", "host", (), (), {}, 1006, 1.0, {}, True)
    lowest.node._admission.proved(peer, details, 0.0)
    assert lowest.node.peers.observers() == [peer]
    assert list(lowest.node._monitors._owed()) == []


def test_a_few_are_opened_at_a_time(lowest):
    for number in range(1, 2 * AT_ONCE + 2):
        know(lowest, number)
    lowest.node.take_effects()
    opened = []
    for count in range(4):
        monitor(lowest, 1.0 + count * PAUSE_SECONDS)
        opened.append(len(dials(lowest)))
    assert opened == [AT_ONCE, AT_ONCE, 1, 0]


def test_in_a_large_mesh_only_the_next_neighbours_are_monitored(lowest):
    for number in range(1, DIRECT_PROOFS + 2):
        know(lowest, number)
    lowest.node.take_effects()
    monitor(lowest, 1.0)
    monitor(lowest, 1.0 + PAUSE_SECONDS)
    assert len(dials(lowest)) == NEIGHBOURS


def test_nobody_is_told_of_a_link_that_cannot_be_opened(lowest):
    """Nobody asked for it: it is tried again later, and is no news."""
    know(lowest, 5)
    lowest.node.take_effects()
    monitor(lowest, 1.0)
    (dial,) = dials(lowest)
    lowest.node.dial_failed(dial.number, "timed out", 2.0)
    assert lowest.take(fx.Report) == []
    assert lowest.known == ["m5"]
    monitor(lowest, 2.0 + 2 * RETRY_SECONDS)
    assert len(dials(lowest)) == 1
