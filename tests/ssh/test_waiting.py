"""The tasks that wait, in the order in which they are begun."""

from random import Random

import pytest

from meshcluster.ssh.task import Task, Terms
from meshcluster.ssh.waiting import MANY_GONE, Waiting


def waiting_of(*priorities):
    waiting = Waiting()
    tasks = [Task(n, terms=Terms(priority=p)) for n, p in enumerate(priorities, 1)]
    for task in tasks:
        waiting.add(task)
    return waiting, tasks


def taken(waiting):
    numbers = []
    while (task := waiting.first()) is not None:
        assert waiting.take() is task
        numbers.append(task.number)
    return numbers


def test_equals_come_in_their_order_and_higher_priorities_before_them():
    waiting, _ = waiting_of(0, 0, 1, -1, 1)
    assert taken(waiting) == [3, 5, 1, 2, 4]


def test_the_first_one_is_shown_and_stays():
    waiting, tasks = waiting_of(0, 0)
    assert waiting.first() is waiting.first() is tasks[0]
    assert len(waiting) == 2


def test_a_task_knows_whether_it_waits():
    waiting, (one, other) = waiting_of(0, 0)
    assert one.waiting
    waiting.take()
    waiting.remove(other)
    assert (one.waiting, other.waiting) == (False, False)


def test_one_that_comes_back_has_its_old_place():
    waiting, tasks = waiting_of(0, 0, 0)
    waiting.take()
    waiting.add(tasks[0])
    assert taken(waiting) == [1, 2, 3]


def test_one_that_is_given_up_neither_counts_nor_comes():
    waiting, tasks = waiting_of(0, 0, 0)
    waiting.remove(tasks[0])
    waiting.remove(tasks[1])
    assert (len(waiting), list(waiting)) == (1, [tasks[2]])
    assert taken(waiting) == [3]
    assert (len(waiting), waiting.first()) == (0, None)


def test_nothing_waits_at_first():
    waiting = Waiting()
    assert (len(waiting), waiting.first(), list(waiting)) == (0, None, [])


def test_what_is_given_up_is_not_kept_for_ever():
    """Though its turn never comes."""
    waiting, _ = waiting_of(1)
    for number in range(2, 10_000):
        task = Task(number)
        waiting.add(task)
        waiting.remove(task)
    assert len(waiting) == 1
    assert len(waiting._heap) <= 2 * MANY_GONE


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_and_goes_the_order_and_the_count_are_right(seed):
    random, waiting, there = Random(f"waiting {seed}"), Waiting(), []
    for number in range(1, 2000):
        deed = random.random()
        if deed < 0.45 or not there:
            there.append(Task(number, terms=Terms(priority=random.randrange(3))))
            waiting.add(there[-1])
        elif deed < 0.8:
            gone = there.pop(random.randrange(len(there)))
            waiting.remove(gone)
        else:
            assert waiting.first() is min(there), f"seed={seed}"
            there.remove(waiting.take())
        assert len(waiting) == len(there), f"seed={seed}"
    assert taken(waiting) == [task.number for task in sorted(there)], f"seed={seed}"
