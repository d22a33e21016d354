"""What a consumer has in hand: asked for as fast as it works, acknowledged, given back, held on."""

import threading
from types import SimpleNamespace

import pytest

from meshcluster.errors import NoRoute, NoServices, QueueMismatch, ServiceLost
from meshcluster.queues import settings
from meshcluster.queues.consuming import MOST_CREDIT, RETURN_SECONDS, Consuming
from meshcluster.queues.letters import ACK, ATTACH, BACK, DETACH, HOLD, RESULTS

from .ends import Clock, Post, member, settings_of

ONE, OTHER = map(member, (1, 2))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def made(clock, post):
    """A consumer; what arrives is its ``shelf``."""

    def made(**given):
        shelf = []
        consuming = Consuming("q", settings_of(**given), post.ask, shelf.extend, lambda: None)
        return SimpleNamespace(consuming=consuming, shelf=shelf)

    return made


@pytest.fixture
def attached(made, post):
    """One that is attached to one producer."""

    def attached(lease=30.0, **given):
        one = made(**given)
        one.consuming.found(ONE)
        post.answer([True, lease, 1, False])
        one.source = one.consuming.sources[ONE.key]
        return one

    return attached


def come(one, count, deliveries=0):
    """Items come; the deliveries of these."""
    before, first = len(one.shelf), 1 + len(one.shelf)
    assert one.consuming.items(ONE, first, deliveries, [b"data"] * count)
    return one.shelf[before:]


def test_a_producer_that_is_found_is_told_what_is_meant(made, post):
    one = made(kind=int, mode="all", prefetch=7)
    for _ in range(2):
        one.consuming.found(ONE)
    assert post.take() == [("s1", [ATTACH, "q", "all", "int", 7])]


def test_who_refuses_is_no_producer_and_the_user_is_told(made, post):
    consuming = made().consuming
    consuming.found(ONE)
    post.answer([False, "items are other ones"])
    assert (consuming.sources, consuming.over) == ({}, True)
    assert type(consuming.failure) is QueueMismatch
    assert (consuming.failure.service, consuming.failure.name) == (ONE, "q")
    assert "items are other ones" in str(consuming.failure)


def test_one_who_refuses_ends_nothing_where_another_does_not(made, post):
    consuming = made().consuming
    consuming.found(ONE)
    consuming.found(OTHER)
    (_, _, first), (_, _, other) = post.asked
    first([False, "no"], None)
    other([True, 30.0, 1, False], None)
    assert (set(consuming.sources), consuming.over) == ({OTHER.key}, False)
    consuming.end(OTHER, 1)
    assert consuming.over


def test_a_producer_that_cannot_be_told_of_much_is_asked_once(attached, post):
    one = attached()
    for delivery in come(one, 3):
        one.consuming.done(delivery, None, more=False)
    told = [told for _, _, told in post.asked]
    assert len(told) == 3
    post.asked.clear()
    for each in told:
        each(None, ServiceLost(member(1), "its link broke"))
    assert [words[0] for _, words, _ in post.asked] == [ATTACH]
    one.consuming.close()


def test_what_a_producer_took_back_is_ours_no_more(attached, post):
    one = attached()
    first, second = come(one, 2)
    one.consuming.done(first, None, more=False)
    assert one.consuming.is_ours(second)
    post.answer(False)
    assert not one.consuming.is_ours(second)
    assert [words[0] for _, words, _ in post.asked] == [ATTACH]
    one.consuming.close()


def test_who_was_given_up_for_good_gives_nothing_more(attached, post, clock):
    one = attached()
    one.consuming.lost(ONE)
    clock.move(RETURN_SECONDS + 1)
    assert one.consuming.over
    assert not one.consuming.items(ONE, 1, 0, [b"late"])


def test_one_that_has_ended_gives_nothing_until_it_is_opened_again(made, post):
    consuming = made().consuming
    consuming.found(ONE, ended=True)  # it may have opened it again
    post.answer([True, 30.0, 1, True])
    consuming.found(ONE, ended=True)
    assert (consuming.over, post.take()) == (True, [])
    consuming.found(ONE)
    assert not consuming.over
    assert [words[0] for _, words in post.take()] == [ATTACH]


def test_as_many_are_wanted_in_hand_as_are_worked_on_and_waited_for(attached, post):
    one = attached()
    come(one, 1)  # somebody works on it
    one.consuming.want(1)
    assert post.take() == [("s1", [ACK, "q", 2])]
    come(one, 1)
    one.consuming.want(3)
    assert post.take() == [("s1", [ACK, "q", 5])]
    one.consuming.want(2)
    assert post.take() == []
    one.consuming.close()


