"""``Room``: how many tasks may be open at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import ConfigError, Congested
from ..waits import LOOK_SECONDS


class Room:
    """Who comes when it is full waits, or is refused."""

    def __init__(self, most: int | None, congestion: str) -> None:
        if congestion not in ("block", "error"):
            raise ConfigError(f'congestion={congestion!r}: "block" or "error"')
        self._most = most
        self._blocks = congestion == "block"
        self._places = threading.Semaphore(most) if most else None

    def enter(self, may_wait: Callable[[], bool]) -> None:
        """Takes a place.

        Raises:
            Congested: there is none, and nobody is to wait, or nobody may: of those who wait none
                could leave.
        """
        if self._places is None or self._places.acquire(blocking=False):
            return
        if not self._blocks or not may_wait():
            raise Congested(f"{self._most} tasks are open, as many as max_open= has it")
        while not self._places.acquire(timeout=LOOK_SECONDS):
            pass

    def leave(self, _: object = None) -> None:
        """Gives it back."""
        if self._places is not None:
            self._places.release()

    @property
    def bounded(self) -> bool:
        """It has an end."""
        return self._places is not None
