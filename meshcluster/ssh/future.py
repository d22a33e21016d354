"""``TaskFuture``: a task under way, as a future of threads that can be awaited, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from ..waits import InterruptibleFuture
from .task import Attempt, Task


class TaskFuture(InterruptibleFuture[Any]):
    """What ``submit`` returns: ``result(timeout)``, ``cancel()``, ``concurrent.futures.wait``; or
    ``await`` it in any event loop.

    Callbacks run in a thread that reads from workers: they must be short, and not block.
    """

    def __init__(
        self, task: Task, cancel: Callable[[Task], bool], check_outside: Callable[[], None]
    ) -> None:
        super().__init__()
        self._task = task
        self._cancel = cancel
        self._check_outside = check_outside

    @property
    def number(self) -> int:
        """The task's; log lines have it."""
        return self._task.number

    @property
    def server(self) -> str:
        """The server whose worker has it, or had it last; "" while none has had it."""
        return self._task.server

    def __repr__(self) -> str:
        where = f" at {self.server}" if self.server else ""
        state = "running" if self.running() else self._state.lower()
        return f"<TaskFuture {self.number} {state}{where}>"

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Which workers had it, and what became of each try."""
        return tuple(self._task.attempts)

    def running(self) -> bool:
        """A worker has it."""
        return not self.done() and not self._task.waiting

    def cancel(self) -> bool:
        """Gives it up. One that waits never runs; one that runs is ended: ``TaskCancelled`` is
        raised inside it, and a worker that does not heed that is replaced. False: it has ended.
        """
        return self._cancel(self._task) or self.cancelled()

    def result(self, timeout: float | None = None) -> Any:
        """What the task returned, once it is there.

        Raises:
            TimeoutError: it was not after ``timeout`` seconds; the task goes on.
            ClusterError: waiting would be for ever, in a callback or in the loop of the cluster
                whose members work: ``await`` it there.
            CancelledError: it was cancelled.
            NoWorkers, WorkerLost, TaskTimeout, DispatcherClosed: it was not done.
            TaskRaised, or an exception of Python's own: the task raised it. Its cause has the
                traceback there.
        """
        self._check(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Why there is no result; None when there is one. Waits as ``result`` does."""
        self._check(timeout)
        return super().exception(timeout)

    def _check(self, timeout: float | None) -> None:
        if timeout != 0 and not self.done():
            self._check_outside()

    def set_result(self, result: Any) -> None:
        """It has one. What it was made of is let go of at once: it may be large."""
        self._task.let_go()
        super().set_result(result)

    def settle(self, error: BaseException | None) -> None:
        """It has no result: an error, or it is cancelled."""
        self._task.let_go()
        if error is not None:
            self.set_exception(error)
        elif super().cancel():
            self.set_running_or_notify_cancel()  # for concurrent.futures.wait

    def __await__(self) -> Generator[Any, None, Any]:
        return asyncio.wrap_future(self).__await__()
