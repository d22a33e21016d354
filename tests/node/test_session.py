"""Above any link: in order, once, resumed after a loss, slowed down by who receives."""

from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from meshcluster.config import FRAME_BYTES, Limits
from meshcluster.node.membership import Peer
from meshcluster.node.parts import AHEAD_BYTES, NEAR_WHOLE_BYTES, PART_BYTES, WHOLE_BYTES
from meshcluster.node.session import (
    ACK_BATCHES,
    ACK_BYTES,
    BATCH_BYTES,
    BATCH_MESSAGES,
    LARGE_BODY_BYTES,
    NEAR_BATCH_BYTES,
    Session,
)
from meshcluster.wire.codec import decode_frame
from meshcluster.wire.frames import (
    Ack,
    AckedEvent,
    Answer,
    Batch,
    Event,
    Events,
    Note,
    Part,
    Question,
)
from meshcluster.wire.split import SPLIT_BYTES, Split, decode_any

KIB = 1024
SMALL_WINDOW = Limits(event_window_bytes=1000)


class Half:
    """A session with what its member has heard, and the bytes that are under way to the other."""

    tokens = iter(range(1, 1_000_000))

    def __init__(self, limits=None):
        self.limits = limits or Limits()
        self.heard, self.untaken, self.under_way = [], 0, deque()
        self.forget()

    def forget(self):
        """Loses the session, as a member that gave the other up does."""
        self.session = Session(Peer(b"x" * 16, 1, ("", 0), 0.0), "", self.limits)
        self.session.token = next(self.tokens)
        self.untaken = 0

    def put(self, *messages):
        for message in messages:
            self.session.put(message)

    def send(self):
        """Puts all that may go under way; gives the batches."""
        frames = list(iter(self.session.next_frame, None))
        self.under_way += frames
        return [decode_any(frame) for frame in frames]

    def send_ack(self):
        if self.session.ack_owed:
            self.under_way.append(self.session.ack_frame())

    def receive(self, frame):
        batch = decode_any(frame)
        self.session.acknowledged(batch.acked, batch.taken)
        if isinstance(batch, Ack) or not self.session.accept(batch, len(frame)):
            return
        if not isinstance(batch, Part):
            self.heard += batch.messages
            self.untaken += len(frame)
        elif whole := self.session.arriving.add(batch, len(frame)):
            self.heard.append(whole[0])
            self.untaken += len(frame) if batch.asked else whole[1]
        elif batch.asked:
            self.session.take(len(frame))

    def receive_all(self, other):
        while other.under_way:
            self.receive(other.under_way.popleft())

    def take(self):
        """The hooks have taken what was heard."""
        self.session.take(self.untaken)
        self.untaken = 0


def meet(dialler, acceptor):
    """A new link, from the hellos on. What was under way on the old one is lost."""
    one, other = dialler.session, acceptor.session
    hello = one.token, one.peer_token, one.received
    other.resume(*hello)
    one.resume(other.token, other.peer_token, other.received)
    for half in (dialler, acceptor):
        half.under_way = deque(half.session.unacked_frames())


def pair(limits=None):
    ada, bob = Half(limits), Half(limits)
    meet(ada, bob)
    return ada, bob


def exchange(ada, bob):
    """Until nobody has anything to say; hooks take all they get."""
    for _ in range(1000):
        for half in (ada, bob):
            half.take()
            half.send()
            half.send_ack()
        if not (ada.under_way or bob.under_way):
            return
        bob.receive_all(ada)
        ada.receive_all(bob)
    raise AssertionError("never at rest")


def event(body=b"", channel=0):
    return Event(channel, 1, body)


def question(number, body=b""):
    return Question(number, 0, 1, body)


def answer(number, body=b""):
    return Answer(number, 0, 0, 1, body)


def events(count, size=0):
    return [event(bytes(size), channel=number) for number in range(count)]


def numbers(batches):
    return [batch.number for batch in batches]


# --- batches ---


def test_messages_go_in_the_order_in_which_they_were_put():
    ada, bob = pair()
    told = [event(b"1"), question(2), answer(3), event(b"4")]
    ada.put(*told)
    exchange(ada, bob)
    assert bob.heard == told


