"""What follows when a server cannot be reached, or a worker is lost with a task."""

import pytest

from meshcluster.errors import NoWorkers
from tests.ssh.play import QUICK, Play, members, quick, working

# --- servers that fail ----------------------------------------------------------------------------


def test_a_server_that_fails_rests_twice_as_long_each_time():
    play = working("a", "b")  # with a live one no task gives up
    play.submit()
    play.dies("b")
    rests = []
    for _ in range(9):
        failed = play.now
        while "start b" not in play.wants():
            play.at(play.now + 0.05)
        rests.append(round(play.now - failed, 1))
        play.dies("b")
    assert rests == [0.5, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_server_that_works_again_need_not_rest_so_long():
    play = Play("a", "b")
    place = play.pool.places[1]
    for now in (0.0, 0.6, 1.7):
        place.missed("no route", now)
    assert place.rest.until == 3.7
    play.now = 4.0
    play.submit()
    play.submit()
    play.ready("b")
    assert (place.why, place.rest.until < play.now) == ("", True)
    place.missed("no route", 5.0)
    assert place.rest.until == 5.5


def test_servers_that_could_not_be_reached_are_tried_last():
    play = quick("a", "b")
    play.dies("a", "b")
    play.pool.places[0].missed("no route", 0.0)
    play.at(20.0)
    play.submit()
    assert play.wants() == ["start b"]


def test_where_nothing_else_is_left_one_that_rests_is_tried_after_a_second():
    play = Play("a")
    for now in range(5):
        play.pool.places[0].missed("no route", float(now))
    play.now = 4.5  # it rests until 12
    play.submit()
    play.at(4.9)
    assert play.wants() == []
    play.at(5.0)
    assert play.wants() == ["start a"]


def test_while_another_works_it_rests_to_the_end():
    play = working("a", "b")
    for now in range(5):
        play.pool.places[1].missed("no route", float(now))
    play.now = 4.5
    play.dies("b")
    play.at(11.9)
    assert play.wants() == []
    play.at(12.1)
    assert play.wants() == ["start b"]


def test_no_workers_when_each_server_was_tried_in_vain():
    play = Play("a", "b")
    play.submit()
    play.dies("a", reason="no route")
    assert play.wants() == ["start a", "start b"]
    play.dies("b", reason="ended with exit status 255", stderr="banner\nPermission denied\n")
    assert play.wants() == ["1 ends: NoWorkers"]
    assert isinstance(play.errors[1], NoWorkers)
    assert str(play.errors[1]) == (
        "no server can be reached; a: no route; b: ended with exit status 255: Permission denied"
    )


TRACEBACK = """a banner
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "<sent>/mine.py", line 7, in begin
    import there_is_none
ModuleNotFoundError: No module named 'there_is_none'

"""


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        ("", "ended"),
        (" \n\n", "ended"),
        ("banner\nPermission denied\n\n", "ended: Permission denied"),
        (TRACEBACK, "ended: ModuleNotFoundError: No module named 'there_is_none' "
                    '(File "<sent>/mine.py", line 7, in begin)'),
        ('  File "<sent>/mine.py", line 7\n    x = = 1\n        ^\nSyntaxError: invalid syntax',
         'ended: SyntaxError: invalid syntax (File "<sent>/mine.py", line 7)'),
        ('File "is all that it says', 'ended: File "is all that it says'),
        ("\r\nin lines of Windows\r\n", "ended: in lines of Windows"),
    ],
)  # fmt: skip
def test_why_ends_with_its_last_words_and_where_a_traceback_says_it_was(stderr, why):
    play = Play("a")
    play.submit()
    play.dies("a", reason="ended", stderr=stderr)
    assert play.pool.places[0].why == why
    assert play.wants() == ["start a", "1 ends: NoWorkers"]
    assert str(play.errors[1]).endswith(f"a: {why}")


def test_a_failure_before_the_task_came_is_no_reason_to_give_it_up():
    play = Play("a", "b")
    play.submit()
    play.dies("a")
    play.dies("b")
    play.now = 0.2
    play.submit()
    play.at(0.45)
    assert play.wants() == ["start a", "start b", "1 ends: NoWorkers"]
    play.at(0.5)
    play.dies("a")
    assert play.wants() == ["start a", "start b"]
    play.dies("b")
    assert play.wants() == ["2 ends: NoWorkers"]


def test_a_worker_at_work_is_hope_for_what_waits():
    play = working("a", "b")
    play.submit()
    play.dies("b")  # it rests
    play.at(0.5)
    play.dies("b")  # it could not be started
    assert "3 ends: NoWorkers" not in play.wants()


def test_a_worker_of_a_server_that_leaves_is_none():
    play = working("a", "b")
    play.serve("b")
    play.dies("b")
    play.submit()
    play.at(1.0)
    play.dies("b")
    assert [word for word in play.wants() if "ends" in word] == [
        "2 ends: NoWorkers", "3 ends: NoWorkers"
    ]  # fmt: skip


def test_with_no_server_at_all_tasks_have_patience():
    play = Play(patience_seconds=10.0)
    play.at(5.0)
    play.submit()
    play.at(14.9)
    assert play.wants() == []
    play.at(15.0)
    assert play.wants() == ["1 ends: NoWorkers"]
    assert str(play.errors[1]) == "there was no server for 10 s"


