"""From batches to hooks and queries: in order, intercepted, acknowledged, counted."""

import pytest

from meshcluster.errors import HookRejected, RemoteError
from meshcluster.node import effects as fx
from meshcluster.node.links import State
from meshcluster.node.parts import WHOLE_BYTES
from meshcluster.node.queries import Gathering
from meshcluster.node.requests import Waiter
from meshcluster.testing import Bench, carry, connect, introduce
from meshcluster.wire import body as bodies
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    ANSWERED,
    Ack,
    Answer,
    Batch,
    Event,
    Events,
    Note,
    Part,
    Question,
    Request,
)
from meshcluster.wire.message import Message


class Two:
    """Two benches with an open link."""

    def __init__(self, **config: object) -> None:
        self.one, self.other = Bench(1), Bench(2, **config)
        introduce(self.one, self.other)
        self.near, self.far = connect(self.one, self.other)
        for each in (self.one, self.other):
            each.node.take_effects()

    def session(self, bench: Bench):
        (peer,) = list(bench.node.peers)
        return peer.session("", bench.node.config.limits)

    def put(self, *messages: object) -> None:
        """``one`` queues messages for ``other``; both write all they have."""
        for message in messages:
            self.session(self.one).put(message)
        carry(self.one, self.near, self.other, self.far)


@pytest.fixture
def two() -> Two:
    return Two()


def event(text: str, channel: int = 0) -> Event:
    return Event(channel, *bodies.encode(text))


def texts(bench: Bench) -> list[str]:
    arrived = bench.take(fx.EventsArrived)
    return [bodies.decode(e.form, e.body) for batch in arrived for e in batch.events]


def test_a_batch_of_events_is_one_effect(two: Two) -> None:
    two.put(*[event(str(n)) for n in range(100)])
    (arrived,) = two.other.take(fx.EventsArrived)
    assert len(arrived.events) == 100
    assert arrived.service.name == "n1"
    assert arrived.protocol == "tcp"


def test_a_mixed_batch_keeps_its_order(two: Two) -> None:
    two.put(event("a"), event("b"), Question(1, 0, 2, b"?"), event("c"))
    kinds = [type(effect).__name__ for effect in two.other.node.take_effects()]
    assert kinds == ["EventsArrived", "QuestionArrived", "EventsArrived"]


def test_a_batch_that_comes_twice_is_taken_once(two: Two) -> None:
    frame = codec.encode_frame(Events(1, 0, 0, [event("once")]))
    for _ in range(3):
        two.other.node.frames_received(two.far, [frame], 0.0)
    assert texts(two.other) == ["once"]


def test_a_batch_that_is_missing_ends_the_link(two: Two) -> None:
    frame = codec.encode_frame(Events(2, 0, 0, [event("too early")]))
    two.other.node.frames_received(two.far, [frame], 0.0)
    assert two.far.state is State.CLOSED
    assert two.other.dropped["links: a batch is missing"] == 1
    assert texts(two.other) == []


def test_a_malformed_frame_ends_the_link_and_not_the_member(two: Two) -> None:
    two.other.node.frames_received(two.far, [b"\x93\x03\x01"], 0.0)
    assert two.far.state is State.CLOSED
    assert two.other.known == ["n1"]


def test_receive_hooks_may_keep_replace_and_veto(two: Two) -> None:
    def censor(message: Message) -> Message | None:
        if message.data == "secret":
            raise HookRejected("no secrets")
        if message.data == "change me":
            return message.replace(data="changed")
        return None

    two.other.hooks.add("receive", censor)
    two.put(event("keep"), event("secret"), event("change me"))
    assert texts(two.other) == ["keep", "changed"]
    assert two.other.dropped["receive: HookRejected"] == 1


def test_a_receive_hook_that_breaks_drops_the_message_whole(two: Two) -> None:
    two.other.hooks.add("receive", lambda message: 1 / 0)
    two.put(event("a"), event("b"))
    effects = two.other.node.take_effects()
    assert [len(e.events) for e in effects if isinstance(e, fx.EventsArrived)] == [0]
    assert len([e for e in effects if isinstance(e, fx.Report)]) == 1
    assert two.other.dropped["receive: HookFailed"] == 2


def test_receive_hooks_see_only_their_channel_and_protocol(two: Two) -> None:
    seen: list[str] = []
    two.other.hooks.add("receive", lambda m: seen.append(f"7 {m.data}"), channel=7)
    two.other.hooks.add("receive", lambda m: seen.append(f"tcp {m.data}"), protocol="tcp")
    two.other.hooks.add("receive", lambda m: seen.append(f"unix {m.data}"), protocol="unix")
    two.put(event("a"), event("b", 7))
    assert seen == ["tcp a", "7 b", "tcp b"]


