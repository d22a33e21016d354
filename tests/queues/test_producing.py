"""The items that a member holds: each is done once, given up once, or still here."""

import threading
from collections import Counter

import pytest
from hypothesis import settings as profile
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meshcluster.errors import DeadLetter, NoRoute, Undelivered
from meshcluster.queues.letters import ALL, END, ITEMS, KEY, MODES, ONE
from meshcluster.queues.producing import REFUSED, Producing

from .ends import Clock, Post, member, settings_of

ONE_, OTHER, THIRD = map(member, (1, 2, 3))


QUIET = [lambda: None] * 2
"""Nobody is to hear of changes, nor of offers."""


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def made(clock, post):
    def made(**given):
        return Producing(
            "q", settings_of(**given), post.ask, lambda pump: pump(), *[lambda: None] * 2
        )

    return made


def put(producing, *values, told=None):
    for value in values:
        tell = None if told is None else lambda *came, value=value: told.append((value, *came))
        producing.put(producing.settings.dump(value), None, tell)


def items(producing, post):
    """The items that were sent since: name, first number, deliveries, values."""
    return [
        (name, *words[2:4], [*map(producing.settings.load, words[4:])])
        for name, words in post.take()
        if words[0] == ITEMS
    ]


def test_what_is_put_before_anybody_comes_goes_to_who_comes_first(made, post):
    producing = made()
    put(producing, "a", "b")
    assert (producing.open, producing.drained, post.take()) == (2, False, [])
    producing.attach(ONE_, 5)
    assert items(producing, post) == [("s1", 1, 0, ["a", "b"])]


def test_an_item_is_held_until_it_is_done(made, post):
    producing, told = made(), []
    producing.attach(ONE_, 5)
    put(producing, "a", "b", told=told)
    assert producing.undone() == ["a", "b"]
    assert producing.acknowledged(ONE_, 5, [2], [b"what came of it"])
    assert (told, producing.undone()) == ([("b", b"what came of it", None)], ["a"])
    assert producing.acknowledged(ONE_, 5, [1])
    assert told[1:] == [("a", None, None)]
    assert producing.drained


def test_what_is_done_is_not_done_again(made, post):
    producing = made()
    producing.attach(ONE_, 5)
    put(producing, 1, 2)
    producing.acknowledged(ONE_, 5, [1, 1, 77, -1])
    assert (producing.open, producing.duplicates) == (1, 3)


def test_who_is_not_attached_is_told_so_and_its_work_was_for_nothing(made):
    producing = made()
    put(producing, 1)
    assert producing.acknowledged(ONE_, 5, [1, 2]) is False
    assert producing.held_on(ONE_) is False
    producing.back(ONE_, [1], failed=True)
    producing.consumer_lost(ONE_)
    assert (producing.open, producing.duplicates) == (1, 2)


def test_more_credit_brings_more_items(made, post):
    producing = made()
    producing.attach(ONE_, 1)
    put(producing, *range(6))
    assert items(producing, post) == [("s1", 1, 0, [0])]
    producing.acknowledged(ONE_, 3, [1])
    assert items(producing, post) == [("s1", 2, 0, [1, 2, 3])]
    producing.acknowledged(ONE_, 1, [2])
    assert items(producing, post) == []


def test_items_of_a_lost_consumer_go_to_others_alone_and_flagged(made, post):
    producing = made()
    producing.attach(ONE_, 3)
    put(producing, 1, 2, 3)
    producing.attach(OTHER, 3)
    post.take()
    producing.consumer_lost(ONE_)
    for number, value in enumerate((1, 2, 3), 1):
        assert items(producing, post) == [("s2", number, 1, [value])]
        producing.acknowledged(OTHER, 3, [number])
    assert producing.drained


def test_items_of_who_detaches_go_to_others_in_order_as_if_they_were_new(made, post):
    producing = made()
    producing.attach(ONE_, 3)
    put(producing, 1, 2, 3)
    producing.attach(OTHER, 3)
    post.take()
    producing.detach(ONE_)
    assert items(producing, post) == [("s2", 1, 0, [1, 2, 3])]


@pytest.mark.parametrize("most", [1, 3])
def test_so_many_consumers_fail_with_an_item_and_no_more(made, post, most):
    producing, told = made(max_deliveries=most), []
    put(producing, "kills", told=told)
    for number in range(1, most + 1):
        producing.attach(member(number), 5)
        assert items(producing, post) == [(f"s{number}", number, number - 1, ["kills"])]
        producing.consumer_lost(member(number))
    producing.attach(member(99), 5)
    assert items(producing, post) == []
    ((value, result, error),) = told
    assert (value, result, type(error)) == ("kills", None, DeadLetter)
    assert (error.name, error.item, error.deliveries) == ("q", "kills", most)
    assert len(producing.dead) == 1
    assert producing.drained


