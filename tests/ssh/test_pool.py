"""Which worker gets which task: workers begin where they are needed, and the order of tasks."""

from meshcluster.ssh.server import Server
from tests.ssh.play import QUICK, Play, quick, working

# --- workers begin --------------------------------------------------------------------------------


def test_no_worker_is_started_before_there_is_work():
    play = Play("a", "b")
    play.at(100.0)
    assert play.wants() == []


def test_as_many_are_started_as_tasks_wait():
    play = Play("a", "b", "c")
    play.submit()
    play.submit()
    assert play.wants() == ["start a", "start b"]


def test_servers_with_fewer_workers_come_first():
    play = Play("a", "b", slots=2)
    play.submit()
    play.submit()
    assert play.wants() == ["start a0", "start b0"]
    play = Play()
    for _ in range(3):
        play.submit()
    play.serve("a", "b", slots=2)
    assert play.wants() == ["start a0", "start b0", "start a1"]


def test_an_idle_worker_comes_before_a_new_one():
    play = working("a", "b")
    play.done("b", 2)
    play.submit()
    assert play.wants() == ["3 to b"]


def test_no_more_live_than_max_servers():
    play = Play("a", "b", "c", max_servers=2)
    for _ in range(5):
        play.submit()
    play.at(5.0)
    assert play.wants() == ["start a", "start b"]


def test_one_that_ends_still_counts_as_live():
    play = working("a", max_servers=1)
    play.serve("b")
    play.submit()
    play.done("a", 1)
    assert play.wants() == ["stop a"]
    play.dies("a")
    assert play.wants() == ["start b"]


def test_eight_of_a_server_say_hello_at_once():
    play = Play("a", slots=20)
    for _ in range(20):
        play.submit()
    assert len(play.wants()) == 8
    play.ready("a0", "a1")
    assert [word for word in play.wants() if "start" in word] == ["start a8", "start a9"]
    play.dies("a2")
    assert play.pool.places[0].starting == 7, "it rests, for one could not be started"


def test_one_that_takes_long_to_start_is_not_waited_for_alone():
    play = Play("a", "b", "c")
    play.submit()
    play.at(0.45)
    assert play.wants() == ["start a"]
    play.at(0.5)
    assert play.wants() == ["start b"]
    play.at(0.95)
    assert play.wants() == []
    play.at(1.05)
    assert play.wants() == ["start c"]
    play.ready("b")
    assert play.wants() == ["1 to b"]


def test_one_that_never_says_hello_is_given_up():
    play = Play("a", start_seconds=20.0)
    play.submit()
    play.at(19.0)
    assert play.wants() == ["start a"]
    play.at(20.0)
    assert play.wants() == ["kill a"]
    play.ready("a")  # too late
    assert play.wants() == []
    play.dies("a")
    assert play.wants() == ["1 ends: NoWorkers"]
    assert "a: no hello within 20 s" in str(play.errors[1])


# --- several in one worker ------------------------------------------------------------------------


def test_a_fixed_window_is_filled_and_kept():
    play = working("a", window=3)
    for _ in range(4):
        play.submit()
    assert play.wants() == ["2 to a", "3 to a"]
    play.done("a", 1)
    assert play.wants() == ["4 to a"]


def test_by_itself_a_worker_has_one_and_more_when_they_are_quick():
    play = Play("a")
    for _ in range(10):
        play.submit()
    play.ready("a")
    assert play.wants() == ["start a", "1 to a"]
    play.done("a", 1, micros=2_000)
    assert play.wants() == ["2 to a", "3 to a", "4 to a"]
    play.done("a", 2, micros=1_000_000)
    assert play.wants() == []
    play.done("a", 3, 4, micros=1_000_000)
    assert play.wants() == ["5 to a"]


def test_a_member_has_one_call_in_each_slot():
    play = Play(window=4)
    play.pool.serve([Server("a", service=object())], 0.0)
    play.submit()
    play.submit()
    play.ready("a")
    assert play.wants() == ["start a", "1 to a"]


def behind_a_long_one(*names):
    """Worker a has 3 at work and 5 behind it; what else there is is idle."""
    play = quick(*names, window=2)
    for _ in range(2 * len(names)):
        play.submit()
    play.wants()
    return play


def test_what_waits_behind_a_long_task_is_recalled_for_an_idle_worker():
    play = behind_a_long_one("a", "b")
    assert list(play.slot("a").in_hand) == [3, 5]
    play.now = 0.06
    play.done("b", 4, 6)
    play.at(0.07)
    assert play.wants() == ["recall 5 at a"]
    play.at(0.2)
    assert play.wants() == [], "once"
    play.gives_back("a", 5)
    assert play.wants() == ["5 to b"]


def test_what_was_cancelled_is_not_recalled():
    play = behind_a_long_one("a", "b")
    play.cancel(5)
    play.done("b", 4, 6)
    play.wants()
    play.at(0.1)
    assert play.wants() == []


