"""One event loop in one daemon thread, and the ways from blocking code into it.

Who waits here holds no lock that the loop could want, so that a signal's handler may interrupt it
and use the same portal.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ..errors import ClusterError, ForkedClusterError, NotJoined
from ..runtime import forking
from ..waits import take

T = TypeVar("T")

Outcomes = SimpleQueue[Callable[[], T]]
"""What becomes of one call: a function that returns its value or raises."""

PATIENCE_SECONDS = 5.0
"""How long an interrupted call, and the end of the thread, are waited for."""


class Portal:
    """``open`` starts the thread, ``close`` ends it."""

    def __init__(self, name: str) -> None:
        self._loop = _new_loop()
        self._inherited = False
        self._stopped = False
        self._waiting: set[SimpleQueue[Any]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        forking.watch(self)

    def open(self) -> None:
        """Starts the thread. Interrupted, it may have started: ``close`` is needed all the same."""
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)  # this thread's own
        try:
            self._loop.run_forever()
            if self._inherited:
                return
            self._loop.run_until_complete(self._finish())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        except RuntimeError:
            if not self._inherited:
                raise  # in the child this is the main thread, which uvloop did not expect
        finally:
            asyncio.set_event_loop(None)
            if not self._inherited:
                self._loop.close()
                for outcomes in tuple(self._waiting):  # asked too late for the loop to hear
                    outcomes.put(_left)

    def forked(self) -> None:
        """In a forked child. The loop is the parent's: it is not closed, see ``forking``.

        Forked from this very thread, by an interceptor, the thread ends, and the child with it.
        """
        self._inherited = True
        if self.inside:
            self._loop.stop()

    def call(self, make: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Runs the coroutine that ``make`` makes in the loop, and waits for it.

        When a signal's handler raises meanwhile (Ctrl-C, ``sys.exit()``), the coroutine is
        cancelled and has ended when that is raised here.

        Raises:
            ClusterError: called in the loop's own thread, where it would wait for itself.
            TimeoutError: it did not end in time; it goes on.
        """
        outcomes: Outcomes[T] = SimpleQueue()
        tasks: list[asyncio.Task[T]] = []

        def start() -> None:
            if self._stopped:  # nobody would run it any more
                outcomes.put(_left)
                return
            try:
                tasks.append(task := self._loop.create_task(make()))
            except Exception as error:
                outcomes.put(partial(_raise, error))
            else:
                task.add_done_callback(lambda task: outcomes.put(task.result))

        def cancel() -> None:
            if not tasks:  # interrupted before the loop was asked
                outcomes.put(_left)
            elif not tasks[0].cancel():  # done, and interrupted just when it had the outcome
                outcomes.put(tasks[0].result)

        try:
            self.check_outside()
            outcome = self._ask(start, outcomes, timeout)
        except (ClusterError, TimeoutError):
            raise
        except BaseException:  # not the outcome's: of a signal's handler
            with suppress(BaseException):
                self._loop.call_soon_threadsafe(cancel)
                take(outcomes, PATIENCE_SECONDS)
            with suppress(BaseException):  # seen, or asyncio complains that it was not
                tasks[0].result()
            raise
        try:
            return outcome()
        except asyncio.CancelledError:
            raise NotJoined("the cluster was left meanwhile") from None

    def check_outside(self) -> None:
        """Refuses the loop's own thread, where a blocking call would wait for itself."""
        if self.inside:
            raise ClusterError(
                "a blocking call from an interceptor, a service.validate hook or a mailbox's "
                "receiver would wait for itself: make it from an event, query or service hook"
            )

    def run(self, function: Callable[[], T]) -> T:
        """Runs a function in the loop and waits for it; in the loop's own thread at once."""
        if self.inside:
            return function()
        outcomes: Outcomes[T] = SimpleQueue()

        def run() -> None:
            try:
                value = function()
            except BaseException as error:
                outcomes.put(partial(_raise, error))
            else:
                outcomes.put(lambda: value)

        return self._ask(run, outcomes, None)()

    def _ask(
        self, function: Callable[[], None], outcomes: Outcomes[T], timeout: float | None
    ) -> Callable[[], T]:
        """Has the loop call a function, and waits for the outcome that it puts."""
        if self._inherited:
            raise ForkedClusterError
        self._waiting.add(outcomes)
        try:
            try:
                self._loop.call_soon_threadsafe(function)
            except RuntimeError:  # the loop is closed
                return _left
            return take(outcomes, timeout)
        except Empty:
            raise TimeoutError(f"not done after {timeout:g} s") from None
        finally:
            self._waiting.discard(outcomes)

    async def _finish(self) -> None:
        """What was asked for before the loop stopped gets its answer, if only a cancellation."""
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(3):  # what they closed ends a turn or two later
            await asyncio.sleep(0)

    @property
    def inside(self) -> bool:
        """Whether the caller is in the loop's thread."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """Ends the loop and, unless called from it, its thread. Idempotent."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop)
        if self._thread.ident is None:
            self._loop.close()
        elif not self.inside:
            self._thread.join(PATIENCE_SECONDS)

    def _stop(self) -> None:
        if not self._stopped:  # once, or a second would break off what the first began
            self._stopped = True
            self._loop.stop()


def _left() -> Any:
    raise NotJoined("the cluster was left")


def _raise(error: BaseException) -> Any:
    raise error


def _new_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop there is; on Windows one that can watch sockets (Proactor cannot)."""
    if sys.platform == "win32":
        try:
            import winloop
        except ImportError:
            return asyncio.SelectorEventLoop()
        made_here: asyncio.AbstractEventLoop = winloop.new_event_loop()
        return made_here
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return made
