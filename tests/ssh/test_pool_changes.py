"""Servers come and go, and so does the pool itself."""

from meshcluster.ssh.server import Server
from tests.ssh.play import QUICK, Play, members, quick, working

# --- servers come and go --------------------------------------------------------------------------


def test_a_new_server_gets_what_waits():
    play = working("a")
    play.submit()
    play.serve("a", "b")
    assert play.wants() == ["start b"]


def test_one_that_leaves_ends_what_it_runs_and_goes():
    play = quick("a", "b", window=2)
    for _ in range(4):
        play.submit()
    play.wants()
    play.serve("b")
    assert play.wants() == ["recall 5 at a"]
    play.submit()
    play.gives_back("a", 5)
    play.done("a", 3)
    assert play.wants() == ["stop a"]
    play.dies("a")
    assert [place.server.name for place in play.pool.places] == ["b"]


def test_idle_workers_and_those_that_start_go_at_once():
    play = Play("a", "b")
    for _ in range(3):
        play.submit()
    play.ready("a")
    play.done("a", 1)
    play.wants()
    play.serve("c")
    assert play.wants() == ["stop b", "start c"]
    play.done("a", 2)
    assert play.wants() == ["stop a"]


def test_one_that_returns_while_it_is_busy_goes_on():
    play = working("a")
    play.serve("b")
    play.serve("a")
    play.submit()
    play.done("a", 1)
    assert play.wants() == ["2 to a"]


def test_one_that_returns_when_its_workers_end_has_new_ones():
    play = quick("a")
    play.serve()
    assert play.wants() == ["stop a"]
    play.serve("a")
    play.submit()
    assert play.wants() == []
    play.dies("a")
    assert play.wants() == ["start a"]


def test_one_with_other_slots_has_new_workers_and_the_old_ones_end_what_they_run():
    play = working("a")
    old = play.slot("a")
    play.serve("a", slots=2)
    play.submit()
    play.submit()
    assert play.wants() == ["start a0", "start a1"]
    play.pool.answered(old, 1, play.now, QUICK)
    play.pool.refill(old, play.now)
    assert play.wants() == ["stop a"]
    play.serve("a", slots=2)
    play.pool.ended(old, "bye", "", play.now)
    assert [len(place.slots) for place in play.pool.places] == [2]


def test_one_with_another_address_has_new_workers():
    play = quick("a")
    play.pool.serve([Server("a", host="elsewhere")], play.now)
    play.submit()
    assert play.wants() == ["stop a", "start a"]
    assert play.slot("a").place.leaving, "the first of that name"


def test_a_member_that_says_something_new_of_itself_keeps_its_calls():
    play = members("a")
    play.submit()
    play.ready("a")
    play.wants()
    news = object()
    play.pool.serve([Server("a", service=news)], play.now)
    assert play.wants() == []
    assert play.slot("a").place.server.service is news


# --- the end --------------------------------------------------------------------------------------


def test_closing_lets_all_that_is_open_be_done():
    play = working("a")
    play.submit()
    play.pool.close(drain=True)
    play.done("a", 1)
    assert play.wants() == ["2 to a"]
    play.done("a", 2)
    assert play.wants() == ["stop a"]


def test_or_gives_it_up():
    play = working("a")
    play.submit()
    play.pool.close(drain=False)
    assert play.wants() == ["2 ends: cancelled", "1 ends: DispatcherClosed", "kill a"]
    assert play.pool.endings.open == 0


def test_or_what_waits_alone():
    play = working("a")
    play.submit()
    play.pool.close(drain=True, cancel_waiting=True)
    assert play.wants() == ["2 ends: cancelled"]
    play.done("a", 1)
    assert play.wants() == ["stop a"]


def test_after_giving_up_nothing_is_tried_again():
    play = Play("a")
    play.submit(retry_on=OSError)
    play.ready("a")
    (task,) = play.answer("a", 1)
    play.pool.close(drain=False)
    play.wants()
    play.pool.raised(task, OSError("no"), play.now)
    assert play.wants() == ["1 ends: OSError"]


def test_what_is_lost_while_it_drains_is_tried_again():
    play = working("a", "b")
    play.pool.close(drain=True)
    play.done("b", 2)
    play.dies("a")
    assert play.wants() == ["1 to b"]


def test_when_the_last_open_task_is_cancelled_workers_go():
    play = Play("a", "b", max_servers=1)
    play.submit()
    play.pool.close(drain=True)
    play.cancel(1)
    assert play.wants() == ["start a", "1 ends: cancelled", "stop a"]


def test_a_pool_without_work_ends_its_workers_at_once():
    play = quick("a", "b")
    play.pool.close(drain=True)
    assert play.wants() == ["stop a", "stop b"]


def test_who_does_not_go_politely_is_told_again():
    play = quick("a")
    play.pool.close(drain=True)
    play.pool.close(drain=False)
    assert play.wants() == ["stop a", "kill a"]


def test_a_word_of_a_task_that_is_not_there_changes_nothing():
    play = working("a")
    slot = play.slot("a")
    assert play.pool.answered(slot, 99, 1.0, 5) is None
    play.pool.unbegun(slot, 99, 1.0)
    play.pool.cancelled(slot, 99, 1.0)
    assert list(slot.in_hand) == [1]
    assert (slot.since, play.wants()) == (0.0, [])
