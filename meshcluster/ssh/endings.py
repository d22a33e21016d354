"""``Endings``: what becomes of a task when a worker has had it: its end, or another try."""

from __future__ import annotations

from ..errors import TaskTimeout, WorkerLost
from .effects import Effect, Settle
from .slot import Slot
from .task import Attempt, Task
from .waiting import Waiting


class Endings:
    """A task has its end once: a result, an error, or it is cancelled."""

    def __init__(self, waiting: Waiting, effects: list[Effect]) -> None:
        self.tasks: dict[int, Task] = {}
        """Those that have no end yet."""
        self.final = False
        """Nothing is tried again."""
        self._waiting = waiting
        self._effects = effects

    @property
    def open(self) -> int:
        """How many tasks have no end yet."""
        return len(self.tasks)

    def queue(self, task: Task, now: float) -> None:
        """It waits for a worker, the first time or once more."""
        task.queued_at = now
        self.wait_on(task)

    def wait_on(self, task: Task) -> None:
        """It waits as if it had never been sent: nobody was there."""
        task.timed_out = task.recalled = False
        self._waiting.add(task)

    def settle(self, task: Task, error: BaseException | None) -> None:
        """It has no result: an error, or (None) it is cancelled."""
        if self.finish(task):
            self._effects.append(Settle(task, error))

    def finish(self, task: Task) -> bool:
        """It has its end. False: it had one."""
        if task.settled:
            return False
        if task.waiting:
            self._waiting.remove(task)
        task.settled = True
        self.tasks.pop(task.number, None)
        return True

    def raised(self, task: Task, error: BaseException, now: float) -> None:
        """The last try ended with what the task itself raised."""
        task.attempts[-1] = task.attempts[-1]._replace(outcome="raised", reason=_brief(error))
        self._again(task, error, now, isinstance(error, task.terms.retry_on))

    def gone(self, task: Task, slot: Slot, reason: str, stderr: str, now: float) -> None:
        """The worker that ran it has given it up, or is no more."""
        attempt = Attempt(
            slot.place.server.name, "lost", reason, slot.pid, now - slot.since, stderr[-2000:]
        )
        task.attempts.append(attempt)
        if task.timed_out:
            self._timed_out(task, now)
        else:
            self._again(task, WorkerLost(_history(task), task.attempts), now, True)

    def _timed_out(self, task: Task, now: float) -> None:
        reason = f"it took more than {task.terms.timeout:g} s"
        last = task.attempts[-1] = task.attempts[-1]._replace(outcome="timeout", reason=reason)
        error = TaskTimeout(f"{last.server}: {reason}", task.attempts)
        self._again(task, error, now, isinstance(error, task.terms.retry_on))

    def _again(self, task: Task, error: BaseException, now: float, worth_it: bool) -> None:
        if task.settled:
            return
        if worth_it and task.tries_left and not self.final:
            self.queue(task, now)
        else:
            self.settle(task, error)


def _brief(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:  # a class of users' may refuse to say what it is
        return type(error).__name__


def _history(task: Task) -> str:
    tries = []
    for attempt in task.attempts:
        if attempt.outcome != "lost":
            continue
        last = attempt.stderr.strip().rpartition("\n")[2]
        tries.append(f"{attempt.server}: {attempt.reason}" + (f" ({last})" if last else ""))
    many = f"{len(tries)} workers were" if len(tries) > 1 else "the worker was"
    return f"{many} lost with it: " + "; ".join(tries)