def test_who_says_how_many_wants_no_more(attached, post):
    one = attached(prefetch=1)
    come(one, 1)
    one.consuming.want(4)
    assert post.take() == []
    one.consuming.close()


def test_who_has_closed_meanwhile_is_forgotten(made, post):
    consuming = made().consuming
    consuming.found(ONE)
    post.answer(False)
    assert (consuming.sources, consuming.failure, consuming.over) == ({}, None, False)
    consuming.found(ONE)
    assert [words[0] for _, words in post.take()] == [ATTACH]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "text",
        [],
        [True],
        [True, "soon"],
        [True, None],
        [True, -5.0],
        [True, 0],
        [True, float("nan")],
        [True, float("inf")],
        [False, None],
        [False, "x" * 100_000],
        [1, 30.0],
        {"a": 1},
    ],
)
def test_any_answer_to_attach_is_understood_or_refused(made, post, clock, answer):
    consuming = made().consuming
    consuming.found(ONE)
    post.answer(answer)
    clock.move(60)
    assert consuming.sources or len(str(consuming.failure)) < 700
    consuming.close()


def test_items_of_who_is_no_producer_are_refused(attached):
    one = attached()
    assert one.consuming.items(OTHER, 1, 0, [b"data"]) is False
    one.consuming.close()
    assert one.consuming.items(ONE, 1, 0, [b"data"]) is False
    assert one.shelf == []


def test_what_is_done_is_acknowledged_when_nothing_more_is_in_hand(attached, post):
    one = attached(prefetch=100)
    a, b, c = come(one, 3)
    one.consuming.done(a, None, more=True)
    one.consuming.done(b, None, more=True)
    assert post.take() == []
    one.consuming.done(c, None, more=False)
    assert post.take() == [("s1", [ACK, "q", 100, 1, 2, 3])]
    one.consuming.done(c, None, more=False)
    assert post.take() == []


def test_a_quarter_of_the_credit_is_acknowledged_at_once(attached, post):
    one = attached(prefetch=8)
    a, b, _ = come(one, 3)
    one.consuming.done(a, None, more=True)
    assert post.take() == []
    one.consuming.done(b, None, more=True)
    assert post.take() == [("s1", [ACK, "q", 8, 1, 2])]


def test_results_go_with_what_they_are_results_of(attached, post):
    one = attached(prefetch=8)
    a, b = come(one, 2)
    one.consuming.done(a, b"result", more=True)
    one.consuming.done(b, None, more=False)
    assert post.take() == [("s1", [RESULTS, "q", 8, [1, 2], [b"result", None]])]


def test_results_go_in_letters_that_are_not_too_large(attached, post, monkeypatch):
    monkeypatch.setattr(settings, "BATCH_BYTES", 1000)
    one = attached(prefetch=100)
    for delivery, size in zip(come(one, 5), (400, 500, 200, 5000, 1), strict=True):
        one.consuming.done(delivery, bytes(size), more=delivery.number < 5)
    assert [words[3] for _, words in post.take()] == [[1, 2], [3], [4], [5]]


def test_as_many_are_wanted_as_are_done_in_a_moment(attached, post, clock):
    one = attached()

    def work(seconds, count=1):
        for delivery in come(one, count):
            clock.now += seconds
            one.consuming.done(delivery, None, more=False)
        return [words[2] for _, words in post.take()][-1]

    assert one.source.credit == 1
    assert [work(0.00001) for _ in range(12)] == [*(2**n for n in range(1, 9)), *[MOST_CREDIT] * 4]
    assert work(0.002, 5) == 10
    assert work(1.0) == 1


def test_the_credit_that_a_user_wants_is_not_adapted(attached, post, clock):
    one = attached(prefetch=3)
    for delivery in come(one, 5):
        one.consuming.done(delivery, None, more=False)
    assert {words[2] for _, words in post.take()} == {3}


def test_what_is_given_back_is_not_done_as_well(attached, post):
    one = attached(prefetch=100)
    a, b = come(one, 2)
    one.consuming.back([a, b], failed=True)
    assert post.take() == [("s1", [BACK, "q", True, 1, 2])]
    one.consuming.done(a, None, more=False)
    one.consuming.back([a], failed=True)
    one.consuming.flush_all()
    assert post.take() == []


