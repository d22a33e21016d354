"""A request ends once: with its answer, its member's loss, its deadline, or not at all when nobody
waits any more.
"""

import pytest

from meshcluster.config import Limits
from meshcluster.errors import (
    DecodeError,
    HookRejected,
    NoResponder,
    NoRoute,
    NotJoined,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)
from meshcluster.node import effects as fx
from meshcluster.node.membership import Peer
from meshcluster.node.requests import Requests, Waiter, failure
from meshcluster.node.schedule import Schedule
from meshcluster.node.snapshots import Snapshots
from meshcluster.testing import Bench, carry, connect, introduce
from meshcluster.wire import body
from meshcluster.wire.frames import (
    ANSWERED,
    NO_RESPONDER,
    OVERLOADED,
    RAISED,
    Answer,
    Details,
    Note,
    Request,
)
from meshcluster.wire.message import ANSWER, Message


def member(name):
    peer = Peer(name.encode().ljust(16, b"."), 1, ("10.0.0.1", 4000), 0.0)
    peer.describe(Details(1, name, "h", (), (), {}, 4000, 1.0), b"digest..")
    peer.service = Snapshots().service(peer, lan=False)
    return peer


def message(peer, value):
    return Message(peer.service, 0, *body.encode(value), "tcp", ANSWER)


class Asker:
    """A node's requests, its timers, and how each ended."""

    def __init__(self):
        self.schedule, self.effects = Schedule(), []
        self.requests = Requests(self.schedule, self.effects)
        self.count = 0

    def ask(self, peer, timeout=5.0, start=True):
        self.count += 1
        session = peer.session("", Limits())
        waiter = Waiter(self.count, peer.service, session, timeout, lambda value, error: None)
        self.requests.open(waiter)
        if start:
            self.requests.start(0.0)
        return waiter

    def advance(self, now):
        for kind, whose in self.schedule.pop_due(now):
            assert kind == "request"
            self.requests.timed_out(whose, now)

    def ends(self):
        """The number, value and error of each that ended since the last look."""
        done = [(e.waiter.id, e.value, e.error) for e in self.effects]
        self.effects.clear()
        return done


@pytest.fixture
def asker():
    return Asker()


@pytest.fixture
def ada():
    return member("ada")


def test_an_answer_ends_the_request_with_its_value(asker, ada):
    waiter = asker.ask(ada)
    asker.requests.answered(waiter, ANSWERED, message(ada, {"a": (1, 2)}))
    assert asker.ends() == [(1, {"a": (1, 2)}, None)]
    asker.advance(100.0)
    assert asker.ends() == []


def test_answers_may_come_in_any_order(asker, ada):
    first, second = asker.ask(ada), asker.ask(ada)
    asker.requests.answered(second, ANSWERED, message(ada, "second"))
    asker.requests.answered(first, ANSWERED, message(ada, "first"))
    assert asker.ends() == [(2, "second", None), (1, "first", None)]


@pytest.mark.parametrize(
    ("outcome", "value", "error", "text"),
    [
        (RAISED, ["KeyError", "'x'"], RemoteError, "KeyError"),
        (NO_RESPONDER, None, NoResponder, "ada"),
        (OVERLOADED, None, RemoteError, "Overloaded"),
        (77, ["Later", "of a later version"], RemoteError, "Later"),
        (RAISED, 5, DecodeError, ""),
        (RAISED, ["one text"], DecodeError, ""),
    ],
)
def test_an_answer_that_is_none_says_why(asker, ada, outcome, value, error, text):
    asker.requests.answered(asker.ask(ada), outcome, message(ada, value))
    ((_, none, raised),) = asker.ends()
    assert none is None
    assert type(raised) is error
    assert text in str(raised)


def test_failure_names_the_member(ada):
    error = failure(ada.service, RAISED, message(ada, ["KeyError", "no such key"]))
    assert (error.service, error.kind) == (ada.service, "KeyError")


def test_an_answer_that_cannot_be_read_is_an_error_of_its_own(asker, ada):
    broken = Message(ada.service, 0, body.EXTENDED, b"\xc1", "tcp", ANSWER)
    asker.requests.answered(asker.ask(ada), ANSWERED, broken)
    ((_, _, error),) = asker.ends()
    assert type(error) is DecodeError


