"""``InterruptibleFuture``: a future of threads; whoever waits for it hears of signals."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 1.0


class InterruptibleFuture(Future[T]):
    """As Python's. But a signal (Ctrl-C) that comes in the very moment in which its thread begins
    to wait for a lock is handled when that wait ends, which may be never: so no wait of ours is
    longer than ``LOOK_SECONDS`` at a time.
    """

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