def test_who_was_given_up_comes_again(attached, post):
    one = attached()
    (a,) = come(one, 1)
    one.consuming.done(a, None, more=False)
    post.answer(False)
    assert [words[0] for _, words in post.take()] == [ATTACH]


def test_it_says_that_it_is_here_and_comes_again_once_when_it_was_given_up(attached, post, clock):
    one = attached(lease=3)
    clock.move(1.1)
    assert post.take() == [("s1", [HOLD, "q"])]
    (a,) = come(one, 1)
    clock.move(1)
    one.consuming.done(a, None, more=False)
    assert [words[0] for _, words, _ in post.asked] == [HOLD, ACK]
    post.answer(False)
    assert [words[0] for _, words, _ in post.asked] == [ATTACH]
    clock.move(3)
    assert [words[0] for _, words, _ in post.asked] == [ATTACH], "it is not told where it is not"
    one.consuming.close()


def test_one_that_lives_and_had_lost_us_is_attached_to_again(attached, post, clock):
    one = attached()
    (a,) = come(one, 1)
    one.consuming.done(a, None, more=False)
    post.answer(error=ServiceLost(member(1), "it had lost us"))
    assert [words[0] for _, words, _ in post.asked] == [ATTACH]
    post.answer(error=NoServices("gone"))
    assert post.asked == []
    clock.move(3.5)
    assert [words[0] for _, words, _ in post.asked] == [ATTACH], "it may have come back"
    post.answer([True, 30.0, 1, False])
    assert one.source.lost_at is None
    clock.move(12)
    assert not one.consuming.over
    one.consuming.close()


def test_threads_that_finish_items_at_once_leave_nothing_in_hand(attached, post):
    one = attached(prefetch=50)
    come(one, 8000)
    done = [[d for d in one.shelf if d.number % 4 == n] for n in range(4)]
    threads = [
        threading.Thread(
            target=lambda part=part: [one.consuming.done(d, None, more=True) for d in part]
        )
        for part in done
    ]
    for thread in threads:
        thread.start()
    come(one, 100)
    for thread in threads:
        thread.join()
    one.consuming.flush_all()
    numbers = [number for _, words in post.take() for number in words[3:]]
    assert sorted(numbers) == list(range(1, 8001))


def test_a_queue_ends_when_every_producer_has_ended(attached, post):
    one = attached()
    one.consuming.found(OTHER)
    post.answer([True, 30.0, 1, False])
    one.consuming.end(ONE, 1)
    assert not one.consuming.over
    one.consuming.end(member(99), 1)  # whoever that is
    one.consuming.end(OTHER, 7)  # of another run of its queue
    assert not one.consuming.over
    one.consuming.end(OTHER, 1)
    assert one.consuming.over


def test_a_queue_without_producers_has_not_ended(made):
    assert not made().consuming.over


def test_a_lost_producer_is_waited_for_and_then_named(attached, clock):
    one = attached()
    one.consuming.lost(ONE)
    clock.move(RETURN_SECONDS - 0.5)
    assert (one.consuming.over, one.consuming.lost_producers) == (False, [])
    clock.move(RETURN_SECONDS)
    assert (one.consuming.over, one.consuming.lost_producers) == (True, [ONE])
    clock.move(60)
    assert one.consuming.lost_producers == [ONE]
    assert not clock.waits


def test_a_lost_producer_that_comes_again_is_attached_to(attached, post, clock):
    one = attached()
    one.consuming.lost(ONE)
    clock.move(5)
    one.consuming.found(ONE)
    post.answer([True, 30.0, 1, False])
    clock.move(60)
    assert (one.consuming.over, one.consuming.lost_producers) == (False, [])
    one.consuming.close()


def test_a_producer_that_cannot_be_told_is_lost(attached, post):
    one = attached()
    (a,) = come(one, 1)
    one.consuming.done(a, None, more=False)
    post.answer(error=NoRoute("gone"))
    post.answer(error=NoRoute("gone"))
    assert one.source.lost_at is not None
    (b,) = come(one, 1)
    one.consuming.done(b, None, more=False)
    assert post.take() == []


def test_closing_says_so_to_all_acknowledges_and_stops_the_clock(attached, post, clock):
    one = attached(prefetch=100)
    a, _ = come(one, 2)
    one.consuming.done(a, None, more=True)
    one.consuming.close()
    assert post.take() == [("s1", [ACK, "q", 100, 1]), ("s1", [DETACH, "q"])]
    one.consuming.close()
    one.consuming.found(OTHER)
    assert (post.take(), clock.waits, one.consuming.over) == ([], False, True)