def test_an_answer_counts_only_from_the_member_that_was_asked(asker, ada):
    waiter, bob = asker.ask(ada), member("bob")
    assert asker.requests.expecting(waiter.id, bob.session("", Limits())) is None
    assert asker.requests.expecting(waiter.id, ada.session("tcp", Limits())) is waiter
    assert asker.requests.expecting(99, ada.session("", Limits())) is None


def test_a_second_answer_finds_nobody(asker, ada):
    waiter = asker.ask(ada)
    asker.requests.answered(waiter, ANSWERED, message(ada, 1))
    assert asker.requests.expecting(waiter.id, waiter.session) is None
    asker.requests.answered(waiter, ANSWERED, message(ada, 2))
    assert len(asker.ends()) == 1


def test_a_deadline_counts_from_the_start(asker, ada):
    asker.ask(ada, timeout=2.0)
    asker.advance(1.99)
    assert asker.ends() == []
    asker.advance(2.0)
    ((_, _, error),) = asker.ends()
    assert type(error) is QueryTimeout
    assert str(error) == "ada did not answer within 2 s"
    assert error.missing == (ada.service,)


def test_a_lost_member_ends_its_requests_and_no_others(asker, ada):
    bob = member("bob")
    asker.ask(ada), asker.ask(bob), asker.ask(ada)
    asker.requests.member_gone(ada.service, "left")
    ends = asker.ends()
    assert [number for number, _, _ in ends] == [1, 3]
    assert all(type(error) is ServiceLost and "left" in str(error) for _, _, error in ends)


def test_a_lost_member_never_had_what_was_not_sent(asker, ada):
    asker.ask(ada), asker.ask(ada)
    asker.requests.member_gone(ada.service, "left", {2})
    assert [(number, error.unhandled) for number, _, error in asker.ends()] == [
        (1, False), (2, True)
    ]  # fmt: skip


def test_who_was_gone_before_the_start_is_lost_at_the_start(asker, ada):
    asker.ask(ada, start=False)
    ada.service = None
    asker.requests.start(0.0)
    ((_, _, error),) = asker.ends()
    assert type(error) is ServiceLost
    assert error.unhandled


def test_one_timer_serves_all_and_each_has_its_own_deadline(asker, ada):
    for timeout in (3.0, 1.0, 2.0):
        asker.ask(ada, timeout=timeout)
    for now, number in ((1.0, 2), (2.0, 3), (3.0, 1)):
        asker.advance(now)
        assert [(each, type(error)) for each, _, error in asker.ends()] == [(number, QueryTimeout)]
    assert asker.schedule.next() is None


@pytest.mark.parametrize("form", [body.BYTES, body.TEXT])
def test_an_answer_taken_as_it_came_is_the_same(asker, ada, form):
    waiter = asker.ask(ada)
    for _ in range(2):
        asker.requests.took(waiter, Answer(1, ANSWERED, 0, form, b"abc"))
    assert asker.ends() == [(1, body.decode(form, b"abc"), None)]


def test_an_answer_taken_as_it_came_may_be_unreadable_or_come_to_nobody(asker, ada):
    asker.requests.took(asker.ask(ada), Answer(1, ANSWERED, 0, body.TEXT, b"\xff"))
    ((_, value, error),) = asker.ends()
    assert (value, type(error)) == (None, DecodeError)
    waiter = asker.ask(ada)
    waiter.cancel()
    asker.requests.took(waiter, Answer(2, ANSWERED, 0, body.BYTES, b"late"))
    assert asker.ends() == []


def test_a_request_that_could_not_be_sent_ends_so(asker, ada):
    waiter = asker.ask(ada)
    asker.requests.unreachable(waiter.id, waiter.session, NoRoute("no way"))
    asker.requests.unreachable(99, waiter.session, NoRoute("a question of a query"))
    ((_, _, error),) = asker.ends()
    assert type(error) is NoRoute


def test_one_that_was_cancelled_ends_silently_even_before_its_start(asker, ada):
    asker.ask(ada).cancel()
    early = asker.ask(ada, start=False)
    for _ in range(2):
        early.cancel()
    assert repr(early) == "<Waiter for ada, over>"
    asker.requests.start(0.0)
    asker.advance(100.0)
    assert asker.ends() == []
    assert asker.schedule.next() is None


