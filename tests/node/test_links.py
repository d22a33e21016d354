"""Links of a node: endpoint after endpoint, the hello, who stays of two, what ends one."""

import pytest

from meshcluster.errors import NoRoute
from meshcluster.model import CRASHED, Endpoint
from meshcluster.node import effects as fx
from meshcluster.node.links import REFUSED, State
from meshcluster.node.proof import HURRIED_SECONDS
from meshcluster.node.queries import Gathering
from meshcluster.testing import Bench, carry, connect, introduce, pass_time
from meshcluster.wire import codec
from meshcluster.wire.frames import Event, ProbeReply, Question, Refuse


def pair(**config: object) -> tuple[Bench, Bench]:
    one, other = Bench(1, **config), Bench(2, **config)
    introduce(one, other)
    for each in (one, other):
        each.node.take_effects()
    return one, other


def session_of(bench: Bench):
    (peer,) = list(bench.node.peers)
    return peer.session("", bench.node.config.limits)


def tell(bench: Bench, *bodies: bytes) -> None:
    session = session_of(bench)
    for body in bodies:
        session.put(Event(0, 1, body))
    bench.node.wake(session, 0.0)


def heard(bench: Bench) -> list[bytes]:
    return [event.body for arrived in bench.take(fx.EventsArrived) for event in arrived.events]


def test_a_link_opens_on_first_use_and_brings_what_waited() -> None:
    one, other = pair()
    tell(one, b"a", b"b")
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", one.address[0], 0.0, local=False)
    near = one.node.link_opened("tcp", other.address[0], 0.0, local=False, number=dial.number)
    carry(one, near, other, far)
    assert near.state is far.state is State.OPEN
    assert heard(other) == [b"a", b"b"]


def test_endpoints_are_tried_in_the_order_of_the_dialled_member() -> None:
    endpoints = [Endpoint("zmq", {}), Endpoint("tcp", {}), Endpoint("unix", {})]
    one, other = Bench(1), Bench(2, endpoints=endpoints)
    introduce(one, other)
    one.node.take_effects()
    tell(one, b"x")
    (first,) = one.take(fx.DialEndpoint)
    assert first.endpoint.scheme == "tcp", "zmq is not spoken here, unix is not for other hosts"
    one.node.dial_failed(first.number, REFUSED, 0.1)
    assert one.take(fx.DialEndpoint) == []
    one.node.advance(0.3)
    (again,) = one.take(fx.DialEndpoint)
    assert again.endpoint.scheme == "tcp", "what waits is tried again later"


def test_a_dial_that_takes_too_long_is_given_up() -> None:
    one, _ = pair()
    tell(one, b"x")
    (dial,) = one.take(fx.DialEndpoint)
    one.node.advance(one.node.config.limits.dial_seconds)
    cancelled = one.take(fx.CancelDial)
    assert [effect.number for effect in cancelled] == [dial.number]
    late = one.node.link_opened("tcp", "10.0.0.2", 2.1, local=False, number=dial.number)
    assert late is None, "a link that opens after all is not wanted"


def test_of_two_links_dialled_at_once_the_lower_ids_stays_and_nothing_is_lost() -> None:
    one, other = pair()
    tell(one, b"from one")
    tell(other, b"from other")
    (dial_one,) = one.take(fx.DialEndpoint)
    (dial_other,) = other.take(fx.DialEndpoint)
    near_a = one.node.link_opened("tcp", "10.0.0.2", 0, local=False, number=dial_one.number)
    far_a = other.node.link_opened("tcp", "10.0.0.1", 0, local=False)
    near_b = other.node.link_opened("tcp", "10.0.0.1", 0, local=False, number=dial_other.number)
    far_b = one.node.link_opened("tcp", "10.0.0.2", 0, local=False)
    carry(other, near_b, one, far_b)
    carry(one, near_a, other, far_a)
    assert near_a.state is far_a.state is State.OPEN
    assert near_b.state is far_b.state is State.CLOSED
    assert heard(one) == [b"from other"]
    assert heard(other) == [b"from one"]