def test_a_vetoed_answer_is_the_error_of_its_member(two: Two) -> None:
    two.one.hooks.add("receive", lambda m: (_ for _ in ()).throw(HookRejected("no")))
    session = two.session(two.one)
    gathering = Gathering(5, 30.0)
    two.one.node.ask(
        gathering, 0.0, [(session, session.peer.service, Question(5, 0, 2, b"?"))], list
    )
    carry(two.one, two.near, two.other, two.far)
    two.session(two.other).put(Answer(5, ANSWERED, 0, 2, b"!"))
    carry(two.one, two.near, two.other, two.far)
    assert [type(error) for error in gathering.errors.values()] == [HookRejected]
    assert gathering.over


def test_a_batch_of_requests_is_handed_out_in_order_with_and_without_hooks(two: Two) -> None:
    seen: list[int] = []
    for _ in range(2):
        two.put(*[Request(n, "box", 0, 2, b"?") for n in range(3)])
        arrived = two.other.take(fx.RequestArrived)
        assert [(each.question.id, each.service.name) for each in arrived] == [
            (n, "n1") for n in range(3)
        ]
        two.other.hooks.add("receive", lambda message: seen.append(1))
    assert len(seen) == 3


def test_a_batch_of_answers_finds_requests_and_queries(two: Two) -> None:
    session = two.session(two.one)
    service, node = session.peer.service, two.one.node
    gathering = Gathering(1, 30.0)
    node.ask(gathering, 0.0, [(session, service, Question(1, 0, 2, b"?"))], list)
    node.requests.open(Waiter(2, service, session, 30.0, lambda value, error: None))
    carry(two.one, two.near, two.other, two.far)
    for number in (2, 1, 2, 3):
        two.session(two.other).put(Answer(number, ANSWERED, 0, 1, b"!%d" % number))
    carry(two.one, two.near, two.other, two.far)
    assert list(gathering.results.values()) == [b"!1"]
    assert [e.value for e in two.one.take(fx.RequestDone)] == [b"!2"]
    assert two.one.dropped["answers late, twice or not asked for"] == 2


def test_an_answer_nobody_waits_for_is_counted(two: Two) -> None:
    two.put(Answer(77, ANSWERED, 0, 2, b"!"))
    assert two.other.dropped["answers late, twice or not asked for"] == 1


def test_a_batch_is_acknowledged_by_itself_when_nothing_goes_back(two: Two) -> None:
    two.put(event("a"))
    assert two.other.node.take_frames(two.far) == []
    two.other.node.advance(0.03)
    (frame,) = two.other.node.take_frames(two.far)
    assert codec.decode_frame(frame) == Ack(1, 0)


def test_a_batch_that_goes_back_carries_the_acknowledgement(two: Two) -> None:
    two.put(event("a"))
    two.session(two.other).put(event("b"))
    (frame,) = two.other.node.take_frames(two.far)
    assert codec.decode_frame(frame).acked == 1
    two.other.node.advance(0.03)
    assert two.other.node.take_frames(two.far) == []


def test_many_batches_are_acknowledged_at_once(two: Two) -> None:
    for number in range(1, 17):
        two.other.node.frames_received(
            two.far, [codec.encode_frame(Events(number, 0, 0, [event("x")]))], 0.0
        )
    assert [codec.decode_frame(f).acked for f in two.other.node.take_frames(two.far)] == [16]


def test_what_hooks_have_taken_is_told_as_credit(two: Two) -> None:
    two.put(*[event("x" * 60_000) for _ in range(30)])
    for arrived in two.other.take(fx.EventsArrived):
        two.other.node.took(arrived.session, arrived.size)
    told = [codec.decode_frame(f) for f in two.other.node.take_frames(two.far)]
    assert told[-1].taken > 1_500_000


def test_a_batch_without_events_is_taken_at_once(two: Two) -> None:
    frame = codec.encode_frame(Batch(1, 0, 0, [Question(1, 0, 2, b"?")]))
    two.other.node.frames_received(two.far, [frame], 0.0)
    assert two.session(two.other).taken == len(frame)


def test_a_batch_with_events_is_taken_with_the_last_of_them_whatever_ends_it(two: Two) -> None:
    """Else who mixes questions or notes into its events would have credit without end."""
    question, note = Question(1, 0, 2, b"?"), Note("box", 0, 2, b"n")
    frame = codec.encode_frame(Batch(1, 0, 0, [event("a"), question, event("b"), note]))
    two.other.node.frames_received(two.far, [frame], 0.0)
    assert two.session(two.other).taken == 0
    arrived = two.other.take(fx.EventsArrived)
    assert sum(each.size for each in arrived) == arrived[-1].size == len(frame)


