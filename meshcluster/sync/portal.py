"""One event loop in one daemon thread, and the ways from blocking code into it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from ..errors import ClusterError, NotJoined

T = TypeVar("T")


class Portal:
    """Started when made; ``close`` ends the thread."""

    def __init__(self, name: str) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)  # this thread's own
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._finish())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the loop and waits for it.

        Raises:
            ClusterError: called in the loop's own thread, where it would wait for itself.
        """
        try:
            self.check_outside()
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except ClusterError:
            coroutine.close()
            raise
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise NotJoined("the cluster was left") from None
        try:
            return future.result()
        except CancelledError:
            raise NotJoined("the cluster was left meanwhile") from None

    def check_outside(self) -> None:
        """Refuses the loop's own thread, where a blocking call would wait for itself."""
        if self.inside:
            raise ClusterError(
                "a blocking call from an interceptor or a service.validate hook would wait for "
                "itself: make it from an event, query or service hook"
            )

    def run(self, function: Callable[[], T]) -> T:
        """Runs a function in the loop and waits for it; in the loop's own thread at once."""
        if self.inside:
            return function()
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(function())
            except BaseException as error:
                result.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(run)
        except RuntimeError:
            raise NotJoined("the cluster was left") from None
        return result.result()

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
        """Ends the loop and its thread, unless called from it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.inside:
            self._thread.join()


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
