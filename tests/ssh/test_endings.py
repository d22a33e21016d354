"""What becomes of a task when a worker has had it."""

import pytest

from meshcluster.errors import TaskTimeout, WorkerLost
from meshcluster.ssh.effects import Settle
from meshcluster.ssh.endings import Endings
from meshcluster.ssh.server import Server
from meshcluster.ssh.slot import Place
from meshcluster.ssh.task import Attempt, Task, Terms
from meshcluster.ssh.waiting import Waiting


class Had:
    """A task that a worker of server a has had."""

    def __init__(self, **terms):
        self.effects = []
        self.waiting = Waiting()
        self.endings = Endings(self.waiting, self.effects)
        self.task = Task(1, terms=Terms(**terms))
        self.endings.tasks[1] = self.task
        (self.slot,) = Place(Server("a")).slots

    def lost(self, now=1.0, reason="it died", stderr=""):
        self.endings.gone(self.task, self.slot, reason, stderr, now)

    def raised(self, error, now=1.0):
        self.task.attempts.append(Attempt("a", "done"))
        self.endings.raised(self.task, error, now)

    @property
    def error(self):
        """Of its one end."""
        ((task, error),) = self.effects
        assert task is self.task
        assert task.settled
        assert self.endings.open == 0
        return error

    @property
    def waits(self):
        assert self.effects == []
        assert self.endings.open == 1
        return self.waiting.first() is self.task


def test_one_that_was_lost_is_tried_again():
    had = Had()
    had.slot.since, had.slot.pid = 0.25, 77
    had.lost(now=1.0, stderr="segfault")
    assert had.waits
    assert had.task.attempts == [Attempt("a", "lost", "it died", 77, 0.75, "segfault")]
    assert had.task.queued_at == 1.0


def test_until_it_has_no_attempt_left():
    had = Had(attempts=2)
    had.lost(reason="killed by SIGKILL")
    had.waiting.take()
    had.lost(stderr="Traceback:\n  at f\nMemoryError\n")
    assert isinstance(had.error, WorkerLost)
    assert had.error.attempts == tuple(had.task.attempts)
    assert str(had.error) == (
        "2 workers were lost with it: a: killed by SIGKILL; a: it died (MemoryError)"
    )


def test_tries_that_ended_otherwise_are_no_lost_workers():
    had = Had(attempts=2, retry_on=OSError)
    had.raised(OSError("busy"))
    had.waiting.take()
    had.lost()
    assert str(had.error) == "the worker was lost with it: a: it died"
    assert [attempt.outcome for attempt in had.error.attempts] == ["raised", "lost"]


def test_of_what_a_worker_wrote_the_last_is_kept():
    had = Had(attempts=1)
    had.lost(stderr="x" * 5000 + "the end")
    (attempt,) = had.task.attempts
    assert len(attempt.stderr) == 2000
    assert attempt.stderr.endswith("the end")


def test_one_that_raised_has_its_end():
    had, error = Had(), ValueError("wrong")
    had.raised(error)
    assert had.error is error
    assert had.task.attempts == [Attempt("a", "raised", "ValueError: wrong")]


def test_unless_that_is_to_be_tried_again():
    had = Had(retry_on=(OSError, KeyError), attempts=2)
    had.raised(ConnectionError("reset"))
    assert had.waits
    had.waiting.take()
    had.raised(KeyError("k"))
    assert isinstance(had.error, KeyError)


def test_a_long_text_of_an_error_is_kept_short():
    had = Had()
    had.raised(ValueError("x" * 5000))
    assert len(had.task.attempts[0].reason) == 200


@pytest.mark.parametrize("retry_on", [(), (ValueError,)])
def test_one_that_took_too_long_has_its_end(retry_on):
    had = Had(timeout=1.5, retry_on=retry_on)
    had.task.timed_out = True
    had.lost(now=2.0, stderr="last words")
    assert isinstance(had.error, TaskTimeout)
    assert str(had.error) == "a: it took more than 1.5 s"
    assert had.error.attempts == (
        Attempt("a", "timeout", "it took more than 1.5 s", 0, 2.0, "last words"),
    )


@pytest.mark.parametrize("kind", [TaskTimeout, TimeoutError])
def test_unless_that_is_tried_again_too(kind):
    had = Had(timeout=1.5, retry_on=kind)
    had.task.timed_out = had.task.recalled = True
    had.lost()
    assert had.waits
    assert (had.task.timed_out, had.task.recalled) == (False, False)


def test_a_task_has_one_end():
    had = Had()
    had.endings.queue(had.task, 0.0)
    had.endings.settle(had.task, None)
    assert not had.endings.finish(had.task)
    had.endings.settle(had.task, ValueError())
    had.raised(OSError())
    had.lost()
    assert had.effects == [Settle(had.task, None)]
    assert (len(had.waiting), had.endings.open) == (0, 0)


def test_when_nothing_is_tried_again_each_failure_is_the_last():
    had = Had(retry_on=OSError)
    had.endings.final = True
    had.raised(OSError("no"))
    assert isinstance(had.error, OSError)


def test_one_that_nobody_was_there_for_waits_since_it_was_queued():
    had = Had()
    had.endings.queue(had.task, 3.0)
    had.waiting.take()
    had.endings.wait_on(had.task)
    assert had.waits
    assert had.task.queued_at == 3.0
