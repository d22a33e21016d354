"""A query ends when all expected have answered, left or died; at its deadline; or cancelled."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.config import Limits
from meshcluster.errors import (
    DecodeError,
    MessageTooLarge,
    NoResponder,
    NoRoute,
    NoServices,
    NotJoined,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)
from meshcluster.node.membership import Peer
from meshcluster.node.queries import DONE, ERROR, RESPONSE, START, TIMEOUT, Gathering, Queries
from meshcluster.node.schedule import Schedule
from meshcluster.node.snapshots import Snapshots
from meshcluster.wire import body
from meshcluster.wire.frames import (
    ANSWERED,
    NO_RESPONDER,
    OVERLOADED,
    RAISED,
    Details,
    Question,
)
from meshcluster.wire.message import ANSWER, Message


def member(name):
    peer = Peer(name.encode().ljust(16, b"."), 1, ("10.0.0.1", 4000), 0.0)
    peer.describe(Details(1, name, "h", (), (), {}, 4000, 1.0), b"digest..")
    peer.service = Snapshots().service(peer, lan=False)
    return peer


class Asker:
    """A node's queries, its timers, and what it was told of them."""

    def __init__(self):
        self.schedule, self.effects, self.woken = Schedule(), [], []
        self.queries = Queries(self.schedule, self.effects, lambda s, now: self.woken.append(s))
        self.timers = {"query": self.queries.timed_out, "settle": self.queries.settle}
        self.count = 0

    def asking(self, *peers):
        """What a query with the next number asks each of them."""
        asked = Question(self.count + 1, 0, *body.encode("how?"))
        return [
            (peer.session("", Limits()), Snapshots().service(peer, lan=False), asked)
            for peer in peers
        ]

    def ask(self, *peers, timeout=5.0, now=0.0, **how):
        return self.start(self.asking(*peers), timeout, now, **how)

    def ask_whoever_is_there(self, resolve, *, now=0.0, settled_at, timeout=5.0):
        return self.start(None, timeout, now, resolve=resolve, settled_at=settled_at)

    def start(self, asked, timeout, now, *, resolve=lambda: [], settled_at=0.0):
        self.count += 1
        gathering = Gathering(self.count, timeout)
        self.queries.start(gathering, now, asked, resolve, settled_at)
        return gathering

    def advance(self, now):
        for kind, whose in self.schedule.pop_due(now):
            self.timers[kind](whose, now)

    def answer(self, gathering, peer, data=None, outcome=ANSWERED):
        """What a node does with an answer; False when nobody waits for it."""
        if self.queries.expecting(gathering.id, peer.key) is None:
            return False
        message = Message(peer.service, 0, *body.encode(data), "tcp", ANSWER)
        self.queries.answered(gathering, peer.key, outcome, message)
        return True

    def told(self):
        """What happened since, as (name, service's name)."""
        told = [(each.name, each.service and each.service.name) for each in self.effects]
        self.effects.clear()
        return told


@pytest.fixture
def asker():
    return Asker()


@pytest.fixture
def ada():
    return member("ada")


@pytest.fixture
def bob():
    return member("bob")


# --- asking ---