def test_closing_ends_all_with_the_same_error(asker, ada):
    asker.ask(ada), asker.ask(ada, start=False)
    asker.requests.close(NotJoined("left"))
    assert [type(error) for _, _, error in asker.ends()] == [NotJoined, NotJoined]
    asker.requests.start(0.0)
    asker.advance(100.0)
    assert asker.ends() == []


# --- in a node ---------------------------------------------------------------------------------


class Two:
    """Two benches with an open link; ``one`` asks and tells mailboxes of ``other``."""

    def __init__(self):
        self.one, self.other = Bench(1), Bench(2)
        introduce(self.one, self.other)
        self.near, self.far = connect(self.one, self.other)
        for bench in (self.one, self.other):
            bench.node.take_effects()

    def session(self, bench):
        (peer,) = list(bench.node.peers)
        return peer.session("", bench.node.config.limits)

    def carry(self):
        carry(self.one, self.near, self.other, self.far)

    def request(self, number=1, value="?"):
        session = self.session(self.one)
        waiter = Waiter(number, session.peer.service, session, 5.0, lambda value, error: None)
        self.one.node.requests.open(waiter)
        self.one.node.requests.start(0.0)
        session.put(Request(number, "box", 0, *body.encode(value)))
        self.carry()
        return waiter

    def answer(self, number=1, value="!"):
        self.session(self.other).put(Answer(number, ANSWERED, 0, *body.encode(value)))
        self.carry()

    def done(self):
        return [(e.waiter.id, e.value, type(e.error)) for e in self.one.take(fx.RequestDone)]


@pytest.fixture
def two():
    return Two()


def test_notes_and_requests_arrive_in_the_order_in_which_they_were_sent(two):
    session = two.session(two.one)
    for number in range(3):
        session.put(Note("box", 0, *body.encode(number)))
        session.put(Request(number, "box", 0, *body.encode(number)))
    two.carry()
    arrived = two.other.take(fx.NoteArrived, fx.RequestArrived)
    assert [type(e).__name__ for e in arrived] == ["NoteArrived", "RequestArrived"] * 3
    values = [e.note if isinstance(e, fx.NoteArrived) else e.question for e in arrived]
    assert [body.decode(v.form, v.body) for v in values] == [0, 0, 1, 1, 2, 2]
    assert all(e.service.name == "n1" and e.protocol == "tcp" for e in arrived)


def test_a_request_and_its_answer(two):
    two.request()
    (arrived,) = two.other.take(fx.RequestArrived)
    assert (arrived.question.id, arrived.question.mailbox) == (1, "box")
    two.answer()
    assert two.done() == [(1, "!", type(None))]


def test_a_late_answer_is_counted(two):
    waiter = two.request()
    waiter.cancel()
    two.answer()
    assert two.done() == []
    assert two.one.dropped["answers late, twice or not asked for"] == 1


def test_an_answer_arrives_over_a_link_that_replaced_a_broken_one(two):
    two.request()
    for bench, link in ((two.one, two.near), (two.other, two.far)):
        bench.node.link_lost(link, "reset", 0.0)
    two.near, two.far = connect_again(two)
    two.answer()
    assert two.done() == [(1, "!", type(None))]


def connect_again(two):
    dialler, answerer = two.one, two.other
    (dial,) = dialler.take(fx.DialEndpoint)
    far = answerer.node.link_opened("tcp", dialler.address[0], 0.0, local=False)
    near = dialler.node.link_opened(
        "tcp", answerer.address[0], 0.0, local=False, number=dial.number
    )
    carry(dialler, near, answerer, far)
    return near, far


def test_a_member_that_dies_ends_what_it_was_asked(two):
    two.request()
    two.one.node._admission.lose(two.session(two.one).peer, "its process is gone", 1.0)
    assert two.done() == [(1, None, ServiceLost)]


def test_of_what_was_written_and_not_acknowledged_nobody_knows_whether_it_came(two):
    session = two.session(two.one)
    for number in (1, 2):
        two.one.node.requests.open(
            Waiter(number, session.peer.service, session, 5.0, lambda value, error: None)
        )
        session.put(Request(number, "box", 0, *body.encode("?")))
        if number == 1:
            assert two.one.node.take_frames(two.near)
    two.one.node.requests.start(0.0)
    two.one.node._admission.lose(session.peer, "its process is gone", 1.0)
    errors = {e.waiter.id: e.error.unhandled for e in two.one.take(fx.RequestDone)}
    assert errors == {1: False, 2: True}


