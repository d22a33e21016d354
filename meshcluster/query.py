"""A query on its way: answers as they come, and what became of everybody who was asked."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any, Self

from .model import Service
from .node.queries import DONE, Gathering


class Wish(enum.Enum):
    """What ``on_event`` may return."""

    STOP = "STOP"

    def __repr__(self) -> str:
        return self.value


STOP = Wish.STOP
"""Returned by ``on_event``: end the query now, with what there is."""


class QueryView:
    """What both faces of a query can be asked at any time, from any thread."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering
        self.service: Service | None = None
        """Inside ``on_event``: the service that the response or error is of."""

    @property
    def results(self) -> dict[Service, Any]:
        """The answers so far, by service. A copy."""
        return self._gathering.results.copy()

    @property
    def errors(self) -> dict[Service, Exception]:
        """Why others will not answer, so far, by service. A copy.

        ``RemoteError`` (its responder raised), ``NoResponder``, ``ServiceLost``, ``NoRoute``.
        """
        return self._gathering.errors.copy()

    @property
    def remaining(self) -> tuple[Service, ...]:
        """Those who were asked and of whom nothing is known yet."""
        return self._gathering.remaining

    @property
    def done(self) -> bool:
        """Whether the query has ended."""
        return self._gathering.over

    def abandon(self, failure: Exception) -> None:
        """Told by the driver: no more answers come, and no loop is there to say so."""
        if not self._gathering.over:
            self._gathering.failure = failure
            self._gathering.over = True

    def __repr__(self) -> str:
        gathering = self._gathering
        state = "done" if gathering.over else f"{len(gathering.waiting)} remaining"
        return (
            f"<{type(self).__name__} {len(gathering.results)} answered, "
            f"{len(gathering.errors)} failed, {state}>"
        )


OnEvent = Callable[[str, Any], Any]


class AsyncQuery(QueryView):
    """A query of an ``AsyncCluster``: ``async for service, answer in query`` or ``await query``."""

    def __init__(
        self, gathering: Gathering, cancel: Callable[[Gathering], None], on_event: OnEvent | None
    ) -> None:
        super().__init__(gathering)
        self._cancel = cancel
        self._on_event = on_event
        self._changed = asyncio.Event()

    def progress(self, name: str, service: Service | None) -> None:
        """Told by the driver, in the loop."""
        self._changed.set()
        if self._on_event is None:
            return
        self.service = service
        if self._on_event(name, self) is STOP and name != DONE:
            self.cancel()

    def abandon(self, failure: Exception) -> None:
        """Told by the driver."""
        super().abandon(failure)
        self._changed.set()

    def cancel(self) -> None:
        """Ends the query; iteration and ``wait`` end with what there is."""
        self._cancel(self._gathering)

    async def wait(self, timeout: float | None = None) -> dict[Service, Any]:
        """The results, once everybody expected has answered, left or died.

        Raises:
            QueryTimeout: the query's deadline passed; it holds what arrived.
            NoServices: nobody matched.
            TimeoutError: ``timeout`` seconds passed first; the query goes on.
        """
        async with asyncio.timeout(timeout):
            while not self._gathering.over:
                await self._next_change()
        self._raise()
        return self.results

    def __await__(self) -> Generator[Any, None, dict[Service, Any]]:
        return self.wait().__await__()

    async def __aiter__(self) -> AsyncIterator[tuple[Service, Any]]:
        order = self._gathering.order
        seen = 0
        while True:
            while seen < len(order):
                seen += 1
                yield order[seen - 1]
            if self._gathering.over:
                break
            await self._next_change()
        self._raise()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.cancel()

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _raise(self) -> None:
        if self._gathering.failure is not None:
            raise self._gathering.failure