def test_everybody_meant_is_asked(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    assert [service.name for service in gathering.remaining] == ["ada", "bob"]
    assert asker.woken == [ada.sessions[""], bob.sessions[""]]
    assert [message.id for message in ada.sessions[""].waiting] == [gathering.id]
    assert asker.told() == [(START, None)]


def test_who_is_gone_by_now_has_failed_at_once(asker, ada, bob):
    asked = asker.asking(ada, bob)
    bob.service = None
    gathering = asker.start(asked, 5.0, 0.0)
    assert isinstance(gathering.errors[asked[1][1]], ServiceLost)
    assert gathering.remaining == (ada.service,)
    assert bob.sessions[""].backlog == 0
    assert asker.told() == [(START, None), (ERROR, "bob")]


# --- answers ---


def test_a_query_ends_with_the_last_answer_not_at_its_deadline(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    asker.answer(gathering, bob, 2)
    assert not gathering.over
    asker.answer(gathering, ada, 1)
    assert gathering.over
    assert gathering.failure is None
    assert gathering.results == {ada.service: 1, bob.service: 2}
    assert asker.told() == [(START, None), (RESPONSE, "bob"), (RESPONSE, "ada"), (DONE, None)]
    asker.advance(5.0)
    assert asker.told() == []
    assert asker.schedule.next() is None


def test_answers_are_kept_in_the_order_in_which_they_came(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    asker.answer(gathering, bob, 2)
    asker.answer(gathering, ada, 1)
    assert list(gathering.results.items()) == [(bob.service, 2), (ada.service, 1)]
    assert gathering.results_after(1) == ((ada.service, 1),)
    assert gathering.results_after(2) == ()


def test_an_answer_counts_once(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    assert asker.answer(gathering, ada, 1)
    assert not asker.answer(gathering, ada, 2)
    assert gathering.results == {ada.service: 1}


def test_an_answer_of_somebody_not_asked_is_not_expected(asker, ada, bob):
    assert not asker.answer(asker.ask(ada), bob, 1)


def test_an_answer_to_another_query_is_not_this_ones(asker, ada):
    first, second = asker.ask(ada), asker.ask(ada)
    asker.answer(second, ada, 2)
    assert (first.over, second.over) == (False, True)


@pytest.mark.parametrize(
    ("outcome", "data", "error", "text"),
    [
        (RAISED, ["KeyError", "'x'"], RemoteError, "ada raised KeyError: 'x'"),
        (NO_RESPONDER, None, NoResponder, "ada has no query hook"),
        (OVERLOADED, None, RemoteError, "too many questions"),
        (RAISED, "neither type nor text", DecodeError, ""),
    ],
)
def test_a_failure_is_told_per_service_and_ends_the_waiting_for_it(
    asker, ada, outcome, data, error, text
):
    gathering = asker.ask(ada)
    asker.answer(gathering, ada, data, outcome)
    failure = gathering.errors[ada.service]
    assert isinstance(failure, error)
    assert text in str(failure)
    assert (gathering.over, gathering.failure, gathering.results) == (True, None, {})
    assert asker.told() == [(START, None), (ERROR, "ada"), (DONE, None)]


def test_an_answer_that_cannot_be_read_is_a_failure_of_that_service(asker, ada):
    gathering = asker.ask(ada)
    broken = Message(ada.service, 0, body.TEXT, b"\xff", "tcp", ANSWER)
    asker.queries.answered(gathering, ada.key, ANSWERED, broken)
    assert isinstance(gathering.errors[ada.service], DecodeError)
    assert gathering.over


# --- members that go ---


def test_a_query_does_not_wait_for_who_left_or_died(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    other = asker.ask(ada)
    asker.queries.member_gone(bob.service, "left")
    assert str(gathering.errors[bob.service]) == "bob left"
    asker.answer(gathering, ada, 1)
    assert gathering.over
    assert not other.over


def test_a_lost_member_never_had_what_was_not_sent(asker, ada):
    sent, unsent = asker.ask(ada), asker.ask(ada)
    asker.queries.member_gone(ada.service, "left", {unsent.id})
    unhandled = [each.errors[ada.service].unhandled for each in (sent, unsent)]
    assert unhandled == [False, True]


def test_what_was_answered_before_leaving_stays(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    asker.answer(gathering, bob, 2)
    asker.queries.member_gone(bob.service, "left")
    assert gathering.results == {bob.service: 2}
    assert gathering.errors == {}


def test_every_query_hears_of_it(asker, ada):
    gatherings = [asker.ask(ada), asker.ask(ada)]
    asker.queries.member_gone(ada.service, "does not answer")
    assert all(gathering.over for gathering in gatherings)


# --- the deadline ---


def test_at_its_deadline_a_query_names_who_is_missing_and_keeps_what_arrived(asker, ada, bob):
    cat = member("cat")
    gathering = asker.ask(ada, cat, bob, timeout=5.0, now=10.0)
    asker.answer(gathering, ada, 1)
    asker.advance(14.9)
    assert not gathering.over
    asker.advance(15.0)
    failure = gathering.failure
    assert isinstance(failure, QueryTimeout)
    assert str(failure) == "2 of 3 did not answer within 5 s: bob, cat"
    assert failure.results == {ada.service: 1}
    assert set(failure.missing) == {bob.service, cat.service}
    assert asker.told()[-2:] == [(TIMEOUT, None), (DONE, None)]


def test_after_its_deadline_no_answer_is_expected(asker, ada):
    gathering = asker.ask(ada)
    asker.advance(5.0)
    assert not asker.answer(gathering, ada, 1)
    assert gathering.results == {}


def test_each_of_several_ends_at_its_own_deadline(asker, ada):
    later, sooner, between = (asker.ask(ada, timeout=seconds) for seconds in (3.0, 1.0, 2.0))
    over = []
    for now in (1.0, 2.0, 3.0):
        asker.advance(now)
        over.append([each.over for each in (sooner, between, later)])
    assert over == [[True, False, False], [True, True, False], [True, True, True]]


# --- started from any thread ---


def opened(asker, *peers, timeout=5.0):
    """A query that nobody watches, as a facade opens it."""
    asker.count += 1
    gathering = Gathering(asker.count, timeout, watched=False)
    receivers = [(peer.service, peer.session("", Limits())) for peer in peers]
    asker.queries.open(gathering, receivers, {peer.key: peer.service for peer in peers})
    return gathering


def test_one_that_nobody_watches_tells_its_end_and_nothing_else(asker, ada, bob):
    gathering = opened(asker, ada, bob)
    asker.queries.begin(0.0)
    asker.answer(gathering, ada, 1)
    assert asker.told() == []
    asker.answer(gathering, bob, 2)
    assert gathering.results == {ada.service: 1, bob.service: 2}
    assert asker.told() == [(DONE, None)]


def test_an_answer_of_bytes_is_taken_as_any_other(asker, ada, bob):
    watched, unwatched = asker.ask(ada, bob), opened(asker, ada, bob)
    asker.queries.begin(0.0)
    for gathering in (watched, unwatched):
        gathering.room_bytes = 10
        asker.queries.took(gathering, ada.key, b"four")
        assert (gathering.results, gathering.room_bytes) == ({ada.service: b"four"}, 6)
        asker.queries.took(gathering, bob.key, b"")
        assert gathering.over
    assert asker.told() == [
        (START, None), (RESPONSE, "ada"), (RESPONSE, "bob"), (DONE, None), (DONE, None)
    ]  # fmt: skip


def test_who_begins_to_watch_is_told_from_there_on(asker, ada, bob):
    gathering = opened(asker, ada, bob)
    asker.queries.begin(0.0)
    asker.answer(gathering, ada, 1)
    gathering.watched = True
    asker.answer(gathering, bob, 2)
    assert asker.told() == [(RESPONSE, "bob"), (DONE, None)]


def test_its_time_runs_from_when_the_node_begins_it(asker, ada):
    gathering = opened(asker, ada, timeout=2.0)
    asker.queries.begin(10.0)
    asker.advance(11.9)
    assert not gathering.over
    asker.advance(12.0)
    assert isinstance(gathering.failure, QueryTimeout)


def test_who_went_before_it_began_has_failed(asker, ada, bob):
    gathering = opened(asker, ada, bob)
    service, bob.service = bob.service, None
    asker.queries.begin(0.0)
    assert isinstance(gathering.errors[service], ServiceLost)
    assert gathering.remaining == (ada.service,)


def test_one_that_ended_before_it_began_is_not_begun(asker, ada):
    gathering = opened(asker, ada)
    asker.queries.member_gone(ada.service, "left")
    ada.service = None
    asker.queries.begin(0.0)
    assert (gathering.over, len(gathering.errors)) == (True, 1)


# --- cancelling and closing ---


def test_a_cancelled_query_ends_without_failure_and_once(asker, ada):
    gathering = asker.ask(ada)
    asker.queries.cancel(gathering)
    asker.queries.cancel(gathering)
    assert (gathering.over, gathering.failure) == (True, None)
    assert asker.told() == [(START, None), (DONE, None)]
    assert not asker.answer(gathering, ada, 1)
    asker.advance(5.0)
    assert asker.told() == []
    assert asker.schedule.next() is None


def test_leaving_ends_all_queries_with_the_reason(asker, ada):
    gatherings = [asker.ask(ada), asker.ask(ada)]
    reason = NotJoined("left")
    asker.queries.close(reason)
    assert all(each.over and each.failure is reason for each in gatherings)


# --- just joined ---


def test_a_query_right_after_join_waits_for_the_mesh_to_settle(asker, ada):
    found = []
    gathering = asker.ask_whoever_is_there(lambda: asker.asking(*found), settled_at=0.3)
    found.append(ada)
    asker.advance(0.29)
    assert asker.told() == []
    asker.advance(0.3)
    assert gathering.remaining == (ada.service,)
    assert asker.told() == [(START, None)]


def nobody():
    raise NoServices("nobody matches")


@pytest.mark.parametrize("settled_at", [0.3, 0.0], ids=["settling", "settled"])
def test_nobody_there_once_settled_ends_the_query(asker, settled_at):
    gathering = asker.ask_whoever_is_there(nobody, settled_at=settled_at)
    asker.advance(settled_at)
    assert gathering.over
    assert isinstance(gathering.failure, NoServices)
    assert asker.told() == [(ERROR, None), (DONE, None)]


def test_a_query_cancelled_while_settling_asks_nobody(asker, ada):
    gathering = asker.ask_whoever_is_there(lambda: asker.asking(ada), settled_at=0.3)
    asker.queries.cancel(gathering)
    asker.advance(0.3)
    assert ada.sessions == {}
    assert asker.told() == [(DONE, None)]


# --- whatever happens ---

NAMES = ["ada", "bob", "cat", "stranger"]
EITHER, ANYBODY = some.integers(0, 1), some.sampled_from(NAMES)
happenings = some.one_of(
    some.tuples(
        some.just("answer"), EITHER, ANYBODY,
        some.sampled_from([ANSWERED, ANSWERED, RAISED, NO_RESPONDER, OVERLOADED, 77]),
        some.sampled_from([1, None, ["KeyError", "x"]]),
    ),
    some.tuples(some.just("garbage"), EITHER, ANYBODY),
    some.tuples(some.just("unreachable"), EITHER, ANYBODY),
    some.tuples(some.just("gone"), ANYBODY, some.sampled_from(["left", "does not answer"])),
    some.tuples(some.just("time passes"), some.sampled_from([0.1, 1.0, 3.0])),
    some.tuples(some.just("cancel"), EITHER),
    some.tuples(some.just("leave")),
)  # fmt: skip


class Story:
    """Two queries of the same members, what happens to them, and what must stay true."""

    def __init__(self, settled_at):
        self.asker, self.now = Asker(), 0.0
        self.peers = {name: member(name) for name in NAMES}
        ada, bob, cat = (self.peers[name] for name in NAMES[:3])
        first = self.asker.ask(ada, bob, cat, timeout=4.0)
        second = self.asker.ask_whoever_is_there(
            lambda: self.asker.asking(bob, ada), settled_at=settled_at, timeout=3.0
        )
        self.gatherings = [first, second]
        self.told = {each.id: [] for each in self.gatherings}
        self.ends, self.asked = {}, {}
        self.look()

    def happen(self, name, *how):
        getattr(self, name.replace(" ", "_"))(*how)
        self.look()

    def answer(self, number, who, outcome, data):
        self.asker.answer(self.gatherings[number], self.peers[who], data, outcome)

    def garbage(self, number, who):
        gathering, peer = self.gatherings[number], self.peers[who]
        if self.asker.queries.expecting(gathering.id, peer.key):
            message = Message(peer.service, 0, body.EXTENDED, b"\xc1", "tcp", ANSWER)
            self.asker.queries.answered(gathering, peer.key, ANSWERED, message)

    def unreachable(self, number, who):
        gathering, peer = self.gatherings[number], self.peers[who]
        if self.asker.queries.expecting(gathering.id, peer.key):
            self.asker.queries.failed(gathering, peer.key, NoRoute("no way there"))

    def gone(self, who, reason):
        peer = self.peers[who]
        if peer.service is not None:
            service, peer.service = peer.service, None
            self.asker.queries.member_gone(service, reason)
            peer.service = Snapshots().service(peer, lan=False)  # and is back at once

    def time_passes(self, seconds):
        self.now += seconds
        self.asker.advance(self.now)

    def cancel(self, number):
        self.asker.queries.cancel(self.gatherings[number])

    def leave(self):
        self.asker.queries.close(NotJoined("left"))

    def look(self):
        for effect in self.asker.effects:
            self.told[effect.gathering.id].append(effect.name)
        self.asker.effects.clear()
        for gathering in self.gatherings:
            self.look_at(gathering, self.told[gathering.id])

    def look_at(self, gathering, told):
        groups = [set(gathering.results), set(gathering.errors), set(gathering.remaining)]
        everybody = set().union(*groups)
        assert sum(map(len, groups)) == len(everybody) == gathering.asked
        if gathering.asked:
            assert self.asked.setdefault(gathering.id, everybody) == everybody
        assert told.count(RESPONSE) == len(gathering.results)
        assert told.count(ERROR) == len(gathering.errors)
        assert gathering.over == (DONE in told)
        if gathering.over:
            assert told.index(DONE) == len(told) - 1
            end = (*map(len, groups), gathering.failure)
            assert self.ends.setdefault(gathering.id, end) == end
            if isinstance(gathering.failure, QueryTimeout):
                assert gathering.failure.missing == gathering.remaining
        elif START in told:
            assert gathering.waiting


@pytest.mark.timeout(300)  # only a failure takes long: it is made short before it is told
@settings(max_examples=400)
@given(some.sampled_from([0.0, 1.5]), some.lists(happenings, min_size=6, max_size=30))
def test_whatever_happens_everybody_asked_is_in_one_place_and_a_query_ends_once(settled_at, story):
    told = Story(settled_at)
    for happening in story:
        told.happen(*happening)
    told.happen("time passes", 100.0)
    assert all(gathering.over for gathering in told.gatherings)
    assert told.asker.schedule.next() is None


# --- the gathering itself ---


def test_remaining_is_a_copy(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    before = gathering.remaining
    asker.answer(gathering, ada, 1)
    assert len(before) == 2
    assert gathering.remaining == (bob.service,)


def test_answers_beyond_what_all_may_have_together_are_errors_of_their_members(asker, ada, bob):
    gathering = asker.ask(ada, bob)
    gathering.room_bytes = 100
    asker.answer(gathering, ada, b"x" * 90)
    asker.answer(gathering, bob, b"x" * 90)
    assert list(gathering.results.values()) == [b"x" * 90]
    (error,) = gathering.errors.values()
    assert isinstance(error, MessageTooLarge)
    assert "bob" in str(error)
    assert gathering.over
