"""What takes too long: tasks, workers that are silent, workers with nothing to do."""

from math import inf

import pytest

from tests.ssh.play import Play, quick, working


def test_a_task_that_takes_too_long_is_told_to_end():
    play = Play("a")
    play.submit(timeout=1.0)
    play.at(0.4)
    play.ready("a")
    play.at(1.3)
    assert play.wants() == ["start a", "1 to a"]
    play.at(1.41)
    assert play.wants() == ["cancel 1 at a"]
    play.now = 1.5
    play.has_ended("a", 1)
    assert play.wants() == ["1 ends: TaskTimeout"]
    (attempt,) = play.tasks[1].attempts
    assert (attempt.outcome, attempt.reason) == ("timeout", "it took more than 1 s")
    assert attempt.seconds == pytest.approx(1.1)


def test_one_that_does_not_heed_it_is_ended_with_its_worker():
    play = quick("a", "b", window=2)
    play.submit(timeout=1.0)
    play.submit()
    play.submit()
    play.wants()
    play.at(1.45)
    assert play.wants() == ["cancel 3 at a"]
    play.at(1.55)
    assert play.wants() == ["kill a"]
    play.dies("a")
    assert play.wants() == ["3 ends: TaskTimeout", "start a"]
    assert play.tasks[5].attempts == [], "it waited behind"
    play.ready("a")
    assert play.wants() == ["5 to a"]


def test_a_timeout_counts_from_the_beginning_of_the_task_itself():
    play = quick("a", window=3)
    for _ in range(3):
        play.submit(timeout=1.0)
    play.at(0.9)
    play.done("a", 2)
    play.at(1.85)
    assert play.wants() == ["2 to a", "3 to a", "4 to a"]
    play.at(1.95)
    assert play.wants() == ["cancel 3 at a"]


def test_nor_does_it_count_while_its_worker_had_nothing_to_do():
    play = quick("a")
    play.at(5.0)
    play.submit(timeout=1.0)
    play.at(5.9)
    assert play.wants() == ["2 to a"]
    play.at(6.05)
    assert play.wants() == ["cancel 2 at a"]


def test_one_that_is_cancelled_behind_it_gives_it_no_more_time():
    play = quick("a", window=2)
    play.submit(timeout=1.0)
    play.submit()
    play.at(0.9)
    play.cancel(3)
    play.gives_back("a", 3)
    play.wants()
    play.at(1.0)
    assert play.wants() == ["cancel 2 at a"]


def test_a_result_that_comes_after_all_counts():
    play = Play("a")
    play.submit(timeout=1.0)
    play.ready("a")
    play.at(1.05)
    play.done("a", 1)
    assert play.wants() == ["start a", "1 to a", "cancel 1 at a"]
    assert play.attempts(1) == [("a", "done")]


def test_the_next_task_has_its_own_time_to_end():
    """The worker was to be ended for a task; that gave way in time."""
    play = quick("a", window=2)
    play.submit()
    play.submit()
    play.cancel(2)
    play.at(0.3)
    play.has_ended("a", 2)
    play.wants()
    play.at(2.0)
    assert play.wants() == []


def test_nor_is_it_ended_for_one_that_had_not_begun():
    play = quick("a", window=3)
    for _ in range(3):
        play.submit()
    play.done("a", 2)
    play.cancel(3)
    play.at(0.3)
    play.gives_back("a", 3)
    play.wants()
    play.at(2.0)
    assert play.wants() == []


def test_it_is_tried_again_after_its_time_where_that_was_asked_for():
    play = Play("a", "b")
    play.submit(timeout=1.0, retry_on=TimeoutError, attempts=2)
    play.ready("a")
    for now in (1.0, 2.0):
        play.at(now)
        play.has_ended("a", 1)
    assert play.wants() == [
        "start a", "1 to a", "cancel 1 at a", "1 to a", "cancel 1 at a", "1 ends: TaskTimeout"
    ]  # fmt: skip
    assert play.attempts(1) == [("a", "timeout")] * 2


def test_a_silent_worker_is_asked_and_then_ended():
    play = working("a", heartbeat_seconds=10.0)
    play.at(9.9)
    assert play.wants() == []
    play.at(10.0)
    assert play.wants() == ["ping a"]
    play.at(29.9)
    assert play.wants() == []
    play.at(30.0)
    assert play.wants() == ["kill a"]
    play.dies("a")
    assert play.tasks[1].attempts[0].reason == "silent for 30.0 s"


def test_one_that_answers_goes_on():
    play = working("a", heartbeat_seconds=10.0)
    for now in (10.0, 20.1, 30.2, 40.3):
        play.at(now)
        play.pool.heard(play.slot("a"), play.now)
    assert play.wants() == ["ping a"] * 4


def test_no_worker_is_thought_silent_that_was_not_asked():
    """We may have been stopped ourselves."""
    play = working("a", heartbeat_seconds=10.0)
    play.now = 100.0
    play.pool.tick(play.now)
    assert play.wants() == ["ping a"]
    play.at(119.9)
    assert play.wants() == []
    play.at(120.1)
    assert play.wants() == ["kill a"]


def test_a_worker_with_nothing_to_do_may_be_silent():
    play = quick("a", heartbeat_seconds=10.0)
    play.at(1000.0)
    play.submit()
    play.at(1009.9)
    assert play.wants() == ["2 to a"]
    play.at(1010.05)
    assert play.wants() == ["ping a"]


def test_who_does_not_answer_pings_is_not_asked():
    play = Play("a")
    play.submit()
    play.ready("a", pings=False)
    play.at(1000.0)
    assert play.wants() == ["start a", "1 to a"]


def test_an_idle_worker_is_kept():
    play = quick("a")
    assert (play.pool.busy, play.pool.due()) == (False, inf)
    play.pool.tick(10_000.0)
    assert play.wants() == []


def test_or_ended_after_a_while_where_that_was_asked_for():
    play = quick("a", idle_seconds=5.0)
    assert play.pool.due() == 5.0
    play.at(3.0)
    play.submit()
    play.at(7.0)
    play.done("a", 2)
    assert play.pool.due() == 12.0
    play.at(11.9)
    assert play.wants() == ["2 to a"]
    play.at(12.0)
    assert play.wants() == ["stop a"]
    play.dies("a")
    play.submit()
    assert play.wants() == ["start a"], "it need not rest"


def test_what_an_idle_worker_prints_is_no_work():
    play = quick("a", idle_seconds=5.0)
    play.now = 4.0
    play.pool.heard(play.slot("a"), play.now)
    play.pool.refill(play.slot("a"), play.now)
    play.at(5.0)
    assert play.wants() == ["stop a"]


def test_a_worker_is_idle_from_its_hello_not_from_its_start():
    play = Play("a", idle_seconds=5.0)
    play.submit()
    play.at(0.4)
    play.cancel(1)
    play.at(4.0)
    play.ready("a")
    assert play.pool.due() == 9.0


def test_one_that_gives_up_what_took_too_long_while_it_leaves_has_it_done_elsewhere():
    play = working("a", "b")
    play.submit(timeout=1.0, retry_on=TimeoutError)
    play.done("a", 1)
    play.done("b", 2)
    play.serve("b")
    play.at(1.05)
    play.has_ended("a", 3)
    assert play.wants() == ["3 to a", "cancel 3 at a", "3 to b", "stop a"]
