"""What may be asked for beside the work itself, and the order of tasks."""

import math

import pytest

from meshcluster.errors import ConfigError, TaskTimeout
from meshcluster.ssh.task import Attempt, Task, Terms


def test_by_default_a_task_has_three_attempts_no_timeout_and_is_not_retried_for_what_it_raises():
    terms = Terms()
    assert (terms.attempts, terms.timeout, terms.retry_on, terms.priority) == (3, None, (), 0)


@pytest.mark.parametrize("attempts", [0, -1, 1.0, "3", True, None])
def test_attempts_are_a_number_of_one_or_more(attempts):
    with pytest.raises(ConfigError, match="attempts="):
        Terms(attempts=attempts)


@pytest.mark.parametrize("timeout", [-1.0, math.nan, "5"])
def test_a_timeout_is_a_number_of_seconds(timeout):
    with pytest.raises(ConfigError):
        Terms(timeout=timeout)


@pytest.mark.parametrize("priority", [1.5, "high", True, None])
def test_a_priority_is_a_whole_number(priority):
    with pytest.raises(ConfigError, match="priority="):
        Terms(priority=priority)


def test_it_may_be_negative():
    assert Terms(priority=-7).priority == -7


def test_one_class_to_retry_on_may_be_given_alone():
    assert Terms(retry_on=OSError).retry_on == (OSError,)
    assert Terms(retry_on=[OSError, TaskTimeout]).retry_on == (OSError, TaskTimeout)


@pytest.mark.parametrize("retry_on", [int, [int], ["OSError"], [OSError()], 5, None])
def test_only_exception_classes_are_retried_on(retry_on):
    with pytest.raises(ConfigError, match="retry_on="):
        Terms(retry_on=retry_on)


def test_higher_priorities_come_first_and_equals_in_their_order():
    tasks = [
        Task(number, terms=Terms(priority=priority))
        for number, priority in [(1, 0), (2, -1), (3, 2), (4, 0)]
    ]
    assert [task.number for task in sorted(tasks)] == [3, 1, 4, 2]


def test_there_are_tries_left_until_each_attempt_was_made():
    task = Task(1, terms=Terms(attempts=2))
    left = [task.tries_left]
    for outcome in ("raised", "lost"):
        task.attempts.append(Attempt("a", outcome))
        left.append(task.tries_left)
    assert left == [True, True, False]
