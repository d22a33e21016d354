"""Many deadlines, one timer: it is set for the earliest, and what ended in time costs nothing."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as some

from meshcluster.node.deadlines import LOOK_SECONDS, Deadlines
from meshcluster.node.schedule import Schedule


@dataclass
class Open:
    deadline: float


def deadlines():
    schedule = Schedule()
    return Deadlines(schedule, "query"), schedule


def test_the_timer_is_set_for_the_earliest_alone():
    noted, schedule = deadlines()
    for deadline in (30.0, 20.0, 25.0):
        noted.note(deadline)
    assert schedule.next() == 20.0


def test_what_is_due_is_told_and_the_next_is_looked_for():
    noted, schedule = deadlines()
    opened = [Open(1.0), Open(3.0), Open(2.0)]
    for each in opened:
        noted.note(each.deadline)
    (_,) = schedule.pop_due(1.0)
    assert noted.due(opened, 1.0) == [opened[0]]
    assert schedule.next() == 2.0


def test_when_all_ended_in_time_no_timer_is_left():
    noted, schedule = deadlines()
    noted.note(1.0)
    (_,) = schedule.pop_due(1.0)
    assert noted.due([], 1.0) == []
    assert schedule.next() is None


@given(some.lists(some.floats(0, 1), min_size=1, max_size=50))
def test_none_is_early_and_none_later_than_a_look(times):
    noted, schedule = deadlines()
    opened = [Open(deadline) for deadline in times]
    for each in opened:
        noted.note(each.deadline)
    looks = 0
    while (now := schedule.next()) is not None:
        (_,) = schedule.pop_due(now)
        due = noted.due(opened, now)
        assert all(now - LOOK_SECONDS <= each.deadline <= now for each in due)
        opened = [each for each in opened if each not in due]
        looks += 1
    assert opened == []
    assert looks <= 1 / LOOK_SECONDS + 2
