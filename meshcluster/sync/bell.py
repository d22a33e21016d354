"""``Bell``: threads wait for something to become true; whoever made it true rings.

Ringing takes no lock that a waiter could hold. A condition or an event would: a signal's handler
interrupts its thread anywhere, also with that lock held, and if the handler calls ``leave``, the
loop's thread would wait for the lock while the handler waits for the loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from ..waits import LOOK_SECONDS, take


class Bell:
    """Rung from any thread; waited for in any thread, also in the handler of a signal."""

    def __init__(self) -> None:
        self._waiting: list[SimpleQueue[None]] = []

    def ring(self) -> None:
        """Lets all who wait look again."""
        for waiter in tuple(self._waiting):
            waiter.put(None)

    def wait_for(self, true: Callable[[], bool], timeout: float | None = None) -> bool:
        """Waits until ``true()``; False when it was not after ``timeout`` seconds."""
        if true():
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        waiter: SimpleQueue[None] = SimpleQueue()
        self._waiting.append(waiter)  # before looking again: what is rung from here on is heard
        try:
            while not true():
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                with suppress(Empty):
                    take(waiter, LOOK_SECONDS if left is None else min(left, LOOK_SECONDS))
            return True
        finally:
            self._waiting.remove(waiter)