def test_a_question_that_a_receive_hook_stops_is_answered_so_at_once(two: Two) -> None:
    def veto(message: Message) -> None:
        raise HookRejected("not you")

    two.other.hooks.add("receive", veto)
    session = two.session(two.one)
    gathering = Gathering(5, 30.0)
    asked = [(session, session.peer.service, Question(5, 0, 2, b"?"))]
    two.one.node.ask(gathering, 0.0, asked, list)
    carry(two.one, two.near, two.other, two.far)
    (error,) = gathering.errors.values()
    assert isinstance(error, RemoteError)
    assert error.kind == "HookRejected"


def test_slow_receive_hooks_are_counted() -> None:
    clock = iter(range(1000)).__next__  # each look is a second later
    two = Two(clock=clock)
    two.other.hooks.add("receive", len_of_body)
    two.put(event("a"), event("b"), Question(1, 0, 2, b"?"))
    timing = two.other.hooks.timing
    assert timing is not None
    assert timing.as_dict() == {f"hook {__name__}.len_of_body": 3}


def len_of_body(message: Message) -> None:
    len(message.body)


# --- large messages in parts ---


LARGE = bytes(3 * WHOLE_BYTES)


def exchange(two: Two) -> None:
    """Until nobody has anything to say; hooks take all they get."""
    for _ in range(100):
        for bench, near, far in ((two.one, two.near, two.far), (two.other, two.far, two.near)):
            bench.node.advance(bench.node.deadline() or 0.0)
            frames = bench.node.take_frames(near)
            other = two.other if bench is two.one else two.one
            other.node.frames_received(far, frames, 0.0)
        if two.session(two.one).idle and two.session(two.other).idle:
            return
    raise AssertionError("never at rest")


def test_a_large_event_is_handed_out_once_and_its_credit_given_back_when_hooks_took_it(two: Two):
    two.session(two.one).put(Event(0, 1, LARGE))
    exchange(two)
    (arrived,) = two.other.take(fx.EventsArrived)
    assert [each.body for each in arrived.events] == [LARGE]
    assert arrived.size > len(LARGE)
    assert two.session(two.other).taken == 0


def test_a_large_question_gives_its_credit_back_as_it_comes(two: Two) -> None:
    two.session(two.one).put(Question(1, 0, 1, LARGE))
    exchange(two)
    (arrived,) = two.other.take(fx.QuestionArrived)
    assert arrived.question.body == LARGE
    assert two.session(two.other).taken > len(LARGE)


def test_who_leaves_amid_a_large_event_lets_its_sender_know_that_it_was_not_taken(two: Two):
    told = Event(0, 1, LARGE)
    two.session(two.one).put(told)
    frames = two.one.node.take_frames(two.near)
    two.other.node.frames_received(two.far, frames[:1], 0.0)
    two.other.node.take_no_more(0.0)
    two.other.node.frames_received(two.far, frames[1:], 0.0)
    for _ in range(20):
        two.one.node.frames_received(two.near, two.other.node.take_frames(two.far), 0.0)
        two.other.node.frames_received(two.far, two.one.node.take_frames(two.near), 0.0)
        two.other.node.advance(two.other.node.deadline() or 0.0)
    assert not two.session(two.one).idle
    two.other.node.leave(0.0)
    two.one.node.frames_received(two.near, two.other.node.take_frames(two.far), 0.0)
    (lost,) = two.one.take(fx.MessagesLost)
    assert lost.messages == [told]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([Part(1, 0, 0, False, None, 5, b"x")], "a part of no message"),
        ([Part(2, 0, 0, False, Event(0, 1, b""), 5, b"x")], "a batch is missing"),
        ([Part(1, 0, 0, False, Event(0, 1, b""), 2**40, b"x")], "an oversized message in parts"),
        (
            [
                Part(1, 0, 0, False, Event(0, 1, b""), 5, b"x"),
                Part(2, 0, 0, False, Event(0, 1, b""), 5, b"x"),
            ],
            "a part begins before the last message has ended",
        ),
    ],
)
def test_a_part_that_cannot_be_ends_the_link_and_is_counted(two: Two, parts, reason) -> None:
    frames = [codec.encode_frame(part) for part in parts]
    two.other.node.frames_received(two.far, frames, 0.0)
    assert two.far.state is State.CLOSED
    assert two.other.node.counters.as_dict()[f"links: {reason}"] == 1
    assert two.other.take(fx.EventsArrived) == []
