"""Dialling of a node: who is tried, what is told, how a better way takes the place of a link."""

import pytest

from meshcluster.errors import NoRoute
from meshcluster.model import Endpoint
from meshcluster.node import effects as fx
from meshcluster.node.links import REFUSED, State
from meshcluster.node.ourselves import CHECK_SECONDS
from meshcluster.node.queries import Gathering
from meshcluster.testing import Bench, carry, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import Event, Question, Unopened

FIRST, SECOND = Endpoint("first", {"port": 1}), Endpoint("second", {"port": 2})
SPOKEN = {"first": False, "second": False, "here": True}


def pair(endpoints=(FIRST, SECOND)) -> tuple[Bench, Bench]:
    one, other = (Bench(n, endpoints=list(endpoints), spoken=SPOKEN) for n in (1, 2))
    introduce(one, other)
    for each in (one, other):
        each.node.take_effects()
    return one, other


def session_of(bench: Bench):
    (peer,) = list(bench.node.peers)
    return peer.session("", bench.node.config.limits)


def tell(bench: Bench, body: bytes, now: float = 0.0) -> None:
    session_of(bench).put(Event(0, 1, body))
    bench.node.wake(session_of(bench), now)


def dialled(bench: Bench) -> list[str]:
    return [effect.endpoint.scheme for effect in bench.take(fx.DialEndpoint)]


def opened(one: Bench, other: Bench, number: int, scheme: str, now: float):
    far = other.node.link_opened(scheme, one.address[0], now, local=False)
    near = one.node.link_opened(scheme, other.address[0], now, local=False, number=number)
    return near, far


def open_second(one: Bench, other: Bench):
    """The first endpoint refuses, the second opens."""
    tell(one, b"a")
    (dial,) = one.take(fx.DialEndpoint)
    one.node.dial_failed(dial.number, REFUSED, 0.0)
    (dial,) = one.take(fx.DialEndpoint)
    near, far = opened(one, other, dial.number, "second", 0.0)
    carry(one, near, other, far)
    return near, far


def heard(bench: Bench) -> list[bytes]:
    return [event.body for arrived in bench.take(fx.EventsArrived) for event in arrived.events]


def test_the_member_is_told_which_of_its_endpoints_could_not_be_opened() -> None:
    one, other = pair()
    open_second(one, other)
    assert [e.endpoint for e in other.take(fx.CheckEndpoint)] == [FIRST]
    assert other.dropped == {"reports that first could not be opened": 1}


