"""Threads for hooks: in order on one, at once on many, never more than asked for."""

import gc
import threading
import weakref

import pytest

from meshcluster.runtime.workers import Workers


@pytest.fixture
def workers():
    """Makes workers that are closed at the end."""
    made = []

    def workers(count):
        made.append(Workers("test-worker", count))
        return made[-1]

    yield workers
    for each in made:
        each.close(10)


def running():
    return [t for t in threading.enumerate() if t.name.startswith("test-worker")]


def run(workers, function):
    """Puts a job and waits for its end."""
    done = threading.Event()
    workers.put(lambda: (function(), done.set()))
    assert done.wait(10)


def test_no_thread_is_started_before_there_is_a_job(workers):
    workers(4)
    assert running() == []


def test_one_thread_runs_jobs_in_their_order(workers):
    one, ran = workers(1), []
    for number in range(1000):
        one.put(ran.append, number)
    run(one, lambda: None)
    assert ran == list(range(1000))
    assert len(running()) == 1


@pytest.mark.parametrize("idle", [0, 1, 2])
def test_as_many_jobs_run_at_once_as_there_are_threads(workers, idle):
    """Also when some threads are idle already: none of the jobs may wait behind another."""
    four = workers(4)
    together = threading.Barrier(idle + 1)
    for _ in range(idle):
        four.put(together.wait, 10)
    together.wait(10)
    meeting = threading.Barrier(5)
    for _ in range(4):
        four.put(meeting.wait, 10)
    meeting.wait(10)


def test_there_are_never_more_threads_than_asked_for(workers):
    three = workers(3)
    for _ in range(100):
        three.put(lambda: None)
    run(three, lambda: None)
    assert len(running()) <= 3


def test_an_idle_thread_is_used_again(workers):
    four, threads = workers(4), set()
    for _ in range(50):  # a thread may not have come to rest yet when the next job comes
        run(four, lambda: threads.add(threading.current_thread()))
    assert len(threads) <= 4


def test_close_runs_what_waits_first(workers):
    one, ran = workers(1), []
    for number in range(100):
        one.put(ran.append, number)
    one.close(10)
    assert len(ran) == 100
    assert running() == []


def test_close_may_be_called_by_a_job(workers):
    one, went_on = workers(1), threading.Event()
    one.put(lambda: (one.close(10), went_on.set()))
    assert went_on.wait(10)


def test_close_waits_no_longer_than_told_for_a_job_that_blocks(workers):
    one, release = workers(1), threading.Event()
    one.put(release.wait)
    (thread,) = running()
    one.close(0.01)
    assert thread.is_alive()
    release.set()
    thread.join(10)


def test_an_idle_thread_keeps_nothing_of_its_last_job(workers):
    class Message:
        pass

    one, message = workers(1), Message()
    seen = weakref.ref(message)
    one.put(lambda message: None, message)
    del message
    run(one, lambda: None)
    gc.collect()
    assert seen() is None


def test_empty_tells_whether_jobs_wait(workers):
    one, release, started = workers(1), threading.Event(), threading.Event()
    assert one.empty
    one.put(lambda: (started.set(), release.wait(10)))
    assert started.wait(10)
    assert one.empty
    one.put(lambda: None)
    assert not one.empty
    release.set()
