"""The one door: joining, telling of changes, names, limits, leaving."""

import pytest

from meshcluster.config import Limits
from meshcluster.errors import MessageTooLarge, NotJoined
from meshcluster.node import effects as fx
from meshcluster.node.queries import Gathering
from meshcluster.testing import Bench, connect, introduce
from meshcluster.wire.frames import Beacon, Leave


def test_a_node_does_nothing_before_it_is_started() -> None:
    one = Bench(1)
    assert one.node.deadline() is None
    assert one.node.take_effects() == []


def test_its_deadline_is_when_it_has_something_to_do() -> None:
    one = Bench(1)
    one.node.start(5.0)
    assert one.node.deadline() == pytest.approx(5.1)


def test_changed_tags_are_announced_at_once_and_over_open_links() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    one.node.take_effects()
    other.node.describe(1.0, tags=["blue"])
    one.node.frames_received(near, other.node.take_frames(far), 1.0)
    (changed,) = one.take(fx.ServiceChanged)
    assert changed.service.tags == ("blue",)
    other.node.advance(1.0)
    assert [type(datagram) for datagram in other.datagrams()] == [Beacon]


def test_older_details_do_not_replace_newer_ones() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    old = other.node.details
    other.node.describe(1.0, tags=["new"])
    one.node._proved(peer, other.node.details, 1.0)
    one.node._proved(peer, old, 1.1)
    assert peer.service.tags == ("new",)


def test_details_beyond_the_limit_are_refused_and_change_nothing() -> None:
    one = Bench(1)
    before = one.node.details
    with pytest.raises(MessageTooLarge, match="tags, props and endpoints"):
        one.node.describe(0.0, tags=[f"{n:060}" for n in range(2000)])
    assert one.node.details is before
    with pytest.raises(MessageTooLarge):
        Bench(2, props={"x": "y" * 70_000})


def test_a_validate_hook_decides_before_anything_is_told() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: "web" in service.tags)
    introduce(one, other)
    assert one.known == []
    assert one.take(fx.ServiceDiscovered) == []
    assert other.known == ["n1"], "the other decides for itself"


def test_a_validate_hook_that_breaks_fails_closed() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: 1 / 0)
    introduce(one, other)
    assert one.known == []
    assert one.dropped["service.validate: HookFailed"] == 1


def test_a_refused_member_is_asked_again_when_its_details_change() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: "web" in service.tags)
    introduce(one, other)
    other.node.take_effects()
    other.node.describe(1.0, tags=["web"])
    other.node.advance(1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    other.hear(one, one.datagrams()[-1], 1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    assert one.known == ["n2"]


def test_a_member_beyond_the_limit_is_counted() -> None:
    one, other = Bench(1, limits=Limits(members=1)), Bench(2)
    introduce(one, Bench(3))
    one.node.take_effects()
    introduce(one, other)
    assert one.known == ["n3"]
    assert one.dropped["members beyond the limit"] >= 1


def test_leaving_says_goodbye_and_ends_queries() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)
    gathering = Gathering(1, 30.0)
    one.node.ask(gathering, 1.0, None, list)
    one.node.take_effects()
    one.node.leave(1.0)
    assert session is not None
    assert gathering.over
    assert gathering.failure is None or isinstance(gathering.failure, NotJoined)
    assert [type(datagram) for datagram in one.datagrams()] == [Leave]
    assert one.node.deadline() is None


def test_messages_to_a_member_that_is_lost_are_counted() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)
    from meshcluster.wire.frames import Event

    for _ in range(3):
        session.put(Event(0, 1, b"x"))
    one.node.lose(peer, "left", 1.0)
    session.put(Event(0, 1, b"late"))
    one.node.wake(session, 1.0)
    assert one.dropped["messages to a lost member"] == 4
