"""Parcels: who may send them, what is taken, once."""

import pytest

from meshcluster.config import Limits
from meshcluster.model import Endpoint
from meshcluster.node import effects as fx
from meshcluster.node.links import REFUSALS
from meshcluster.node.parcels import WINDOW, Received
from meshcluster.testing.bench import Bench, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import REJECTED, Event, Note, Parcel, Question

HELLO = Event(0, 1, b"hello")
OFFER = {
    "endpoints": [Endpoint("tcp", {"port": 1}), Endpoint("udp", {})],
    "spoken": {"tcp": False, "udp": False},
}


def pair(**config):
    one, other = Bench(1, **OFFER, **config), Bench(2, **OFFER, **config)
    introduce(one, other)
    one.node.take_effects()
    other.node.take_effects()
    return one, other


def session(one, lane="udp"):
    (peer,) = list(one.node.peers)
    return peer.session(lane, one.node.config.limits)


def parcels(bench):
    made = [codec.decode_datagram(e.data) for e in bench.take(fx.SendDatagram)]
    return [datagram for datagram in made if isinstance(datagram, Parcel)]


def send(one, *messages, lane="udp", now=0.0):
    for message in messages:
        session(one, lane).put(message)
    one.node.wake(session(one, lane), now)
    return parcels(one)


def events(bench):
    return [event.body for e in bench.take(fx.EventsArrived) for event in e.events]


def test_a_message_goes_at_once_and_is_kept_nowhere():
    one, other = pair()
    (parcel,) = send(one, HELLO)
    assert session(one).idle
    other.hear(one, parcel, 0.0)
    assert events(other) == [b"hello"]


def test_a_copy_is_handed_out_once():
    one, other = pair()
    (parcel,) = send(one, HELLO)
    other.hear(one, parcel, 0.0)
    other.hear(one, parcel, 0.0)
    assert events(other) == [b"hello"]
    assert other.dropped == {"parcels: twice, or too late": 1}


def test_they_may_overtake_each_other():
    one, other = pair()
    first, second = send(one, Event(0, 1, b"1"), Event(0, 1, b"2"))
    other.hear(one, second, 0.0)
    other.hear(one, first, 0.0)
    assert events(other) == [b"2", b"1"]


def test_of_strangers_nothing_is_taken():
    one, other = pair()
    stranger = Bench(3)
    (parcel,) = send(one, HELLO)
    me = stranger.node.identity
    forged = Parcel("default", me.id, me.boot, parcel.to, 1, HELLO)
    other.hear(stranger, forged, 0.0)
    assert events(other) == []
    assert other.dropped == {"parcels: of strangers": 1}


def test_from_another_address_nothing_is_taken():
    one, other = pair()
    (parcel,) = send(one, HELLO)
    one.address = ("10.0.0.99", 1)
    other.hear(one, parcel, 0.0)
    assert events(other) == []
    assert other.dropped == {"parcels: of strangers": 1}


@pytest.mark.parametrize(
    ("source", "taken"),
    [
        (("10.1.0.1", 1001), True),
        (("10.1.0.1", 1009), False),
        (("10.9.0.1", 1001), False),
        (("127.0.0.1", 1001), False),
    ],
)
def test_from_another_network_that_its_host_is_in_a_parcel_is_taken(source, taken):
    networks = ["10.0.0.1/24", "10.1.0.1/24"]
    one, other = Bench(1, own_networks=networks, **OFFER), Bench(2, **OFFER)
    introduce(one, other)
    one.node.take_effects()
    (parcel,) = send(one, HELLO)
    one.address = source
    other.hear(one, parcel, 0.0)
    assert events(other) == ([b"hello"] if taken else [])


@pytest.mark.parametrize(("port", "taken"), [(1001, True), (1009, False)])
def test_a_neighbour_on_this_host_may_speak_from_any_address_of_it(port, taken):
    """Each of two may have heard the other on another interface first."""
    one, other = Bench(1, **OFFER), Bench(2, own_networks=["10.0.0.1/24"], **OFFER)
    one.address = ("127.0.0.1", 1001)
    introduce(one, other)
    (parcel,) = send(one, HELLO)
    one.address = ("10.0.0.1", port)
    other.hear(one, parcel, 0.0)
    assert events(other) == ([b"hello"] if taken else [])


