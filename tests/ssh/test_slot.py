"""The place of one worker, how long it rests after a failure, and how much it has in hand."""

from math import inf

import pytest

from meshcluster.ssh.server import Server
from meshcluster.ssh.slot import MAX_WINDOW, Place, Rest, State
from meshcluster.ssh.task import Task


@pytest.fixture
def place():
    return Place(Server("a", slots=3))


@pytest.fixture
def slot(place):
    return place.slots[0]


def give(slot, *numbers):
    for number in numbers:
        slot.in_hand[number] = Task(number)


# --- rest -----------------------------------------------------------------------------------------


def lasts(rest, now, desperate=False):
    return rest.lasts(now, desperate=desperate)


def test_what_has_not_failed_need_not_rest():
    assert not lasts(Rest(), 0.0)
    assert not lasts(Rest(), 0.0, desperate=True)


def test_each_rest_is_twice_as_long_up_to_half_a_minute():
    rest, lengths = Rest(), []
    for _ in range(9):
        rest.begin(100.0)
        lengths.append(rest.until - 100.0)
    assert lengths == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_what_works_again_begins_anew():
    rest = Rest()
    rest.begin(0.0)
    rest.begin(0.5)
    rest.over()
    assert not lasts(rest, 0.5)
    rest.begin(2.0)
    assert (lasts(rest, 2.4), lasts(rest, 2.5)) == (True, False)


def test_where_nothing_else_is_left_a_second_is_enough_and_less_stays_less():
    rest = Rest()
    rest.begin(0.0)
    assert (lasts(rest, 0.4, desperate=True), lasts(rest, 0.5, desperate=True)) == (True, False)
    for _ in range(5):
        rest.begin(10.0)
    assert lasts(rest, 11.0)
    assert (lasts(rest, 10.9, desperate=True), lasts(rest, 11.0, desperate=True)) == (True, False)


# --- a server in use ------------------------------------------------------------------------------


def test_workers_that_come_go_or_are_there_are_live(place):
    assert (place.live, place.starting) == (0, 0)
    for slot, state in zip(place.slots, (State.STARTING, State.READY, State.ENDING), strict=True):
        slot.state = state
    assert (place.live, place.starting) == (3, 1)


def test_a_server_that_could_not_be_reached_says_why_until_it_is(place):
    place.missed("no route", 1.0)
    assert (place.why, place.rest.until) == ("no route", 1.5)
    place.reached()
    assert (place.why, lasts(place.rest, 1.0)) == ("", False)


def test_only_workers_that_are_ready_and_stay_are_sent_tasks(place, slot):
    usable = []
    for state in State:
        slot.state = state
        usable.append(slot.usable)
    assert dict(zip(State, usable, strict=True))[State.READY]
    assert sum(usable) == 1
    slot.state, place.leaving = State.READY, True
    assert not slot.usable


# --- what it has in hand --------------------------------------------------------------------------


def test_the_first_that_was_sent_runs(slot):
    assert slot.head is None
    give(slot, 7, 3)
    assert slot.head.number == 7


def test_when_the_head_goes_the_next_one_begins(slot):
    give(slot, 1, 2)
    slot.since, slot.kill_at = 5.0, 8.0
    assert slot.release(1, 7.0).number == 1
    assert (slot.head.number, slot.since, slot.kill_at) == (2, 7.0, inf)


def test_when_another_one_goes_nothing_changes_for_the_head(slot):
    give(slot, 1, 2)
    slot.since, slot.kill_at = 5.0, 8.0
    assert slot.release(2, 7.0).number == 2
    assert slot.release(2, 7.0) is None
    assert (slot.head.number, slot.since, slot.kill_at) == (1, 5.0, 8.0)


def test_nothing_is_left_of_a_worker_that_is_no_more_but_what_is_known_of_its_speed(slot):
    give(slot, 1)
    slot.state, slot.link, slot.greeted, slot.pid, slot.pings = (
        State.ENDING,
        object(),
        True,
        5,
        True,
    )
    slot.blame, slot.excused, slot.kill_at, slot.pinged_at = "silent", True, 1.0, 1.0
    slot.took(100)
    slot.rest.begin(1.0)
    slot.cool()
    assert (slot.state, slot.link, slot.in_hand, slot.head) == (State.COLD, None, {}, None)
    assert (slot.greeted, slot.pid, slot.pings, slot.blame, slot.excused) == (
        False, 0, False, "", False
    )  # fmt: skip
    assert (slot.kill_at, slot.pinged_at) == (inf, inf)
    assert slot.window(None) == MAX_WINDOW
    assert lasts(slot.rest, 1.4)


# --- the window -----------------------------------------------------------------------------------


def test_of_a_worker_that_has_done_nothing_yet_one_is_known(slot):
    slot.took(0)
    assert slot.window(None) == 1


@pytest.mark.parametrize(
    ("micros", "window"),
    [(1, 32), (100, 32), (125, 32), (200, 21), (1000, 5), (2000, 3), (4000, 2), (4999, 1),
     (5000, 1), (10**9, 1)],
)  # fmt: skip
def test_so_many_as_fill_the_way_there_and_back(slot, micros, window):
    slot.took(micros)
    assert slot.window(None) == window


def test_one_that_takes_long_counts_at_once_and_is_forgotten_slowly(slot):
    slot.took(100)
    slot.took(1_000_000)
    assert slot.window(None) == 1
    quick = 0
    while slot.window(None) == 1:
        slot.took(100)
        quick += 1
    assert 10 < quick < 40


def test_a_fixed_window_is_fixed(slot):
    for micros in (1, 10**6):
        slot.took(micros)
        assert slot.window(7) == 7


def test_each_of_a_members_tasks_is_a_call_of_its_own():
    (slot,) = Place(Server("a", service=object())).slots
    slot.took(1)
    assert (slot.window(None), slot.window(7)) == (1, 1)