def test_nor_is_anything_from_a_worker_that_ends():
    play = behind_a_long_one("a", "b")
    play.cancel(3)
    play.at(0.6)
    assert play.wants() == ["3 ends: cancelled", "cancel 3 at a", "kill a"]
    play.done("b", 4, 6)
    play.at(0.7)
    assert play.wants() == []
    play.dies("a")
    assert play.wants() == ["5 to b"]


def test_what_is_recalled_is_not_sent_behind_a_long_task_again():
    play = quick("a", "b", window=8)
    for _ in range(16):
        play.submit()
    behind = list(play.slot("a").in_hand)[1:]
    play.now = 0.06
    play.done("b", *play.slot("b").in_hand, micros=QUICK)
    play.at(0.07)
    play.wants()
    play.gives_back("a", *behind)
    assert play.wants() == [f"{number} to b" for number in behind]


def test_nothing_is_sent_behind_a_long_task():
    play = working("a", window=2)
    play.at(0.06)
    play.submit()
    assert play.wants() == []
    play.done("a", 1)
    assert play.wants() == ["2 to a"]


def test_it_is_recalled_for_a_worker_that_can_be_started():
    play = behind_a_long_one("a", "b")
    play.done("b", 4, 6)
    play.dies("b")
    play.at(0.4)
    assert play.wants() == []
    play.at(0.55)
    assert play.wants() == ["recall 5 at a"]
    play.gives_back("a", 5)
    assert play.wants() == ["start b"]


def test_where_nobody_could_have_it_it_stays():
    play = behind_a_long_one("a")
    play.at(10.0)
    assert play.wants() == []


def test_what_waits_behind_a_long_task_does_not_outrun_a_higher_priority():
    play = quick("a", window=2)
    play.submit()
    play.submit()
    play.now = 0.06
    play.submit(priority=1)
    play.at(0.07)
    assert play.wants() == ["2 to a", "3 to a", "recall 3 at a"]
    play.gives_back("a", 3)
    play.done("a", 2)
    assert play.wants() == ["4 to a", "3 to a"]


# --- order ----------------------------------------------------------------------------------------


def test_higher_priorities_begin_first_and_equals_in_their_order():
    play = Play("a")
    for priority in (0, 0, 5, -1, 5):
        play.submit(priority=priority)
    play.ready("a")
    for number in (3, 5, 1, 2, 4):
        assert play.wants()[-1] == f"{number} to a"
        play.done("a", number)


def test_a_task_that_is_tried_again_has_its_old_place():
    play = working("a")
    play.submit()
    play.submit()
    play.dies("a")
    play.at(0.6)
    play.ready("a")
    assert play.wants() == ["start a", "1 to a"]


def test_the_next_task_is_sent_before_anybody_is_told_of_the_last():
    play = working("a")
    play.submit()
    (task,) = play.answer("a", 1)
    assert play.wants() == ["2 to a"]
    assert not task.settled
    assert play.pool.finish([(task, "result")]) == [(task, "result")]
    assert task.settled


def test_a_task_that_raised_is_tried_again_where_that_was_asked_for():
    play = Play("a")
    play.submit(retry_on=OSError)
    play.submit(retry_on=OSError)
    play.ready("a")
    play.raised("a", 1, ValueError("wrong"))
    assert play.wants() == ["start a", "1 to a", "2 to a", "1 ends: ValueError"]
    for _ in range(3):
        play.raised("a", 2, ConnectionError("reset"))
    assert play.wants() == ["2 to a", "2 to a", "2 ends: ConnectionError"]
    assert play.attempts(2) == [("a", "raised")] * 3


# --- giving a task up -----------------------------------------------------------------------------


def test_what_waits_and_is_cancelled_never_runs():
    play = working("a")
    play.submit()
    assert play.cancel(2)
    assert play.wants() == ["2 ends: cancelled"]
    play.done("a", 1)
    assert play.wants() == []
    assert not play.cancel(2)


def test_what_runs_and_is_cancelled_is_told_to_end():
    play = working("a")
    assert play.cancel(1)
    assert sorted(play.wants()) == ["1 ends: cancelled", "cancel 1 at a"]
    play.submit()
    play.at(0.3)
    play.has_ended("a", 1)
    assert play.wants() == ["2 to a"]
    assert play.tasks[1].attempts == []


def test_one_that_does_not_heed_it_is_watched_though_nothing_else_is_open():
    play = working("a")
    play.cancel(1)
    assert play.pool.busy
    play.at(0.6)
    assert "kill a" in play.wants()
    play.dies("a")
    assert not play.pool.busy
    play.submit()
    assert play.wants() == ["start a"], "the worker did nothing wrong"


def test_what_is_cancelled_while_its_end_is_told_was_cancelled():
    play = working("a")
    (task,) = play.answer("a", 1)
    assert play.cancel(1)
    assert play.pool.finish([(task, "result")]) == []
    assert play.wants() == ["1 ends: cancelled"]
    assert play.pool.endings.open == 0


def test_nor_does_it_raise_or_run_again():
    play = Play("a")
    play.submit(retry_on=OSError)
    play.ready("a")
    (task,) = play.answer("a", 1)
    play.cancel(1)
    play.pool.raised(task, OSError("no"), play.now)
    assert play.wants() == ["start a", "1 to a", "1 ends: cancelled"]