def test_nothing_put_means_nothing_to_send():
    assert pair()[0].session.next_frame() is None


def test_batches_are_numbered_from_one_without_gaps():
    ada, _ = pair()
    ada.put(*events(2 * BATCH_MESSAGES + 1))
    batches = ada.send()
    assert numbers(batches) == [1, 2, 3]
    assert [len(batch.messages) for batch in batches] == [BATCH_MESSAGES, BATCH_MESSAGES, 1]


@pytest.mark.parametrize(
    ("messages", "kind"),
    [([event(), event()], Events), ([event(), question(1)], Batch), ([answer(1)], Batch)],
)
def test_events_alone_take_the_fast_lane(messages, kind):
    ada, _ = pair()
    ada.put(*messages)
    assert [type(batch) for batch in ada.send()] == [kind]


def test_large_bodies_end_a_batch():
    ada, _ = pair()
    ada.put(*events(5, size=BATCH_BYTES // 2))
    assert [len(batch.messages) for batch in ada.send()] == [2, 2, 1]


def test_a_message_larger_than_a_batch_goes_by_itself():
    ada, bob = pair()
    ada.put(event(b"before"), event(bytes(WHOLE_BYTES)), event(b"after"))
    assert [len(batch.messages) for batch in ada.send()] == [2, 1]
    bob.receive_all(ada)
    assert [len(each.body) for each in bob.heard] == [6, WHOLE_BYTES, 5]


@pytest.mark.parametrize("credit", [True, False])
def test_a_batch_is_never_longer_than_a_link_takes(credit):
    limits = Limits(message_bytes=KIB * KIB, event_window_bytes=1)
    ada, _ = pair(limits)
    if not credit:
        ada.put(event())
        ada.send()
    small = [answer(2**60, bytes(LARGE_BODY_BYTES))] * (BATCH_MESSAGES - 1)
    ada.put(*small, answer(1, bytes(WHOLE_BYTES)), answer(1, bytes(limits.message_bytes)))
    ada.under_way.clear()
    ada.send()
    assert max(map(len, ada.under_way)) <= FRAME_BYTES // 2


# --- parts ---


def bytes_of(size, seed=0):
    """Not the same anywhere, so that a part at another place is noticed."""
    return b"".join((seed * size + n).to_bytes(8, "big") for n in range(size // 8))


def test_a_larger_message_goes_in_parts_and_arrives_as_it_was():
    ada, bob = pair()
    told = [event(bytes_of(700 * KIB)), question(1, bytes_of(300 * KIB)), answer(2, b"")]
    told += [Note("box", 7, 1, bytes_of(5 * 1024 * KIB, 1)), answer(3, bytes_of(400 * KIB))]
    ada.put(*told)
    exchange(ada, bob)
    assert sorted(map(repr, bob.heard)) == sorted(map(repr, told))
    assert ada.session.idle
    assert ada.session.held_bytes == 0
    assert ada.session.ledger.held_bytes == 0


def test_no_part_is_sent_while_so_much_is_not_acknowledged_that_others_would_wait():
    ada, _ = pair()
    ada.put(event(bytes(8 * AHEAD_BYTES)))
    sent = ada.send()
    assert {type(each) for each in sent} == {Part}
    assert AHEAD_BYTES <= sum(map(len, ada.under_way)) < AHEAD_BYTES + 2 * PART_BYTES


def test_questions_and_answers_pass_a_message_in_parts():
    ada, bob = pair()
    ada.put(event(bytes(20 * AHEAD_BYTES)))
    ada.send()
    for number in range(100):
        ada.put(question(number))
        assert [type(each) for each in ada.send()] == [Batch], "right away"
    assert ada.session.backlog == 1
    bob.receive_all(ada)
    assert of_kind(Question, bob.heard) == [question(number) for number in range(100)]
    exchange(ada, bob)
    assert [len(each.body) for each in of_kind(Event, bob.heard)] == [20 * AHEAD_BYTES]


def test_batches_and_parts_go_in_turns():
    ada, _ = pair()
    ada.put(event(bytes(8 * PART_BYTES)))
    ada.put(*(question(number, bytes(KIB)) for number in range(BATCH_MESSAGES)))
    kinds = [type(each) for each in ada.send()]
    assert kinds[:8] == [Part, Batch] * 4


def test_what_is_told_keeps_its_order_around_messages_in_parts():
    ada, bob = pair()
    large = [event(bytes_of(size * KIB, 1)) for size in (300, 5000, 257)]
    told = [event(b"1"), large[0], event(b"2"), large[1], large[2], Note("x", 0, 1, b"3")]
    for each in told:
        ada.put(each, question(5))
    exchange(ada, bob)
    assert [each for each in bob.heard if type(each) is not Question] == told


def test_a_large_question_and_a_large_event_come_one_among_the_other():
    ada, _ = pair()
    ada.put(event(bytes(8 * PART_BYTES)), question(1, bytes(8 * PART_BYTES)))
    assert [each.asked for each in ada.send()[:6]] == [False, True, False, True, False, True]


def test_events_go_on_while_a_large_question_does():
    ada, bob = pair()
    ada.put(question(1, bytes(20 * AHEAD_BYTES)))
    for _ in range(12):
        ada.send()
        bob.receive_all(ada)
        bob.send_ack()
        ada.receive_all(bob)
    ada.put(event(b"small"))
    assert Events in {type(each) for each in ada.send()}


def test_a_message_under_way_ends_though_hooks_take_nothing_and_the_next_waits():
    ada, bob = pair()
    window = Limits().event_window_bytes
    ada.put(event(bytes(3 * window)), event(b"next"))
    for _ in range(100):
        ada.send()
        bob.receive_all(ada)
        bob.send_ack()
        ada.receive_all(bob)
    assert [len(each.body) for each in bob.heard] == [3 * window]
    assert ada.session.backlog == 1
    exchange(ada, bob)
    assert bob.heard[1:] == [event(b"next")]


@pytest.mark.parametrize("arrived", range(6))
def test_a_message_in_parts_survives_its_link(arrived):
    ada, bob = pair()
    body = bytes_of(5 * PART_BYTES)
    ada.put(event(body))
    ada.send()
    for _ in range(min(arrived, len(ada.under_way))):
        bob.receive(ada.under_way.popleft())
    meet(*((ada, bob) if arrived % 2 else (bob, ada)))
    exchange(ada, bob)
    assert bob.heard == [event(body)]
    assert ada.session.lost == []


@pytest.mark.parametrize("sent", [1, 3, 16])
def test_what_was_under_way_to_a_peer_that_lost_its_memory_is_lost_as_a_whole(sent):
    ada, bob = pair()
    large, asked = event(bytes(18 * PART_BYTES)), question(7, bytes(18 * PART_BYTES))
    waiting = question(8, bytes(WHOLE_BYTES + 1))
    ada.put(large, asked, waiting)
    for _ in range(sent):
        ada.session.next_frame()
    assert ada.session.unsent_questions == ({8} if sent > 1 else {7, 8})
    bob.forget()
    meet(ada, bob)
    assert ada.session.lost == ([large, asked] if sent > 1 else [large])
    exchange(ada, bob)
    assert bob.heard == ([waiting] if sent > 1 else [asked, waiting])
    assert ada.session.held_bytes == 0


@pytest.mark.parametrize("sent", [0, 1, 2, 7, 30])
def test_a_message_in_parts_is_given_up_once(sent):
    ada, bob = pair()
    told = [event(b"1"), event(bytes(20 * PART_BYTES)), question(2, bytes(600 * KIB)), event(b"3")]
    ada.put(*told)
    for _ in range(sent):
        if (frame := ada.session.next_frame()) is not None:
            ada.under_way.append(frame)
    bob.receive_all(ada)
    assert sorted(map(repr, ada.session.discard())) == sorted(map(repr, told))
    assert ada.session.idle
    assert ada.session.held_bytes == ada.session.ledger.held_bytes == 0


def test_a_large_question_that_never_left_can_be_taken_back():
    ada, _ = pair()
    ada.put(question(1, bytes(300 * KIB)), question(2, bytes(300 * KIB)), event(bytes(300 * KIB)))
    for _ in range(2):
        ada.session.next_frame()  # a part of the event and one of the first question
    ada.put(question(3, bytes(2 * KIB)))
    assert sorted(ada.session.withdraw_questions()) == [2, 3]
    assert ada.session.backlog == 2


# --- what is held ---


def test_what_waits_and_what_is_not_acknowledged_is_counted_until_it_is():
    ada, bob = pair()
    body = 10 * LARGE_BODY_BYTES
    ada.put(*events(10, size=body))
    assert ada.session.held_bytes == ada.session.ledger.held_bytes == 10 * body
    ada.send()
    assert 10 * body < ada.session.held_bytes == ada.session.ledger.held_bytes < 11 * body
    exchange(ada, bob)
    assert ada.session.held_bytes == ada.session.ledger.held_bytes == 0


def test_the_oldest_events_that_wait_can_be_given_up():
    ada, bob = stalled_pair()
    big = bytes(2 * KIB)
    ada.put(event(big, 1), question(2), event(big, 3), Note("box", 0, 1, big))
    ada.send()
    ada.put(event(big, 5), event(big, 6))
    assert [each.channel for each in ada.session.drop_events(3)] == [1, 3, 5]
    assert [each.channel for each in ada.session.drop_events(3)] == [6]
    assert ada.session.drop_events(3) == []
    exchange(ada, bob)
    assert [type(each) for each in bob.heard] == [Question, Note]
    assert ada.session.held_bytes == 0


# --- receiving ---


def test_only_the_next_in_order_is_accepted():
    _, bob = pair()
    assert not bob.session.accept(Events(2, 0, 0, []), 10)
    assert bob.session.accept(Events(1, 0, 0, []), 10)
    assert not bob.session.accept(Events(1, 0, 0, []), 10)
    assert bob.session.accept(Events(2, 0, 0, []), 10)
    assert bob.session.received == 2


def test_a_duplicate_is_heard_once_and_acknowledged_again():
    ada, bob = pair()
    ada.put(event(b"once"))
    ada.send()
    frame = ada.under_way[0]
    bob.receive(frame)
    bob.session.ack_frame()
    bob.receive(frame)
    assert bob.heard == [event(b"once")]
    assert bob.session.ack_owed


# --- acknowledgements ---


def test_sent_messages_are_kept_until_acknowledged():
    ada, bob = pair()
    ada.put(event())
    ada.send()
    assert len(ada.session.unacked_frames()) == 1
    assert not ada.session.idle
    bob.receive_all(ada)
    bob.send_ack()
    ada.receive_all(bob)
    assert ada.session.unacked_frames() == []
    assert ada.session.idle


def test_a_batch_that_goes_back_acknowledges():
    ada, bob = pair()
    ada.put(question(1))
    ada.send()
    bob.receive_all(ada)
    bob.take()
    bob.put(answer(1))
    bob.send()
    assert not bob.session.ack_owed
    ada.receive_all(bob)
    assert ada.session.unacked_frames() == []


def test_an_old_acknowledgement_changes_nothing():
    ada, _ = pair()
    ada.put(*events(2 * BATCH_MESSAGES))
    ada.send()
    assert ada.session.acknowledged(1, 50)
    assert not ada.session.acknowledged(1, 50)
    assert not ada.session.acknowledged(0, 0)
    assert len(ada.session.unacked_frames()) == 1


@pytest.mark.parametrize(("batches", "size"), [(ACK_BATCHES, 1), (1, ACK_BYTES)])
def test_many_batches_or_bytes_are_acknowledged_at_once(batches, size):
    _, bob = pair()
    for number in range(1, batches):
        bob.session.accept(Events(number, 0, 0, []), size)
    assert not bob.session.ack_urgent
    bob.session.accept(Events(batches, 0, 0, []), size)
    assert bob.session.ack_urgent
    bob.session.ack_frame()
    assert not bob.session.ack_urgent


def test_the_sender_hears_soon_that_hooks_took_a_quarter_of_the_window():
    _, bob = pair(SMALL_WINDOW)
    bob.session.take(249)
    assert not bob.session.ack_urgent
    bob.session.take(1)
    assert bob.session.ack_urgent


def test_what_is_not_acknowledged_is_bounded():
    ada, bob = pair(Limits(unacked_bytes=10 * KIB))
    ada.put(*(question(number, bytes(LARGE_BODY_BYTES)) for number in range(3000)))
    ada.send()
    held = sum(map(len, ada.session.unacked_frames()))
    assert held < 10 * KIB + BATCH_MESSAGES * 2 * LARGE_BODY_BYTES
    assert ada.session.next_frame() is None
    exchange(ada, bob)
    assert len(bob.heard) == 3000


def test_who_may_send_no_more_is_told_of_what_is_put_unless_something_waits():
    """What comes next is an acknowledgement, and it looks only at what waits."""
    ada, _ = pair(Limits(unacked_bytes=1))
    ada.put(event())
    ada.session.awake = True
    assert ada.session.next_frame()
    assert (ada.session.rest(), ada.session.awake) == (True, False)
    ada.put(event())
    ada.session.awake = True
    assert ada.session.next_frame() is None
    assert (ada.session.rest(), ada.session.awake) == (True, True)


# --- credit ---


def stalled_pair():
    """Ada has told Bob as much as his window holds, and his hooks have taken nothing."""
    ada, bob = pair(SMALL_WINDOW)
    ada.put(event(bytes(1000)))
    ada.send()
    bob.receive_all(ada)
    bob.send_ack()
    ada.receive_all(bob)
    bob.heard.clear()
    return ada, bob


def test_events_beyond_the_window_wait_at_their_sender():
    ada, _ = stalled_pair()
    ada.put(*events(5))
    assert ada.send() == []
    assert ada.session.backlog == 5
    assert not ada.session.idle


def test_questions_and_answers_pass_waiting_events():
    ada, bob = stalled_pair()
    ada.put(event(b"1"), question(2), event(b"3"), answer(4))
    ada.send()
    bob.receive_all(ada)
    assert bob.heard == [question(2), answer(4)]


def test_events_that_waited_keep_their_order_when_credit_comes():
    ada, bob = stalled_pair()
    ada.put(event(b"1"), question(2), event(b"3"))
    ada.send()
    ada.put(event(b"4"))
    ada.send()
    exchange(ada, bob)
    assert bob.heard == [question(2), event(b"1"), event(b"3"), event(b"4")]


def test_credit_comes_when_the_hooks_have_taken_not_when_the_bytes_arrived():
    ada, bob = stalled_pair()
    ada.put(event())
    assert ada.send() == []
    bob.take()
    bob.send_ack()
    ada.receive_all(bob)
    assert len(ada.send()) == 1


def test_an_event_larger_than_the_window_passes_when_all_was_taken():
    ada, bob = pair(SMALL_WINDOW)
    ada.put(event(bytes(5000)), event(bytes(5000)))
    exchange(ada, bob)
    assert len(bob.heard) == 2


def test_a_peer_that_claims_to_have_taken_more_than_was_sent_gains_nothing():
    ada, _ = stalled_pair()
    ada.session.acknowledged(1, 10**9)
    ada.put(event(bytes(2000)))
    assert len(ada.send()) == 1
    ada.put(event())
    assert ada.send() == []


# --- a new link ---


def test_a_lost_link_loses_nothing_and_doubles_nothing():
    ada, bob = pair()
    ada.put(*events(3 * BATCH_MESSAGES))
    ada.send()
    bob.receive(ada.under_way[0])
    meet(ada, bob)
    exchange(ada, bob)
    assert bob.heard == events(3 * BATCH_MESSAGES)
    assert ada.session.lost == []


@pytest.mark.parametrize("arrived", [0, 1, 2, 3])
def test_exactly_what_the_peer_is_missing_is_sent_again(arrived):
    ada, bob = pair()
    ada.put(*events(3 * BATCH_MESSAGES))
    ada.send()
    for frame in list(ada.under_way)[:arrived]:
        bob.receive(frame)
    meet(bob, ada)
    again = [decode_frame(frame) for frame in ada.session.unacked_frames()]
    assert numbers(again) == [1, 2, 3][arrived:]


def test_a_hello_that_never_arrived_does_no_harm():
    """Bob accepted and sent; the link broke before Ada heard of it."""
    ada, bob = Half(), Half()
    bob.session.resume(ada.session.token, 0, 0)
    bob.put(event(b"1"))
    bob.send()
    meet(ada, bob)
    exchange(ada, bob)
    assert ada.heard == [event(b"1")]
    assert bob.session.lost == []


def test_what_a_peer_that_lost_its_memory_had_not_acknowledged_counts_as_lost():
    ada, bob = pair()
    ada.put(*events(BATCH_MESSAGES + 1))
    ada.send()
    bob.receive(ada.under_way[0])
    ada.put(event(b"not sent yet"))
    bob.forget()
    bob.heard.clear()
    meet(ada, bob)
    assert ada.session.lost == events(BATCH_MESSAGES + 1)
    exchange(ada, bob)
    assert bob.heard == [event(b"not sent yet")]
    assert ada.session.idle


@pytest.mark.parametrize("dials", ["ada", "bob"])
def test_after_a_peer_lost_its_memory_both_directions_work_again(dials):
    ada, bob = pair()
    ada.put(event(b"1"))
    bob.put(event(b"2"))
    exchange(ada, bob)
    bob.forget()
    meet(*((ada, bob) if dials == "ada" else (bob, ada)))
    ada.put(event(b"3"))
    bob.put(event(b"4"))
    exchange(ada, bob)
    assert bob.heard == [event(b"1"), event(b"3")]
    assert ada.heard == [event(b"2"), event(b"4")]


def test_credit_told_on_a_link_that_broke_is_told_again():
    ada, bob = stalled_pair()
    bob.take()
    bob.send_ack()
    meet(ada, bob)
    ada.put(event(b"more"))
    exchange(ada, bob)
    assert bob.heard == [event(b"more")]


def meet_after_a_hello_was_lost(dialler, acceptor):
    """The link broke when the acceptor had resumed and sent, and the dialler heard nothing."""
    one = dialler.session
    acceptor.session.resume(one.token, one.peer_token, one.received)
    acceptor.send()
    meet(dialler, acceptor)


sizes = some.integers(0, 1500)
ORDINARY = ["event", "question", "send", "send", "receive", "twice", "take", "ack"]


def stories(*names):
    """What happens, to which of the two, and how large what is put is."""
    happening = some.tuples(some.sampled_from([*ORDINARY, *names]), some.booleans(), sizes)
    return some.lists(happening, min_size=20, max_size=80)  # or most would be very short


def happen(name, half, other, size, told):
    """One thing happens to a half; ``told`` collects what its member put."""
    if name == "event":
        told.append(event(bytes(size), channel=len(told)))
        half.put(told[-1])
    elif name == "question":
        told.append(question(len(told), bytes(size)))
        half.put(told[-1])
    elif name == "receive" and other.under_way:
        half.receive(other.under_way.popleft())
    elif name == "twice" and other.under_way:
        half.receive(other.under_way[0])
    elif name == "break":
        meet(half, other)
    elif name == "break twice":
        meet_after_a_hello_was_lost(half, other)
    elif name == "forget":
        half.forget()
        meet(half, other)
    elif name == "send":
        half.send()
    elif name == "take":
        half.take()
    elif name == "ack":
        half.send_ack()


def live_through(story):
    """Has a story happen, then peace; gives what each told and what the other heard of it."""
    ada, bob = pair(Limits(event_window_bytes=2000, unacked_bytes=4000))
    ada_told, bob_told = [], []
    for name, to_ada, size in story:
        if to_ada:
            happen(name, ada, bob, size, ada_told)
        else:
            happen(name, bob, ada, size, bob_told)
    exchange(ada, bob)
    for half in (ada, bob):
        assert half.session.idle
        assert half.session.held_bytes == half.session.ledger.held_bytes == 0
    return (ada_told, bob.heard), (bob_told, ada.heard)


def of_kind(kind, messages):
    return [message for message in messages if type(message) is kind]


@pytest.mark.timeout(300)  # only a failure takes long: it is made short before it is told
@settings(max_examples=300)
@given(stories("break", "break twice"))
def test_whatever_happens_each_message_arrives_once_and_in_order(story):
    for told, heard in live_through(story):
        for kind in (Event, Question):
            assert of_kind(kind, heard) == of_kind(kind, told)


@pytest.fixture
def tiny_parts(monkeypatch):
    """Bodies of hundreds of bytes go in parts, so that a story has many of them."""
    monkeypatch.setattr("meshcluster.node.session.WHOLE_BYTES", 300)
    monkeypatch.setattr("meshcluster.node.parts.PART_BYTES", 100)
    monkeypatch.setattr("meshcluster.node.parts.AHEAD_BYTES", 500)


same_for_all = settings(
    max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.timeout(300)
@same_for_all
@given(stories("break", "break twice"))
def test_in_parts_too_each_message_arrives_once_and_in_order(tiny_parts, story):
    for told, heard in live_through(story):
        assert of_kind(Event, heard) == of_kind(Event, told)
        questions = of_kind(Question, heard)
        assert sorted(questions, key=lambda each: each.id) == of_kind(Question, told)


@pytest.mark.timeout(300)
@same_for_all
@given(stories("break", "break twice", "forget"))
def test_in_parts_too_nothing_arrives_twice_or_out_of_order(tiny_parts, story):
    for told, heard in live_through(story):
        places = [told.index(each) for each in of_kind(Event, heard)]
        assert places == sorted(set(places))
        assert len(of_kind(Question, heard)) == len({each.id for each in of_kind(Question, heard)})


@pytest.mark.timeout(300)  # only a failure takes long: it is made short before it is told
@settings(max_examples=300)
@given(stories("break", "break twice", "forget"))
def test_whoever_forgets_what_still_arrives_does_so_at_most_once_and_in_order(story):
    for told, heard in live_through(story):
        for kind in (Event, Question):
            rest = iter(of_kind(kind, told))
            assert all(message in rest for message in of_kind(kind, heard))


# --- being looked after ---


def test_a_session_rests_when_nothing_waits():
    ada, _ = pair()
    ada.session.awake = True
    assert ada.session.next_frame() is None
    assert ada.session.rest()
    assert not ada.session.awake


def test_a_message_put_just_before_rest_keeps_the_session_awake():
    """Its putter saw ``awake`` and told nobody."""
    ada, _ = pair()
    ada.session.awake = True
    assert ada.session.next_frame() is None
    ada.put(event())
    assert not ada.session.rest()
    assert ada.session.awake


def test_a_session_that_must_wait_for_acknowledgements_rests():
    ada, _ = pair(Limits(unacked_bytes=1))
    ada.session.awake = True
    ada.put(*events(BATCH_MESSAGES + 1))
    ada.send()
    assert ada.session.backlog == 1
    assert ada.session.rest()


def test_a_session_that_must_wait_for_credit_rests():
    ada, _ = stalled_pair()
    ada.session.awake = True
    ada.put(event())
    assert ada.send() == []
    assert ada.session.rest()


# --- giving up ---


def test_questions_that_were_never_sent_can_be_taken_back():
    ada, bob = pair()
    ada.put(question(1))
    ada.send()
    ada.put(event(b"a"), question(2), answer(9), question(3), event(b"b"))
    assert ada.session.withdraw_questions() == [2, 3]
    exchange(ada, bob)
    assert bob.heard == [question(1), event(b"a"), answer(9), event(b"b")]


def test_what_is_given_up_is_counted():
    ada, _ = stalled_pair()
    ada.put(event(b"stalled"), question(1))
    ada.send()
    ada.put(event(b"waiting"))
    assert ada.session.backlog == 2
    assert len(ada.session.discard()) == 3
    assert ada.session.idle
    assert ada.session.discard() == []


# --- acknowledged sends --------------------------------------------------------------------


def acked(half, *numbers):
    """Acknowledged sends that are open, put."""
    for number in numbers:
        half.session.promises[number] = False
        half.put(AckedEvent(number, 0, 1, b""))


def test_acknowledged_sends_keep_their_place_among_events_and_wait_for_credit_with_them():
    ada, bob = stalled_pair()
    ada.put(event(b"1"))
    acked(ada, 2)
    ada.put(question(3), event(b"4"))
    ada.send()
    bob.receive_all(ada)
    assert bob.heard == [question(3)]
    exchange(ada, bob)
    assert bob.heard[1:] == [event(b"1"), AckedEvent(2, 0, 1, b""), event(b"4")]


def test_they_have_left_when_a_batch_took_them():
    ada, _ = pair()
    acked(ada, 1, 2)
    ada.session.promises.pop(2)
    ada.put(event(b"a"))
    (batch,) = ada.send()
    assert batch.messages == [AckedEvent(1, 0, 1, b""), event(b"a")]
    assert ada.session.promises == {1: True}


def test_a_batch_of_what_was_withdrawn_is_none_and_what_comes_after_it_goes():
    ada, _ = pair()
    acked(ada, *range(BATCH_MESSAGES + 1))
    for number in range(BATCH_MESSAGES):
        del ada.session.promises[number]
    (batch,) = ada.send()
    assert batch.number == 1
    assert [message.id for message in batch.messages] == [BATCH_MESSAGES]
    acked(ada, 9)
    ada.session.promises.clear()
    assert ada.send() == []
    assert ada.session.rest()


def test_they_can_be_taken_back_wherever_they_wait():
    ada, _ = stalled_pair()
    ada.put(event(b"a"))
    acked(ada, 1)
    ada.send()
    acked(ada, 2)
    assert ada.session.stalled
    assert ada.session.unsent_questions == {1, 2}
    assert ada.session.withdraw_questions() == [1, 2]
    assert list(ada.session.stalled) == [event(b"a")]
    assert ada.session.backlog == 1


# --- frames in pieces --------------------------------------------------------------------------


@pytest.fixture
def near():
    """A session whose link takes frames in pieces."""
    half = Half()
    half.session.splits = True
    return half


def test_large_bodies_go_with_others_and_are_not_copied(near):
    small, large = event(b"small"), event(bytes(SPLIT_BYTES + 1))
    near.put(small, large, large, small)
    assert [len(batch.messages) for batch in near.send()] == [4]
    (pieces,) = near.under_way
    assert type(pieces) is Split
    assert [body is large.body for body in pieces.bodies] == [True, True]


def test_no_more_of_them_than_a_frame_may_have(near):
    near.put(
        *(event(bytes(NEAR_BATCH_BYTES - 1)) for _ in range(3)), event(bytes(NEAR_WHOLE_BYTES))
    )
    assert [len(batch.messages) for batch in near.send()] == [2, 1, 1]
    assert all(len(frame) <= FRAME_BYTES for frame in near.under_way)


def test_pieces_count_as_the_frame_that_they_are(near):
    near.put(event(bytes(2 * SPLIT_BYTES)), question(1, bytes(3 * SPLIT_BYTES)))
    near.send()
    assert near.session.held_bytes == len(bytes(near.under_way[0]))


def test_a_message_in_parts_goes_in_fewer_and_arrives_as_it_was(near):
    bob, large = Half(), event(bytes_of(NEAR_WHOLE_BYTES + 8))
    near.put(large)
    assert len(near.send()) == 5
    for frame in near.under_way:
        bob.receive(frame)
    assert bob.heard == [large]


def test_on_a_link_that_does_not_take_pieces_the_whole_is_sent_again(near):
    near.put(event(bytes(SPLIT_BYTES + 1)))
    near.send()
    assert near.session.unacked_frames() == [near.under_way[0]]
    near.session.splits = False
    assert near.session.unacked_frames() == [bytes(near.under_way[0])]


def test_what_went_in_pieces_can_be_given_up(near):
    messages = [event(bytes(SPLIT_BYTES + 1)), event(bytes(NEAR_WHOLE_BYTES + 1)), event(b"small")]
    near.put(*messages)
    near.send()
    assert near.session.discard() == messages