def test_an_item_that_is_given_back_counts_as_failed_only_if_it_says_so(made, post):
    producing = made(max_deliveries=2)
    producing.attach(ONE_, 1)
    put(producing, "x")
    for number in range(1, 6):
        producing.back(ONE_, [number], failed=False)
    assert items(producing, post)[-1] == ("s1", 6, 0, ["x"])
    producing.back(ONE_, [6, 6, 99], failed=True)
    assert items(producing, post) == [("s1", 7, 1, ["x"])]
    producing.back(ONE_, [7], failed=True)
    assert [producing.settings.load(each.data) for each in producing.dead] == ["x"]


def test_at_most_once_counts_what_was_lost_and_gives_it_to_no_other(made, post, clock):
    producing, told = made(at_most_once=True), []
    producing.attach(ONE_, 2)
    put(producing, 1, 2, 3, told=told)
    post.take()
    producing.consumer_lost(ONE_)
    assert (producing.lost, producing.open) == (2, 1)
    assert [(value, error.items) for value, _, error in told] == [(1, (1,)), (2, (2,))]
    producing.attach(OTHER, 5)
    assert items(producing, post) == [("s2", 3, 0, [3])]
    assert not clock.waits


def test_to_all_an_item_is_done_when_all_are_done_with_it(made, post):
    producing, told = made(mode=ALL), []
    producing.attach(ONE_, 5)
    producing.attach(OTHER, 5)
    put(producing, "x", told=told)
    assert items(producing, post) == [("s1", 1, 0, ["x"]), ("s2", 1, 0, ["x"])]
    producing.acknowledged(ONE_, 5, [1])
    assert (told, producing.open, producing.undone()) == ([], 1, ["x"])
    producing.acknowledged(OTHER, 5, [1], [b"last"])
    assert (told, producing.open) == ([("x", b"last", None)], 0)


def test_to_all_who_goes_is_not_waited_for(made, post):
    producing, told = made(mode=ALL), []
    producing.attach(ONE_, 1)
    producing.attach(OTHER, 1)
    put(producing, "x", "y", told=told)
    producing.acknowledged(ONE_, 1, [1])
    producing.acknowledged(ONE_, 1, [2])
    assert told == []
    producing.consumer_lost(OTHER)
    assert told == [("x", None, None), ("y", None, None)]
    assert producing.drained


def test_to_all_each_ones_failures_are_its_own(made, post):
    producing, told = made(mode=ALL, max_deliveries=2), []
    producing.attach(ONE_, 5)
    producing.attach(OTHER, 5)
    put(producing, "x", told=told)
    post.take()
    producing.back(ONE_, [1], failed=True)
    assert items(producing, post) == [("s1", 2, 1, ["x"])]
    producing.back(OTHER, [1], failed=True)
    assert items(producing, post) == [("s2", 2, 1, ["x"])]
    producing.back(ONE_, [2], failed=True)
    assert [type(error) for _, _, error in told] == [DeadLetter]
    assert producing.open == 1
    producing.acknowledged(OTHER, 5, [2])
    assert (producing.open, len(told), len(producing.dead)) == (0, 1, 1)


def test_who_says_nothing_for_a_lease_loses_what_it_has(made, post, clock):
    producing = made(lease=4)
    producing.attach(ONE_, 1)
    put(producing, "x")
    clock.move(3.9)
    assert len(producing.outlets.all) == 1
    clock.move(2)
    assert producing.outlets.all == {}
    producing.attach(OTHER, 1)
    assert items(producing, post)[-1] == ("s2", 2, 1, ["x"])
    assert producing.acknowledged(ONE_, 1, [1]) is False
    assert (producing.duplicates, producing.open) == (1, 1)


def test_who_holds_on_keeps_what_it_has(made, clock):
    producing = made(lease=4)
    producing.attach(ONE_, 1)
    put(producing, "x")
    for _ in range(20):
        clock.move(3)
        assert producing.held_on(ONE_)
    producing.acknowledged(ONE_, 1, [1])
    clock.move(100)
    assert len(producing.outlets.all) == 1
    assert not clock.waits


def test_the_lease_begins_when_an_item_is_given_however_long_nothing_was(made, clock):
    producing = made(lease=4)
    producing.attach(ONE_, 1)
    clock.move(1000)
    put(producing, "x")
    clock.move(3)
    assert len(producing.outlets.all) == 1


