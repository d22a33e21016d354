"""What is given up for a receiver that is too slow: counted, told, and no more than was meant."""

from meshcluster.node import effects as fx
from meshcluster.node.links import State
from meshcluster.node.queries import Gathering
from meshcluster.testing import Bench, carry, connect, introduce
from meshcluster.wire.frames import Event, Question

GIVEN_UP = "messages given up: their receiver is too slow"


def pair():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    one.node.take_effects()
    other.node.take_effects()
    return one, near, other, far


def session_of(bench):
    (peer,) = bench.node.peers
    return peer.sessions[""]


def events(*channels):
    return [Event(channel, 1, bytes(2000)) for channel in channels]


def test_the_oldest_events_are_dropped_told_and_counted():
    one, *_ = pair()
    session = session_of(one)
    for each in events(1, 2, 3):
        session.put(each)
    assert one.node.relief.drop(session, 2) == 2
    (lost,) = one.take(fx.MessagesLost)
    assert lost.reason == "did not take them in time"
    assert lost.messages == events(1, 2)
    assert one.node.counters.as_dict()[GIVEN_UP] == 2
    assert session.held_bytes == 2000


def test_where_nothing_waits_nothing_is_told():
    one, *_ = pair()
    assert one.node.relief.drop(session_of(one), 5) == 0
    assert one.take(fx.MessagesLost) == []
    assert GIVEN_UP not in one.node.counters.as_dict()


def test_disconnecting_gives_all_up_and_ends_the_link():
    one, near, _, _ = pair()
    session = session_of(one)
    for each in events(1, 2):
        session.put(each)
    one.node.take_frames(near)
    session.put(events(3)[0])
    one.node.relief.disconnect(session)
    assert near.state is State.CLOSED
    assert session.idle
    (lost,) = one.take(fx.MessagesLost)
    assert lost.messages == events(1, 2, 3)
    assert one.node.counters.as_dict()["receivers disconnected: too slow"] == 1
    assert [peer.service.name for peer in one.node.peers] == ["n2"], "it remains a member"


def test_what_was_asked_of_who_is_disconnected_fails_at_once():
    one, *_ = pair()
    session, gathering = session_of(one), Gathering(1, 30.0)
    service = session.peer.service
    one.node.ask(gathering, 0.0, [(session, service, Question(1, 0, 1, b""))], list)
    one.node.relief.disconnect(session)
    assert gathering.over
    (error,) = gathering.errors.values()
    assert "was too slow and disconnected" in str(error)


def test_a_receiver_that_was_disconnected_begins_anew():
    one, near, other, far = pair()
    session = session_of(one)
    session.put(events(1)[0])
    carry(one, near, other, far)
    one.node.relief.disconnect(session)
    other.node.link_lost(far, "closed by the other end", 0.0)
    near, far = connect(one, other)
    session.put(events(2)[0])
    session_of(other).put(events(3)[0])
    carry(one, near, other, far)
    carry(other, far, one, near)
    heard = [e.channel for each in other.take(fx.EventsArrived) for e in each.events]
    back = [e.channel for each in one.take(fx.EventsArrived) for e in each.events]
    assert (heard, back) == ([1, 2], [3])