def test_the_member_is_told_though_much_was_not_acknowledged() -> None:
    one, other = pair()
    tell(one, b"a")
    (dial,) = one.take(fx.DialEndpoint)
    near, far = opened(one, other, dial.number, "first", 0.0)
    carry(one, near, other, far)
    for _ in range(200):
        tell(one, b"b")
        one.node.take_frames(near)  # written, never read
    one.node.link_lost(near, "cut", 1.0)
    other.node.link_lost(far, "cut", 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    one.node.dial_failed(dial.number, "no answer", 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    near, far = opened(one, other, dial.number, "second", 1.0)
    carry(one, near, other, far, 1.0)
    assert [e.endpoint for e in other.take(fx.CheckEndpoint)] == [FIRST]


def test_a_dial_to_where_a_member_was_begins_anew_where_it_is() -> None:
    one, other = pair()
    tell(one, b"a")
    (before,) = one.take(fx.DialEndpoint)
    other.address = ("10.0.0.99", 1002)
    beacon = other.node._own.beacon(1)
    one.hear(other, beacon, 5.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 5.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 5.0)
    cancelled, dial = one.take(fx.CancelDial, fx.DialEndpoint)
    assert cancelled.number == before.number
    assert (before.address, dial.address) == ("10.0.0.2", "10.0.0.99")


def test_reports_are_looked_into_seldom_and_only_where_they_are_about_what_is_advertised() -> None:
    one, other = pair()
    _, far = open_second(one, other)
    other.node.take_effects()
    for endpoint, now in [(FIRST, 0.5), (Endpoint("first", {"port": 9}), 9.0), (FIRST, 9.5)]:
        frame = codec.encode_frame(Unopened(endpoint, REFUSED))
        other.node.frames_received(far, [frame], now)
        looked = other.take(fx.CheckEndpoint)
        assert bool(looked) == (now == 9.5)


def test_a_report_that_comes_too_soon_is_looked_into_later() -> None:
    one, other = pair()
    _, far = open_second(one, other)
    other.node.take_effects()
    frame = codec.encode_frame(Unopened(FIRST, REFUSED))
    for now in (9.0, 9.5, 10.0):
        other.node.frames_received(far, [frame], now)
    assert len(other.take(fx.CheckEndpoint)) == 1
    other.node.advance(9.0 + CHECK_SECONDS)
    assert len(other.take(fx.CheckEndpoint)) == 1


def test_the_preferred_endpoint_is_tried_again_and_takes_the_links_place() -> None:
    one, other = pair()
    near, far = open_second(one, other)
    one.node.take_effects()
    one.node.advance(0.9)
    assert dialled(one) == []
    one.node.advance(1.1)
    (dial,) = one.take(fx.DialEndpoint)
    assert dial.endpoint == FIRST
    tell(one, b"b", 1.1)
    one.node.take_frames(near)  # written to the old link, and never read
    better, its_far = opened(one, other, dial.number, "first", 1.2)
    carry(one, better, other, its_far, 1.2)
    assert (near.state, far.state) == (State.CLOSED, State.CLOSED)
    assert (better.state, its_far.state) == (State.OPEN, State.OPEN)
    assert heard(other) == [b"a", b"b"]
    one.node.take_effects()
    one.node.advance(100.0)
    assert dialled(one) == [], "nothing is preferred to it"


def test_a_link_goes_on_while_a_better_one_cannot_be_opened_and_pauses_grow() -> None:
    one, other = pair()
    near, far = open_second(one, other)
    one.node.take_effects()
    times, now = [], 0.0
    while now < 70:
        now += 0.1
        session_of(one).peer.heard_at = now
        one.node.advance(now)
        for dial in one.take(fx.DialEndpoint):
            times.append(round(now))
            one.node.dial_failed(dial.number, REFUSED, now)
    assert times == [1, 3, 7, 15, 31, 61]
    assert near.state is State.OPEN
    tell(one, b"b", now)
    carry(one, near, other, far, now)
    assert heard(other) == [b"a", b"b"]


def test_a_link_that_breaks_while_a_better_one_is_sought_is_redialled_at_once() -> None:
    one, other = pair()
    near, _ = open_second(one, other)
    one.node.take_effects()
    one.node.advance(1.1)
    assert dialled(one) == ["first"]
    one.node.link_lost(near, "reset", 1.2)
    assert dialled(one) == ["second"]


def test_other_endpoints_of_a_member_hold_at_once() -> None:
    one, other = pair()
    near, far = open_second(one, other)
    one.node.take_effects()
    other.node.renewed(FIRST, FIRST, 0.1)
    (renewed, _) = other.node.details.endpoints
    assert renewed == Endpoint("first", {"port": 1, "renewed": 1})
    other.node.advance(0.2)
    carry(one, near, other, far, 0.2)
    one.node.advance(0.2)
    (dial,) = one.take(fx.DialEndpoint)
    assert dial.endpoint == renewed


def test_a_dial_to_what_is_not_advertised_any_more_begins_anew() -> None:
    one, other = pair()
    tell(one, b"a")
    assert dialled(one) == ["first"]
    moved = Endpoint("first", {"port": 7})
    other.node.renewed(FIRST, moved, 0.1)
    one.node._admission.proved(session_of(one).peer, other.node.details, 0.1)
    effects = one.take(fx.CancelDial, fx.DialEndpoint)
    assert [type(effect) for effect in effects] == [fx.CancelDial, fx.DialEndpoint]
    assert effects[1].endpoint == moved


def test_a_protocol_that_opens_and_is_of_no_use_gives_way_to_the_next() -> None:
    one, other = pair()
    now = 0.0
    tell(one, b"a")
    schemes = []
    for _ in range(3):
        (dial,) = one.take(fx.DialEndpoint)
        schemes.append(dial.endpoint.scheme)
        near, far = opened(one, other, dial.number, schemes[-1], now)
        other.node.frames_received(far, one.node.take_frames(near), now)
        one.node.frames_received(near, other.node.take_frames(far), now)
        one.node.link_lost(near, "reset", now)
        other.node.link_lost(far, "reset", now)
        now += 0.5
        one.node.advance(now)
    assert schemes == ["first", "first", "second"]


@pytest.mark.parametrize(
    ("endpoints", "reason"),
    [([Endpoint("smoke", {})], "not spoken here"), ([Endpoint("here", {})], "its own host")],
)
def test_who_cannot_be_dialled_at_all_is_said_with_the_reason_of_each(endpoints, reason) -> None:
    one, _ = pair(endpoints)
    session = session_of(one)
    gathering = Gathering(1, 30.0)
    one.node.ask(gathering, 0.0, [(session, session.peer.service, Question(1, 0, 1, b"?"))], list)
    (error,) = gathering.errors.values()
    assert isinstance(error, NoRoute)
    ((scheme, why),) = error.attempts
    assert scheme == endpoints[0].scheme
    assert reason in why


def test_a_member_heard_again_is_dialled_at_once_but_not_at_every_datagram() -> None:
    one, _ = pair()
    tell(one, b"a")
    dialling, peer, times, now = one.node._links.dialling, session_of(one).peer, [], 0.0
    while now < 10:
        now += 0.05
        peer.heard_at = now
        for dial in one.take(fx.DialEndpoint):
            times.append(now)
            one.node.dial_failed(dial.number, "no route to host", now)
        dialling.stirred(peer, now, silent=False)
        one.node.advance(now)
    rounds = len(times) / 2
    assert 8 <= rounds <= 16


def test_a_link_without_progress_is_dialled_anew_when_its_member_is_heard_after_silence() -> None:
    one, other = pair()
    near, _ = open_second(one, other)
    one.node.take_effects()
    peer = session_of(one).peer
    one.node._links.dialling.stirred(peer, 5.0, silent=False)
    assert dialled(one) == []
    tell(one, b"b", 5.0)
    one.node.take_frames(near)
    one.node._links.dialling.stirred(peer, 9.0, silent=True)
    (dial,) = one.take(fx.DialEndpoint)
    again, far = opened(one, other, dial.number, dial.endpoint.scheme, 9.0)
    carry(one, again, other, far, 9.0)
    assert heard(other) == [b"a", b"b"]
