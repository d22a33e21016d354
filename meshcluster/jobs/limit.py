"""``Limit``: how long something may take, but for the time in which a person types a password."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType


class Limit:
    """``asyncio.timeout`` that can stand still.

    Args:
        seconds: so many; None: any number.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._paused = 0
        self._left: float | None = None

    async def __aenter__(self) -> Limit:
        self._timeout = asyncio.timeout(self._seconds)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def expired(self) -> bool:
        """It took longer."""
        return self._timeout.expired()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stands still meanwhile; for several at once, until the last of them."""
        loop = asyncio.get_running_loop()
        self._paused += 1
        if self._paused == 1 and (when := self._timeout.when()) is not None:
            self._left = when - loop.time()
            self._set(None)
        try:
            yield
        finally:
            self._paused -= 1
            if not self._paused and self._left is not None:
                self._set(loop.time() + self._left)
                self._left = None

    def _set(self, when: float | None) -> None:
        with suppress(RuntimeError):  # it is over already
            self._timeout.reschedule(when)
