"""Waits of threads that hear of signals: ``take`` from a queue, ``InterruptibleFuture``.

A signal (Ctrl-C) that comes in the moment in which its thread begins to wait for a lock is handled
when that wait ends, which may be never (on Windows, any signal is). So no wait is longer than
``LOOK_SECONDS`` at a time.
"""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 1.0


def take(queue: SimpleQueue[T], timeout: float | None = None) -> T:
    """What is put into a queue next.

    Raises:
        Empty: nothing was, for ``timeout`` seconds.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LOOK_SECONDS if deadline is None else deadline - time.monotonic()
        try:
            return queue.get(timeout=max(0.0, min(left, LOOK_SECONDS)))
        except Empty:
            if deadline is not None and left <= LOOK_SECONDS:
                raise


class InterruptibleFuture(Future[T]):
    """As Python's; but who waits for it hears of signals within ``LOOK_SECONDS``."""

    def result(self, timeout: float | None = None) -> T:
        """What it has; as ``concurrent.futures.Future.result``.

        Raises:
            TimeoutError: it had nothing after ``timeout`` seconds.
            CancelledError: it was cancelled.
            Exception: what it has instead of a result.
        """
        self._wait(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Why there is no result; None when there is one. Waits as ``result`` does."""
        self._wait(timeout)
        return super().exception(0)

    def _wait(self, timeout: float | None) -> None:
        """Until it is done, or for so long."""
        deadline = None if timeout is None else time.monotonic() + timeout
        left = LOOK_SECONDS
        while not self.done():
            if deadline is not None and (left := deadline - time.monotonic()) <= 0:
                return
            with suppress(TimeoutError, CancelledError):
                Future.exception(self, min(left, LOOK_SECONDS))