def test_what_is_meant_for_another_run_is_not_taken():
    one, other = pair()
    (parcel,) = send(one, HELLO)
    me = one.node.identity
    late = Parcel("default", me.id, me.boot, bytes(24), parcel.number, HELLO)
    other.hear(one, late, 0.0)
    assert events(other) == []
    assert other.dropped == {"parcels: to somebody else": 1}


def test_notes_to_mailboxes_never_travel_so():
    one, _ = pair()
    assert send(one, Note("locks", 0, 1, b"hello")) == []
    assert one.dropped == {"messages too large for udp": 1}


def test_what_hooks_do_not_take_is_dropped_at_the_window():
    one, other = pair(limits=Limits(event_window_bytes=10))
    for parcel in send(one, *[HELLO] * 5):
        other.hear(one, parcel, 0.0)
    assert len(events(other)) == 3
    assert other.dropped == {"parcels: more than hooks take": 2}


def test_the_largest_fits_a_datagram_whatever_else_is_in_it():
    one, _ = pair(cluster="c" * 64)
    session(one).put(Question(2**63, 2**32 - 1, 5, bytes(one.node.parcels.room)))
    one.node.wake(session(one), 0.0)
    (effect,) = one.take(fx.SendDatagram)
    assert one.node.parcels.room > 1000
    assert len(effect.data) <= 1200


def refuse_links(one, now):
    """Every dial fails in a way that does not prove a death."""
    for dial in one.take(fx.DialEndpoint):
        one.node.dial_failed(dial.number, "filtered", now)


@pytest.mark.parametrize(("heard_at", "sent"), [(9.5, 1), (3.0, 0)])
def test_the_last_resort_is_for_who_is_heard_right_now(heard_at, sent):
    one, _ = pair()
    (peer,) = list(one.node.peers)
    peer.heard_at = heard_at
    session(one, "").put(HELLO)
    one.node.wake(session(one, ""), 10.0)
    refuse_links(one, 10.0)
    assert len(parcels(one)) == sent
    assert session(one, "").backlog == 1 - sent


def test_questions_fail_at_once_rather_than_to_be_lost():
    one, _ = pair()
    session(one, "").put(Question(1, 0, 1, b"?"))
    one.node.wake(session(one, ""), 0.0)
    refuse_links(one, 0.0)
    assert parcels(one) == []
    assert session(one, "").idle


def test_to_a_member_that_offers_nothing_else_questions_go_too():
    one, other = Bench(1, **OFFER), Bench(2, **{**OFFER, "endpoints": [Endpoint("udp", {})]})
    introduce(one, other)
    one.node.take_effects()
    (parcel,) = send(one, Question(1, 0, 1, b"?"), lane="")
    assert parcel.message.body == b"?"


def test_a_member_that_refuses_us_gets_nothing_by_udp_either():
    one, _ = pair()
    session(one, "").put(HELLO)
    one.node.wake(session(one, ""), 0.0)
    for dial in one.take(fx.DialEndpoint):
        one.node.dial_failed(dial.number, REFUSALS[REJECTED], 0.0)
    assert parcels(one) == []


def test_what_does_not_fit_waits_for_a_link():
    one, _ = pair()
    large = Event(0, 1, bytes(5000))
    for message in (HELLO, large):
        session(one, "").put(message)
    one.node.wake(session(one, ""), 0.0)
    refuse_links(one, 0.0)
    assert len(parcels(one)) == 1
    assert list(session(one, "").waiting) == [large]


def test_a_session_that_had_a_link_keeps_its_messages_for_the_next():
    one, _ = pair()
    session(one, "").links = 1
    session(one, "").put(HELLO)
    one.node.wake(session(one, ""), 0.0)
    refuse_links(one, 0.0)
    assert parcels(one) == []
    assert session(one, "").backlog == 1


def test_the_window_of_numbers():
    received = Received()
    assert [received.is_new(n) for n in (1, 3, 2, 3, 0, -1)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert received.is_new(5 * WINDOW)
    assert received.is_new(4 * WINDOW + 1)
    assert not received.is_new(4 * WINDOW)
    assert received.is_new(2**64 - 1)
    assert not received.is_new(5 * WINDOW + 1)
