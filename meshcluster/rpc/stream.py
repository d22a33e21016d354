"""``AsyncStream`` and ``Stream``: what a called generator yields, as it comes.

The member makes some items ahead; while the caller handles those it has, the next are on their way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import DecodeError, NoServices, OutcomeUnknown, QueryTimeout, ServiceLost
from ..model import Service
from ..waits import InterruptibleFuture
from .letters import CANCEL, GIVEN_UP, ITEMS, NEXT, values_of

if TYPE_CHECKING:
    from .calls import Calls, Order
    from .signature import Checker


class StreamBase:
    """What both faces of a stream share. ``service`` is the member whose function runs."""

    def __init__(
        self, calls: Calls, service: Service, order: Order, number: int, first: list[Any],
        returns: Checker,
    ) -> None:  # fmt: skip
        self.service = service
        self.name = order.name
        self._calls = calls
        self._number = number
        self._terms = order.terms
        self._items: deque[Any] = deque()
        self._more = True
        self._closed = False
        self._failure: Exception | None = None
        self._returns = returns
        self._take(first)

    def _take(self, value: Any) -> None:
        """Takes an answer with items.

        Raises:
            DecodeError: it is none.
        """
        from .calls import remote_error

        try:
            outcome, packed, items, more, failure = values_of(value)
            if outcome != ITEMS or type(items) is not list:
                raise ValueError("not any")
            if packed:
                items = self._calls.values.unpack(items)
            self._items.extend(map(self._returns.convert, items))
            self._more = more is True
            if failure is not None:
                self._failure = remote_error(self.service, failure)
        except Exception as error:  # whatever it is: nobody waits for ever
            text = f"items of {self.name} by {self.service.name}: {error}"
            raise DecodeError(text) from None

    def _ended(self, error: Exception) -> None:
        """No answer came."""
        self._more = False
        if isinstance(error, ServiceLost | NoServices):
            self._failure = OutcomeUnknown(self.service, f"{self.name}: {error}")
            self._failure.__cause__ = error
        elif isinstance(error, QueryTimeout):
            text = f"{self.name}: {self.service.name} gave nothing for {self._terms.timeout:g} s"
            self._failure = QueryTimeout(text, {}, {}, (self.service,))
            self._tell_end()
        else:
            self._failure = error

    def _told(self, value: Any, error: Exception | None) -> None:
        if self._closed:
            return
        if value == [GIVEN_UP]:
            error = QueryTimeout("", {}, {}, ())
        if error is None:
            try:
                self._take(value)
            except DecodeError as broken:
                self._tell_end()
                error = broken
        if error is not None:
            self._ended(error)

    def _ask(self, told: Callable[[Any, Exception | None], None]) -> None:
        try:
            self._calls.ask(self.service, [NEXT, self._number], told, self._terms.timeout)
        except NoServices as error:
            told(None, error)

    def close(self) -> None:
        """Ends it: the generator is closed where it runs. Idempotent."""
        self._closed = True
        self._items.clear()
        if self._more:
            self._more = False
            self._tell_end()

    def _tell_end(self) -> None:
        self._calls.tell(self.service, [CANCEL, self._number])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name} by {self.service.name}>"


class AsyncStream(StreamBase):
    """The items of a called generator: ``async for item in await cluster.call(...)``.

    In ``async with`` it is closed at the end. Iterating raises what the generator raised
    (``RemoteError``), ``OutcomeUnknown`` when its member is lost, ``QueryTimeout`` when there is
    nothing for the call's ``timeout``.
    """

    async def __aiter__(self) -> AsyncIterator[Any]:
        try:
            while True:
                coming = self._request() if self._more else None
                while self._items:
                    yield self._items.popleft()
                if coming is None:
                    break
                await coming
            if self._failure is not None:
                raise self._failure
        finally:
            self.close()

    def _request(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(value: Any, error: Exception | None) -> None:
            self._told(value, error)
            if not future.done():
                future.set_result(None)

        self._ask(told)
        return future

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


class Stream(StreamBase):
    """The items of a called generator: ``for item in cluster.call(...)``.

    In ``with`` it is closed at the end. Iterating raises what the generator raised
    (``RemoteError``), ``OutcomeUnknown`` when its member is lost, ``QueryTimeout`` when there is
    nothing for the call's ``timeout``.
    """

    def __init__(self, *arguments: Any) -> None:
        *others, self._check_outside = arguments
        super().__init__(*others)

    def __iter__(self) -> Iterator[Any]:
        self._check_outside()
        try:
            while True:
                coming = self._request() if self._more else None
                while self._items:
                    yield self._items.popleft()
                if coming is None:
                    break
                coming.result()
            if self._failure is not None:
                raise self._failure
        finally:
            self.close()

    def _request(self) -> Future[None]:
        future: Future[None] = InterruptibleFuture()

        def told(value: Any, error: Exception | None) -> None:
            self._told(value, error)
            future.set_result(None)

        self._ask(told)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()