def test_who_leaves_tells_over_its_link_what_it_took_and_had_nothing_else(two):
    two.request(1)
    session = two.session(two.one)
    two.one.node.requests.open(
        Waiter(2, session.peer.service, session, 5.0, lambda value, error: None)
    )
    session.put(Request(2, "box", 0, *body.encode("too late")))
    assert two.one.node.take_frames(two.near)
    two.other.node.leave(1.0)
    two.one.node.frames_received(two.near, two.other.node.take_frames(two.far), 1.0)
    errors = {e.waiter.id: e.error for e in two.one.take(fx.RequestDone)}
    assert {number: error.unhandled for number, error in errors.items()} == {1: False, 2: True}
    assert {error.reason for error in errors.values()} == {"left"}


def test_a_member_that_had_lost_us_will_not_answer_what_it_was_asked_before(two):
    """It gave up its half of the session, and with it what it owed us."""
    two.request(1)
    two.other.node._admission.lose(two.session(two.other).peer, "does not answer", 1.0)
    two.one.node.link_lost(two.near, "closed", 1.0)
    session = two.session(two.one)
    two.one.node.requests.open(
        Waiter(2, session.peer.service, session, 5.0, lambda value, error: None)
    )
    session.put(Request(2, "box", 0, *body.encode("not sent yet")))
    two.near, two.far = connect_again(two)
    assert two.done() == [(1, None, ServiceLost)]
    two.answer(2)
    assert two.done() == [(2, "!", type(None))]


def test_leaving_ends_what_is_open(two):
    two.request()
    two.one.node.leave(1.0)
    assert two.done() == [(1, None, NotJoined)]


def test_the_deadline_of_a_request_is_a_timer_of_the_node(two):
    two.request()
    two.one.node.advance(5.0)
    assert two.done() == [(1, None, QueryTimeout)]


def test_receive_hooks_see_what_goes_to_mailboxes(two):
    seen = []
    two.other.hooks.add("receive", lambda m: seen.append((m.kind, m.mailbox, m.data)))
    two.session(two.one).put(Note("box", 0, *body.encode("note")))
    two.request()
    assert seen == [("note", "box", "note"), ("request", "box", "?")]


def test_a_note_that_a_receive_hook_stops_is_dropped_and_counted_once(two):
    two.other.hooks.add("receive", reject)
    two.session(two.one).put(Note("box", 0, *body.encode("note")))
    two.carry()
    assert two.other.take(fx.NoteArrived) == []
    assert two.other.dropped == {"receive: HookRejected": 1}


def test_a_request_that_a_receive_hook_stops_fails_at_once_where_it_came_from(two):
    two.other.hooks.add("receive", reject)
    two.request()
    assert two.done() == [(1, None, RemoteError)]
    assert two.other.take(fx.RequestArrived) == []
    assert two.other.dropped == {"receive: HookRejected": 1}


def test_an_answer_that_our_own_receive_hook_stops_is_that_error(two):
    two.request()
    two.one.hooks.add("receive", reject)
    two.answer()
    assert two.done() == [(1, None, HookRejected)]
    assert two.one.dropped == {"receive: HookRejected": 1}


def test_receive_hooks_may_edit_what_goes_to_mailboxes_and_back(two):
    for bench in (two.one, two.other):
        bench.hooks.add("receive", lambda m: m.replace(data=m.data + "+"))
    two.session(two.one).put(Note("box", 0, *body.encode("note")))
    two.request()
    (note,) = [e for e in two.other.node.effects if isinstance(e, fx.NoteArrived)]
    (request,) = two.other.take(fx.RequestArrived)
    assert note.note.mailbox == request.question.mailbox == "box"
    assert body.decode(note.note.form, note.note.body) == "note+"
    assert body.decode(request.question.form, request.question.body) == "?+"
    two.answer()
    assert two.done() == [(1, "!+", type(None))]


def reject(message):
    raise HookRejected("not that")