def test_patience_begins_when_the_last_server_has_gone():
    play = Play("a", patience_seconds=10.0)
    play.submit()
    play.at(0.4)
    play.serve()
    play.dies("a")
    play.at(10.3)
    assert play.wants() == ["start a", "stop a"]
    play.at(10.5)
    assert play.wants() == ["1 ends: NoWorkers"]


def test_patience_is_not_renewed_by_news_of_nobody():
    play = Play("a", patience_seconds=10.0)
    play.serve()
    play.submit()
    play.at(5.0)
    play.serve()
    play.at(10.0)
    assert play.wants() == ["1 ends: NoWorkers"]


def test_a_server_that_comes_in_time_gets_what_waits():
    play = Play(patience_seconds=10.0)
    play.submit()
    play.at(9.9)
    play.serve("a")
    assert play.wants() == ["start a"]
    play.at(12.0)
    play.ready("a")
    assert play.wants() == ["1 to a"]


# --- workers that are lost ------------------------------------------------------------------------


def test_what_ran_is_tried_elsewhere_and_counted():
    play = working("a", "b")
    play.done("b", 2)
    play.dies("a", reason="killed by SIGSEGV", stderr="segfault")
    assert play.wants() == ["1 to b"]
    assert play.attempts(1) == [("a", "lost")]
    assert play.tasks[1].attempts[0].reason == "killed by SIGSEGV"
    assert play.tasks[1].attempts[0].stderr == "segfault"


def test_what_waited_behind_it_is_not_counted():
    play = quick("a", "b", window=3)
    for _ in range(6):
        play.submit()
    assert play.wants() == ["3 to a", "4 to b", "5 to a", "6 to a", "7 to b", "8 to b"]
    play.dies("a")
    assert [len(play.tasks[number].attempts) for number in (3, 5, 6)] == [1, 0, 0]
    play.done("b", 4, 7, 8, micros=QUICK)
    assert play.wants() == ["3 to b", "5 to b", "6 to b"]


def test_after_its_attempts_a_task_is_given_up():
    play = working("a", "b")
    play.dies("a")
    play.done("b", 2)
    play.dies("b")
    play.at(0.6)
    play.ready("a")
    assert play.wants() == ["1 to b", "start a", "1 to a"]
    play.dies("a")
    assert "1 ends: WorkerLost" in play.wants()
    assert play.attempts(1) == [("a", "lost"), ("b", "lost"), ("a", "lost")]


def test_with_one_attempt_it_is_sent_once():
    play = Play("a", "b")
    play.submit(attempts=1)
    play.ready("a")
    play.dies("a")
    play.at(5.0)
    assert play.wants() == ["start a", "1 to a", "1 ends: WorkerLost"]


def test_with_one_attempt_it_is_alone_in_its_worker():
    """Else it were lost for the sake of another one."""
    play = quick("a", window=4)
    play.submit(attempts=1)
    play.submit()
    assert play.wants() == ["2 to a"]
    play.done("a", 2, micros=QUICK)
    play.submit(attempts=1)
    assert play.wants() == ["3 to a"]
    play.done("a", 3, micros=QUICK)
    assert play.wants() == ["4 to a"]


def test_what_nobody_was_there_for_costs_no_attempt():
    play = Play("a", "b")
    play.submit(attempts=1)
    play.ready("a")
    play.pool.unreached(play.slot("a"), "no route", play.now)
    assert play.wants() == ["start a", "1 to a", "start b"]
    assert play.tasks[1].attempts == []
    play.ready("b")
    assert play.wants() == ["1 to b"]


def test_members_that_nobody_reaches_are_not_tried_for_ever():
    """A member is ready at once, which proves nothing: each may have been tried since it waits."""
    play = members("a", "b")
    play.submit()
    for name in ("a", "b"):
        play.at(play.now + 0.1)
        play.ready(name)
        play.pool.unreached(play.slot(name), "no route", play.now)
    assert play.wants() == ["start a", "1 to a", "start b", "1 to b", "1 ends: NoWorkers"]


def test_a_member_that_nobody_reaches_rests_longer_each_time():
    play = members("a")
    for _ in range(3):
        play.at(play.now + 5.0)
        play.submit()
        play.ready("a")
        play.pool.unreached(play.slot("a"), "no route", play.now)
    place = play.pool.places[0]
    assert place.rest.until == play.now + 2.0
    play.at(play.now + 5.0)
    play.submit()
    play.ready("a")
    play.done("a", 4)
    assert (place.why, place.rest.until < 0.0) == ("", True)


def test_a_worker_that_was_lost_rests_and_its_server_does_not():
    play = working("a")
    play.dies("a")
    play.at(0.4)
    assert play.wants() == []
    assert play.pool.places[0].why == ""
    play.at(0.5)
    assert play.wants() == ["start a"]


def test_an_end_that_is_told_twice_is_one():
    play = working("a")
    play.done("a", 1)
    play.dies("a")
    play.dies("a")
    play.pool.unreached(play.slot("a"), "no route", play.now)
    assert play.pool.places[0].why == ""
