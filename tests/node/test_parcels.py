"""Parcels: who may send them, what is taken, once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.config import Limits
from meshcluster.model import Endpoint
from meshcluster.node import effects as fx
from meshcluster.node.links import REFUSALS
from meshcluster.node.parcels import RECEIPT_SECONDS, WINDOW, Received
from meshcluster.testing.bench import Bench, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    REJECTED,
    DirectBeacon,
    Event,
    GroupParcel,
    Note,
    Parcel,
    Question,
    Receipt,
)

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


# --- the last resort is confirmed ---


def sent_at_last(one, *messages, now=0.0):
    """Sends without a way to open a link; the parcels."""
    common = session(one, "")
    for message in messages:
        common.put(message)
    one.node.wake(common, now)
    effects = one.node.take_effects()
    for dial in [e for e in effects if isinstance(e, fx.DialEndpoint)]:
        one.node.dial_failed(dial.number, "filtered", now)
    return parcels(one)


def receipts(bench):
    made = [codec.decode_datagram(e.data) for e in bench.node.effects if hasattr(e, "data")]
    return [datagram for datagram in made if isinstance(datagram, Receipt)]


def lost(bench):
    return [(e.reason, e.messages) for e in bench.take(fx.MessagesLost)]


def test_what_went_at_last_is_delivered_when_its_receiver_says_so():
    one, other = pair()
    (parcel,) = sent_at_last(one, HELLO)
    assert not session(one, "").idle
    other.hear(one, parcel, 0.1)
    (receipt,) = receipts(other)
    assert events(other) == [b"hello"]
    one.hear(other, receipt, 0.2)
    assert session(one, "").idle
    one.node.advance(2 * RECEIPT_SECONDS)
    assert lost(one) == []


def test_what_is_not_confirmed_in_time_is_told_as_lost():
    one, _ = pair()
    sent_at_last(one, HELLO)
    second = Event(0, 1, b"a moment later")
    sent_at_last(one, second, now=1.0)
    one.node.advance(RECEIPT_SECONDS)
    assert lost(one) == [("did not confirm it", [HELLO])]
    assert not session(one, "").idle
    one.node.advance(1.0 + RECEIPT_SECONDS)
    assert lost(one) == [("did not confirm it", [second])]
    assert session(one, "").idle
    assert one.dropped["messages by udp that were not confirmed"] == 2


def test_a_member_that_dies_with_it_has_lost_it():
    one, other = pair()
    sent_at_last(one, HELLO)
    one.refuse(other.address, 0.1)
    assert lost(one) == [("crashed", [HELLO])]
    assert one.dropped["messages to a lost member"] == 1


def test_of_too_many_that_nobody_confirms_the_oldest_are_told_as_lost():
    one, _ = pair(limits=Limits(waiting_messages=2))
    told = [Event(0, 1, b"%d" % number) for number in range(5)]
    assert len(sent_at_last(one, *told)) == 5
    assert lost(one) == []  # used up with the parcels
    assert one.dropped["messages by udp that were not confirmed"] == 3
    assert [message for _, message in session(one, "").unconfirmed.values()] == told[3:]


def test_what_was_asked_to_go_by_udp_is_not_confirmed():
    one, other = pair()
    (parcel,) = send(one, HELLO)
    other.hear(one, parcel, 0.0)
    assert receipts(other) == []


def test_what_hooks_do_not_take_is_not_confirmed_either():
    one, other = pair(limits=Limits(event_window_bytes=1))
    for parcel in sent_at_last(one, HELLO, HELLO):
        other.hear(one, parcel, 0.0)
    assert len(receipts(other)) == 1


def test_a_receipt_of_a_stranger_or_for_another_run_confirms_nothing():
    one, other = pair()
    (parcel,) = sent_at_last(one, HELLO)
    me = other.node.identity
    one.hear(other, Receipt("default", me.id, me.boot, bytes(24), parcel.number), 0.1)
    other.address = ("10.0.0.99", 1)
    one.hear(other, Receipt("default", me.id, me.boot, one.node.identity.key, parcel.number), 0.1)
    assert not session(one, "").idle
    assert one.dropped["parcels: to somebody else"] == 1
    assert one.dropped["parcels: of strangers"] == 1


def observing(member):
    """An observer that knows a member."""
    observer = Bench(7, **OFFER, observer=True)
    member.node.start(0.0)
    (beacon,) = member.datagrams()
    observer.hear(member, beacon, 0.0)
    (probe,) = observer.datagrams()
    member.hear(observer, probe, 0.0)
    (reply,) = member.datagrams()
    observer.hear(member, reply, 0.0)
    observer.node.take_effects()
    return observer


def test_an_observer_sends_nothing_so_for_nobody_would_take_it():
    one = observing(Bench(2, **OFFER))
    assert sent_at_last(one, HELLO) == []
    assert session(one, "").backlog == 1


# --- to everybody ---


def mesh(*numbers, **config):
    """One that knows members of these numbers, heard on the group; and they know it."""
    one, others = Bench(1, **OFFER), [Bench(n, **{**OFFER, **config}) for n in numbers]
    for other in others:
        introduce(one, other)
        other.node.take_effects()
        one.node.take_effects()
    return one, others


def told(one, *bodies, now=0.0):
    """Tells everybody; what goes to the group, and what to which addresses alone."""
    everybody = one.node.parcels.everybody
    for body in bodies:
        everybody.put(Event(0, 1, body))
    one.node.wake(everybody, now)
    effects = one.node.take_effects()
    group = [e for e in effects if isinstance(e, fx.Announce)]
    alone = [e for e in effects if isinstance(e, fx.SendDatagram)]
    return (
        [codec.decode_datagram(e.data) for e in group],
        [(codec.decode_datagram(e.data), e.address) for e in alone],
    )


def test_what_is_for_everybody_goes_to_the_group_once():
    one, others = mesh(2, 3, 4)
    (parcel,), alone = told(one, b"hello")
    assert alone == []
    for other in others:
        other.hear(one, parcel, 0.0)
        assert events(other) == [b"hello"]
    assert one.node.idle


def test_to_one_member_it_goes_alone():
    one, (other,) = mesh(2)
    group, [(parcel, address)] = told(one, b"hello")
    assert group == []
    assert address == other.address
    other.hear(one, parcel, 0.0)
    assert events(other) == [b"hello"]


def test_whom_the_group_does_not_reach_gets_the_same_alone():
    one, others = mesh(2, 3, 4)
    two = others[0]
    me = two.node.identity
    one.hear(two, DirectBeacon("default", me.id, me.boot, 0, bytes(8), ()), 0.0)  # it hears nothing
    one.node.take_effects()
    (parcel,), [(same, address)] = told(one, b"hello")
    assert same == parcel
    assert address == two.address
    two.hear(one, same, 0.0)
    two.hear(one, parcel, 0.0)  # and it reached it after all
    assert events(two) == [b"hello"]
    assert two.dropped == {"parcels: twice, or too late": 1}


def test_members_heard_on_the_group_no_more_get_it_alone():
    one, others = mesh(2, 3)
    group, alone = told(one, b"hello", now=60.0)
    assert group == []
    assert [address for _, address in alone] == [other.address for other in others]


def test_who_does_not_take_udp_is_not_sent_to_and_does_not_take_it():
    one, _ = mesh(2, 3)
    tcp = {"endpoints": OFFER["endpoints"][:1], "spoken": {"tcp": False}}
    deaf = Bench(5, **tcp)
    introduce(one, deaf)
    one.node.take_effects()
    (parcel,), alone = told(one, b"hello")
    assert alone == []
    deaf.hear(one, parcel, 0.0)
    assert events(deaf) == []
    assert deaf.dropped == {"parcels: to somebody else": 1}


def test_an_observer_hears_nothing_of_it():
    one = Bench(1, **OFFER)
    observer = observing(one)
    observer.hear(one, GroupParcel("default", *identity(one), 1, HELLO), 0.0)
    assert events(observer) == []
    assert observer.dropped == {"parcels: to somebody else": 1}


def identity(bench):
    return bench.node.identity.id, bench.node.identity.boot


def test_from_strangers_and_other_addresses_nothing_is_taken():
    one, (other, _) = mesh(2, 3)
    other.hear(Bench(9), GroupParcel("default", *identity(Bench(9)), 1, HELLO), 0.0)
    (parcel,), _ = told(one, b"hello")
    one.address = ("10.0.0.99", 1)
    other.hear(one, parcel, 0.0)
    assert events(other) == []
    assert other.dropped == {"parcels: of strangers": 2}


def test_copies_by_another_network_that_both_are_in_count_as_such():
    one, (other, _) = mesh(2, 3)
    (parcel,), _ = told(one, b"hello")
    (peer,) = list(other.node.peers)
    peer.heard_elsewhere(("10.9.9.1", one.address[1]), 0.0)
    other.hear(one, parcel, 0.0)
    one.address = ("10.9.9.1", one.address[1])
    other.hear(one, parcel, 0.0)
    assert events(other) == [b"hello"]
    assert other.dropped == {"parcels: by another way": 1}


def test_parcels_to_everybody_and_to_one_are_numbered_together():
    one, (other, _) = mesh(2, 3)
    first, second = told(one, b"1", b"2")[0]
    peer = next(p for p in one.node.peers if p.key == other.node.identity.key)
    peer.session("udp", one.node.config.limits).put(HELLO)
    one.node.wake(peer.sessions["udp"], 0.0)
    (third,) = parcels(one)
    assert [first.number, second.number, third.number] == [1, 2, 3]
    for parcel in (third, second, first, second):
        other.hear(one, parcel, 0.0)
    assert sorted(events(other)) == [b"1", b"2", b"hello"]


@settings(deadline=None, max_examples=200)
@given(
    some.lists(
        some.tuples(
            some.sampled_from(("alone", "all", "receipt")),
            some.integers(-1, 40) | some.integers(0, 2**64 - 1),
            some.booleans(),
            some.sampled_from(("to us", "to another", "from elsewhere")),
        ),
        max_size=40,
    )
)
def test_whatever_parcels_come_each_number_is_handed_out_once_at_most(coming):
    one, other = pair()
    home, me, them = one.address, one.node.identity, other.node.identity
    expected = set()
    for kind, number, flag, how in coming:
        to = bytes(24) if how == "to another" else them.key
        one.address = ("10.0.0.99", 1) if how == "from elsewhere" else home
        event = Event(0, 1, b"%d" % number)
        if kind == "alone":
            other.hear(one, Parcel("default", me.id, me.boot, to, number, event, flag), 0.0)
        elif kind == "all":
            other.hear(one, GroupParcel("default", me.id, me.boot, number, event), 0.0)
        else:
            other.hear(one, Receipt("default", me.id, me.boot, to, number), 0.0)
        if kind != "receipt" and how != "from elsewhere" and (how == "to us" or kind == "all"):
            expected.add(event.body)
    got = events(other)
    assert len(got) == len(set(got))
    assert set(got) <= expected


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