def test_a_broken_link_is_redialled_and_what_was_not_acknowledged_is_sent_again() -> None:
    one, other = pair()
    near, far = connect(one, other)
    tell(one, b"lost on the way")
    one.node.take_frames(near)  # written, never read
    one.node.link_lost(near, "reset", 1.0)
    other.node.link_lost(far, "reset", 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", "10.0.0.1", 1.0, local=False)
    near = one.node.link_opened("tcp", "10.0.0.2", 1.0, local=False, number=dial.number)
    carry(one, near, other, far, 1.0)
    assert heard(other) == [b"lost on the way"]


def test_a_link_that_was_open_for_long_was_of_use_though_nothing_went_over_it() -> None:
    """As those do that are kept to see them break: each time they are dialled again at once."""
    one, other = pair()
    near, far = connect(one, other)
    for minute in range(1, 5):
        now = 60.0 * minute
        one.node.link_lost(near, "reset", now)
        other.node.link_lost(far, "reset", now)
        (dial,) = one.take(fx.DialEndpoint)
        far = other.node.link_opened("tcp", "10.0.0.1", now, local=False)
        near = one.node.link_opened("tcp", "10.0.0.2", now, local=False, number=dial.number)
        carry(one, near, other, far, now)


def test_who_lost_us_and_found_us_again_is_not_kept_waiting_for_the_link_it_dropped() -> None:
    one, other = pair()
    near, far = connect(one, other)
    for bench, link in ((one, near), (other, far)):
        bench.node.link_lost(link, "reset", 0.5)
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", "10.0.0.1", 0.5, local=False)
    near = one.node.link_opened("tcp", "10.0.0.2", 0.5, local=False, number=dial.number)
    carry(one, near, other, far, 0.5)
    tell(other, b"never acknowledged")
    (peer,) = list(one.node.peers)
    one.node._admission.lose(peer, "is gone for the test", 1.0)
    one.node.take_effects()
    other.node.take_effects()
    other.node._discovery.beacon(1.0)
    for speaker, listener in ((other, one), (one, other), (other, one)):  # beacon, probe, reply
        (datagram,) = speaker.datagrams()
        listener.hear(speaker, datagram, 1.0)
    near, new = connect(one, other, 1.0)
    assert near.state is new.state is State.OPEN
    assert far.state is State.CLOSED
    tell(one, b"again")
    carry(one, near, other, new)
    assert heard(other) == [b"again"]


def test_a_broken_link_whose_endpoints_all_refuse_means_that_the_member_died() -> None:
    one, other = pair()
    near, _ = connect(one, other)
    one.node.link_lost(near, "closed by the other end", 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    one.node.dial_failed(dial.number, REFUSED, 1.0)
    pass_time(one, 1.0 + sum(HURRIED_SECONDS) + 0.01, since=1.0, step=0.01)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == CRASHED


def test_but_not_if_it_answers_then_only_its_listener_is_gone() -> None:
    one, other = pair()
    near, _ = connect(one, other)
    one.node.link_lost(near, "closed by the other end", 1.0)
    effects = one.take(fx.DialEndpoint, fx.SendDatagram)
    (dial,) = [each for each in effects if isinstance(each, fx.DialEndpoint)]
    one.node.dial_failed(dial.number, REFUSED, 1.0)
    (probe,) = [each.data for each in effects if isinstance(each, fx.SendDatagram)]
    other.node.datagram_received(probe, one.address, 1.0)
    (reply,) = [each for each in other.datagrams() if isinstance(each, ProbeReply)]
    one.hear(other, reply, 1.0)
    now = 1.0
    while now < 1.9:
        one.node.advance(now := now + 0.01)
        for dial in one.take(fx.DialEndpoint):
            one.node.dial_failed(dial.number, REFUSED, now)
            assert one.known == ["n2"]


def test_a_member_that_is_merely_hard_to_reach_is_not_lost() -> None:
    one, other = pair()
    near, _ = connect(one, other)
    one.node.link_lost(near, "timed out", 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    one.node.dial_failed(dial.number, "no route to host", 1.0)
    assert one.known == ["n2"]


def test_questions_that_cannot_be_sent_fail_at_once_and_say_what_was_tried() -> None:
    one, _ = pair()
    session = session_of(one)
    gathering = Gathering(1, 30.0)
    asked = [(session, session.peer.service, Question(1, 0, 1, b"?"))]
    one.node.ask(gathering, 0.0, asked, list)
    (dial,) = one.take(fx.DialEndpoint)
    one.node.dial_failed(dial.number, "no route to host", 0.1)
    (error,) = gathering.errors.values()
    assert isinstance(error, NoRoute)
    assert error.attempts == (("tcp", "no route to host"),)
    assert gathering.over


def test_a_hello_meant_for_an_earlier_run_is_refused() -> None:
    one, _ = pair()
    stranger = Bench(3)
    tell(one, b"x")
    (dial,) = one.take(fx.DialEndpoint)
    near = one.node.link_opened("tcp", "10.0.0.2", 0, local=False, number=dial.number)
    far = stranger.node.link_opened("tcp", "10.0.0.1", 0, local=False)
    stranger.node.frames_received(far, one.node.take_frames(near), 0)
    answer = stranger.node.take_frames(far)
    assert isinstance(codec.decode_frame(answer[1]), Refuse)
    one.node.frames_received(near, answer, 0)
    assert near.state is State.CLOSED
    assert one.known == ["n2"]


def test_a_link_without_a_hello_is_closed() -> None:
    one = Bench(1)
    link = one.node.link_opened("tcp", "10.0.0.9", 0.0, local=False)
    one.node.advance(one.node.config.limits.hello_seconds)
    assert link.state is State.CLOSED
    assert one.dropped["links without a hello"] == 1


def test_links_that_wait_for_their_hello_are_bounded() -> None:
    one = Bench(1)
    limit = one.node.config.limits.pending_links
    links = [one.node.link_opened("tcp", "10.0.0.9", 0, local=False) for _ in range(limit + 3)]
    assert [link.state for link in links].count(State.CLOSED) == 3
    assert {link.state for link in links[:3]} == {State.CLOSED}, "the oldest"
    assert len(one.take(fx.CloseLink)) == one.dropped["links beyond pending_links"] == 3


def test_who_opens_links_and_says_nothing_keeps_nobody_out() -> None:
    one, other = pair()
    limit = one.node.config.limits.pending_links
    flood = [one.node.link_opened("tcp", "10.0.0.9", 0, local=False) for _ in range(limit)]
    here = one.node.link_opened("unix", "", 0, local=True)
    tell(other, b"hello")
    (dial,) = other.take(fx.DialEndpoint)
    far = one.node.link_opened("tcp", other.address[0], 0.0, local=False)
    flood += [one.node.link_opened("tcp", "10.0.0.9", 0, local=False) for _ in range(limit)]
    near = other.node.link_opened("tcp", one.address[0], 0.0, local=False, number=dial.number)
    carry(other, near, one, far)
    assert heard(one) == [b"hello"]
    assert here.state is State.PREFACE
    assert [link.state for link in flood].count(State.PREFACE) == limit - 2


def test_our_own_dials_take_nobody_s_place() -> None:
    one, other = pair()
    tell(one, b"a")
    (dial,) = one.take(fx.DialEndpoint)
    near = one.node.link_opened("tcp", other.address[0], 0.0, local=False, number=dial.number)
    for _ in range(one.node.config.limits.pending_links + 1):
        one.node.link_opened("tcp", other.address[0], 0, local=False)
    assert near.state is State.PREFACE


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([b"GET / HT"], "foreign link"),
        ([b"mesh\x63\0\0\0"], "unknown version of a link"),
        ([b"mesh\x01\x07\0\0"], "unknown security mode of a link"),
        ([codec.preface(), b"\xc1"], "link frame"),
        ([codec.preface(), codec.encode_frame(Refuse(1))], "link frame before the hello"),
    ],
)
def test_what_does_not_begin_as_a_link_ends_counted_and_reported_once(
    frames: list[bytes], reason: str
) -> None:
    one = Bench(1)
    for _ in range(3):
        link = one.node.link_opened("tcp", "10.0.0.9", 0, local=False)
        one.node.frames_received(link, frames, 0)
        assert link.state is State.CLOSED
    assert one.dropped[f"links: {reason}"] == 3
    assert len(one.take(fx.Report)) == 1


def test_a_goodbye_over_a_link_is_the_end_of_the_member() -> None:
    one, other = pair()
    near, far = connect(one, other)
    other.node.leave(1.0)
    one.node.frames_received(near, other.node.take_frames(far), 1.0)
    assert one.known == []


def test_a_member_that_cannot_be_a_member_here_is_refused() -> None:
    one, _ = pair()
    third = Bench(3)
    introduce(third, one)
    one.hooks.add("service.validate", lambda service: service.name != "n3")
    one.node._admission.proved(
        one.node.peers.member(third.node.identity.key), third.node.details, 1.0
    )
    assert "n3" in one.known, "the same details are not judged again"
    third.node.describe(1.0, tags=["changed"])
    one.node._admission.proved(
        one.node.peers.member(third.node.identity.key), third.node.details, 1.0
    )
    assert "n3" not in one.known