def test_who_comes_again_is_not_believed_about_what_it_had_before(made, post):
    producing = made()
    producing.attach(ONE_, 2)
    put(producing, "a", "b")
    producing.detach(ONE_)
    put(producing, "c")
    producing.attach(ONE_, 2)
    assert items(producing, post)[-1] == ("s1", 3, 0, ["a", "b"])
    producing.acknowledged(ONE_, 2, [1, 2])
    assert (producing.open, producing.duplicates) == (3, 2)
    producing.attach(ONE_, 3)
    assert items(producing, post)[-1] == ("s1", 5, 1, ["a"]), "it had lost us: perhaps it is done"


def test_who_cannot_be_told_is_lost_and_who_takes_nothing_is_detached(made, post):
    producing = made()
    producing.attach(ONE_, 5)
    put(producing, "x")
    asked = post.asked[:]
    post.answer(error=NoRoute("gone"))
    assert producing.outlets.all == {}
    producing.attach(OTHER, 5)
    assert post.asked[0][1][3] == 1
    post.answer(value=False)
    assert producing.outlets.all == {}
    producing.attach(ONE_, 5)
    for _, _, took in asked:  # of one that was there before
        took(None, NoRoute("gone"))
    assert len(producing.outlets.all) == 1


def test_the_end_is_told_when_all_is_done_and_to_who_comes_later(made, post):
    producing = made()
    producing.attach(ONE_, 5)
    put(producing, "x")
    post.take()
    producing.close()
    assert (post.take(), producing.ended) == ([], False)
    producing.acknowledged(ONE_, 5, [1])
    assert (post.take(), producing.ended) == ([("s1", [END, "q", 1])], True)
    producing.attach(OTHER, 5)  # it is answered that all has ended
    assert (post.take(), len(producing.outlets.all)) == ([], 1)
    producing.close()
    assert post.take() == []


def test_what_is_given_up_is_told_and_late_work_is_ignored(made, post, clock):
    producing, told = made(), []
    producing.attach(ONE_, 1)
    put(producing, 1, 2, told=told)
    producing.close()
    post.take()
    producing.give_up()
    assert {type(error) for _, _, error in told} == {Undelivered}
    assert [(value, error.items) for value, _, error in told] == [(1, (1,)), (2, (2,))]
    assert (producing.drained, producing.ended, producing.undone()) == (True, True, [])
    assert post.take() == [("s1", [END, "q", 1])]
    producing.acknowledged(ONE_, 1, [1])
    assert (producing.open, producing.duplicates, len(told)) == (0, 1, 2)
    assert not clock.waits


def test_who_is_refused_twice_for_the_same_is_told_once(made):
    producing = made()
    for why in ("it is none", "it is none", "it is another"):
        producing.refuse(member(1), why)
    assert [why for _, why in producing.refused] == ["it is none", "it is another"]


def test_of_who_was_refused_the_last_are_kept(made):
    producing = made()
    for number in range(REFUSED + 5):
        producing.refuse(member(number), str(number))
    assert [why for _, why in producing.refused] == [str(n) for n in range(5, REFUSED + 5)]


