"""All timers of a node: each key is due once, at the time it was set to last."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.node.schedule import Schedule

BEACON, WATCH, PROBE = ("beacon", None), ("watch", b"ada"), ("probe", b"ada")


def scheduled(**times):
    schedule = Schedule()
    for name, when in times.items():
        schedule.set((name, None), when)
    return schedule


def due(schedule, now):
    return [name for name, _ in schedule.pop_due(now)]


def test_nothing_is_due_when_nothing_is_set():
    assert Schedule().next() is None
    assert due(Schedule(), 1e9) == []


def test_next_is_the_earliest():
    assert scheduled(a=3.0, b=1.0, c=2.0).next() == 1.0


def test_what_is_due_comes_once_earliest_first():
    schedule = scheduled(a=3.0, b=1.0, c=2.0)
    assert due(schedule, 2.0) == ["b", "c"]
    assert due(schedule, 2.0) == []
    assert schedule.next() == 3.0


def test_equal_times_come_in_the_order_they_were_set():
    assert due(scheduled(c=1.0, a=1.0, b=1.0), 1.0) == ["c", "a", "b"]


def test_keys_need_no_order_among_themselves():
    schedule = Schedule()
    for whose in (None, b"ada", 3, object()):
        schedule.set(("query", whose), 1.0)
    assert len(list(schedule.pop_due(1.0))) == 4


def test_setting_a_key_again_moves_it_either_way():
    schedule = scheduled(early=1.0, late=9.0)
    schedule.set(("early", None), 5.0)
    schedule.set(("late", None), 2.0)
    assert schedule.next() == 2.0
    assert due(schedule, 9.0) == ["late", "early"]


def test_a_cancelled_key_is_never_due_but_may_be_set_again():
    schedule = scheduled(a=1.0, b=2.0)
    schedule.cancel(("a", None))
    schedule.cancel(("unknown", None))
    assert schedule.next() == 2.0
    schedule.set(("a", None), 3.0)
    assert due(schedule, 9.0) == ["b", "a"]


def test_one_key_of_a_member_is_not_another_of_it():
    schedule = Schedule()
    schedule.set(WATCH, 1.0)
    schedule.set(PROBE, 2.0)
    schedule.cancel(WATCH)
    assert WATCH not in schedule
    assert PROBE in schedule


def test_clear_cancels_everything():
    schedule = scheduled(a=1.0, b=2.0)
    schedule.clear()
    assert schedule.next() is None
    assert ("a", None) not in schedule


def test_what_becomes_due_meanwhile_comes_too():
    schedule, came = scheduled(a=1.0, late=9.0), []
    for name, _ in schedule.pop_due(5.0):
        came.append(name)
        if name == "a":
            schedule.set(("b", None), 4.0)
            schedule.set(("c", None), 6.0)
    assert came == ["a", "b"]
    assert schedule.next() == 6.0


def test_what_is_cancelled_meanwhile_does_not_come():
    schedule, came = scheduled(a=1.0, b=2.0), []
    for name, _ in schedule.pop_due(5.0):
        came.append(name)
        schedule.cancel(("b", None))
    assert came == ["a"]


@pytest.mark.parametrize("change", ["moved", "cancelled"])
def test_timers_that_are_not_due_any_more_do_not_fill_the_memory(change):
    """Each query sets a timer, perhaps for an hour, and cancels it a moment later."""
    schedule = scheduled(beacon=1.0)
    tracemalloc.start()
    try:
        for number in range(20_000):
            key = ("query", 0 if change == "moved" else number)
            schedule.set(key, 3600.0 + number)
            if change == "cancelled":
                schedule.cancel(key)
            schedule.next()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 256 * 1024


keys = some.sampled_from([BEACON, WATCH, PROBE, ("query", 1), ("query", 2)])
changes = some.tuples(keys, some.none() | some.integers(0, 20))


@given(some.lists(changes), some.integers(0, 20))
def test_it_behaves_like_a_table_of_times(changes, now):
    schedule, table = Schedule(), {}
    for key, when in changes:
        table.pop(key, None)
        if when is None:
            schedule.cancel(key)
        else:
            schedule.set(key, when)
            table[key] = when
    assert schedule.next() == min(table.values(), default=None)
    expected = sorted((key for key in table if table[key] <= now), key=table.get)
    assert list(schedule.pop_due(now)) == expected
    assert all((key in schedule) == (key in table and table[key] > now) for key, _ in changes)
