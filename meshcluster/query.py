"""A query on its way: answers as they come, and what became of everybody who was asked."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .model import Service
from .node.queries import DONE, Gathering

if TYPE_CHECKING:
    from .runtime.asking import Asking


class Wish(enum.Enum):
    """What ``on_event`` may return."""

    STOP = "STOP"

    def __repr__(self) -> str:
        return self.value


STOP = Wish.STOP
"""Returned by ``on_event``: end the query now, with what there is."""


class QueryView:
    """What both faces of a query can be asked at any time, from any thread."""

    service: Service | None = None
    """Inside ``on_event``: the service that the response or error is of."""

    def __init__(self, gathering: Gathering) -> None:
        self._gathering = gathering

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
Futures = tuple[asyncio.Future[None], ...]


class AsyncQuery(QueryView):
    """A query of an ``AsyncCluster``: ``async for service, answer in query`` or ``await query``."""

    _waiting: Futures = ()
    """Of those who wait for its end, apart from those who wait for each answer."""
    _iterating: Futures = ()

    def __init__(self, gathering: Gathering, asking: Asking, on_event: OnEvent | None) -> None:
        self._gathering = gathering
        self._asking = asking
        self._on_event = on_event

    def progress(self, name: str, service: Service | None) -> None:
        """Told by the driver, in the loop."""
        if self._waiting and self._gathering.over:
            _resolve(self._waiting)
        if self._iterating:
            _resolve(self._iterating)
            self._iterating = ()
        if self._on_event is None:
            return
        self.service = service
        if self._on_event(name, self) is STOP and name != DONE:
            self.cancel()

    def abandon(self, failure: Exception) -> None:
        """Told by the driver."""
        super().abandon(failure)
        _resolve(self._waiting)
        _resolve(self._iterating)

    def cancel(self) -> None:
        """Ends the query; iteration and ``wait`` end with what there is."""
        self._asking.cancel(self._gathering)

    async def wait(self, timeout: float | None = None) -> dict[Service, Any]:
        """The results, once everybody expected has answered, left or died.

        Raises:
            QueryTimeout: the query's deadline passed; it holds what arrived.
            NoServices: nobody matched.
            TimeoutError: ``timeout`` seconds passed first; the query goes on.
        """
        if timeout is None:
            return await self
        async with asyncio.timeout(timeout):
            return await self

    def __await__(self) -> Generator[Any, None, dict[Service, Any]]:
        gathering = self._gathering
        while not gathering.over:
            future = self._asking.loop.create_future()  # asyncio itself would ask the system
            self._waiting = (*self._waiting, future)
            yield from future
        if gathering.failure is not None:
            raise gathering.failure
        return gathering.results.copy()

    async def __aiter__(self) -> AsyncIterator[tuple[Service, Any]]:
        gathering, seen = self._gathering, 0
        gathering.watched = True
        while True:
            for each in gathering.results_after(seen):
                seen += 1
                yield each
            if len(gathering.results) > seen:
                continue
            if gathering.over:
                break
            future = self._asking.loop.create_future()
            self._iterating = (*self._iterating, future)
            await future
        if gathering.failure is not None:
            raise gathering.failure

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.cancel()


def _resolve(waiting: Futures) -> None:
    for future in waiting:
        if not future.done():  # or who waited was cancelled
            future.set_result(None)