def test_many_threads_put_and_none_is_forgotten(made, post):
    producing = made(bound=100_000)
    producing.attach(ONE_, 1)
    producing._soon = lambda pump: None
    data = producing.settings.dump("x")
    threads = [
        threading.Thread(target=lambda: [producing.put(data) for _ in range(5000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producing.pump()
    assert producing.open == 20_000
    assert sorted(item.number for item in producing.outlets.queued) == list(range(2, 20_001))


class Anything(RuleBasedStateMachine):
    """Whatever consumers and producers do, and in whatever order: the sums are right."""

    mode, once, most = ONE, False, 3

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        Clock(self.patch)
        settings = settings_of(mode=self.mode, at_most_once=self.once, max_deliveries=self.most)
        self.producing = Producing(
            "q", settings, self._ask, lambda pump: pump(), *[lambda: None] * 2
        )
        self.put = 0
        self.told = Counter()
        self.hands = {}
        """What each consumer that is attached has: number -> (value, failures)."""
        self.credit = {}
        self.old = []
        self.failures = Counter()
        self.done = set()

    def teardown(self):
        try:
            self._drain()
        finally:
            self.patch.undo()

    def _ask(self, service, words, took):
        if words[0] != ITEMS:
            return
        first, deliveries, data = words[2], words[3], words[4:]
        hand = self.hands[service]
        for number, each in enumerate(data, first):
            assert number not in hand
            value = self.producing.settings.load(each)
            hand[number] = value
            assert value not in self.done
            if self.mode == ONE:
                assert deliveries == self.failures[value]
        assert len(hand) <= self.credit[service]
        assert not deliveries or len(hand) == 1  # alone
        assert (service, number) not in self.old

    def _tell(self, value):
        def tell(result, error):
            self.told[value] += 1
            self.done.add(value)
            if type(error) is DeadLetter:
                assert error.item == value

        return tell

    @rule(key=some.sampled_from("abc"))
    def puts(self, key):
        value, self.put = self.put, self.put + 1
        self.producing.put(self.producing.settings.dump(value), key, self._tell(value))

    @rule(number=some.integers(1, 3), credit=some.integers(1, 4))
    def attaches(self, number, credit):
        service = member(number)
        self.failures.update(self.hands.get(service, {}).values())  # perhaps it has done them
        self._forgets(service)
        self.hands[service], self.credit[service] = {}, credit
        self.producing.attach(service, credit)

    def _forgets(self, service):
        self.old += [(service, number) for number in self.hands.pop(service, ())]

    def _holder(self, data):
        return data.draw(some.sampled_from([s for s, hand in self.hands.items() if hand]))

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=some.data(), credit=some.integers(1, 4))
    def acknowledges(self, data, credit):
        service = self._holder(data)
        numbers = data.draw(some.lists(some.sampled_from([*self.hands[service]]), unique=True))
        for number in numbers:
            del self.hands[service][number]
        self.credit[service] = max(credit, len(self.hands[service]))
        assert self.producing.acknowledged(service, self.credit[service], numbers)

    @precondition(lambda self: any(self.hands.values()))
    @rule(data=some.data(), failed=some.booleans())
    def gives_back(self, data, failed):
        service = self._holder(data)
        number = data.draw(some.sampled_from([*self.hands[service]]))
        self.failures[self.hands[service].pop(number)] += failed
        self.producing.back(service, [number], failed=failed)

    @precondition(lambda self: self.hands)
    @rule(data=some.data(), failed=some.booleans())
    def goes(self, data, failed):
        service = data.draw(some.sampled_from([*self.hands]))
        for value in self.hands[service].values():
            self.failures[value] += failed
        self._forgets(service)
        (self.producing.consumer_lost if failed else self.producing.detach)(service)

    @precondition(lambda self: self.old)
    @rule(data=some.data())
    def says_late(self, data):
        service, number = data.draw(some.sampled_from(self.old))
        before = (self.producing.open, self.producing.duplicates)
        self.producing.acknowledged(service, self.credit[service], [number])
        assert (self.producing.open, self.producing.duplicates) == (before[0], before[1] + 1)

    @invariant()
    def the_sums_are_right(self):
        producing, outlets = self.producing, self.producing.outlets
        assert set(self.told.values()) <= {1}
        assert producing.open + producing.settled == self.put
        assert {outlet.service for outlet in outlets.all.values()} == set(self.hands)
        if self.mode != ALL:
            assert producing.open == self.put - len(self.told)
            where = [*outlets.queued, *outlets.returned]
            for outlet in outlets.all.values():
                where += [*outlet.held.values(), *outlet.backlog]
            values = Counter(producing.settings.load(item.data) for item in where)
            assert values == Counter(set(range(self.put)) - self.done)
            dead = {producing.settings.load(item.data) for item in producing.dead}
            if not self.once:
                assert dead == {v for v, failures in self.failures.items() if failures >= self.most}
            assert producing.open == len(producing.undone())
        if self.mode == KEY:
            assert sum(count for _, count in outlets._places.values()) == sum(
                len(outlet.held) + len(outlet.backlog) for outlet in outlets.all.values()
            )

    def _drain(self):
        """Whatever was, one good consumer brings it to its end."""
        self.producing.close()
        for service in [*self.hands]:
            self._forgets(service)
            self.producing.detach(service)
        good = member(9)
        self.hands[good], self.credit[good] = {}, 2
        self.producing.attach(good, 2)
        while self.hands[good]:
            numbers = [*self.hands[good]]
            self.hands[good].clear()
            self.producing.acknowledged(good, 2, numbers)
        assert (self.producing.drained, self.producing.ended) == (True, True)
        assert self.told == Counter(range(self.put))
        assert self.producing.lost == 0 or self.once


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("chosen", MODES)
def test_no_item_is_lost_or_done_twice_whatever_happens(chosen, once):
    class Chosen(Anything):
        mode = chosen

    Chosen.once = once
    case = Chosen.TestCase
    case.settings = profile(max_examples=25, stateful_step_count=40, deadline=None)
    case("runTest").runTest()
