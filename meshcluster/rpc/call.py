"""``AsyncCall`` and ``Call``: a call under way, as futures of asyncio and of threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import Any

from ..errors import NotJoined
from ..model import Service
from ..waits import InterruptibleFuture
from .calls import Outgoing
from .signature import Checker
from .stream import AsyncStream, Stream


class AsyncCall(asyncio.Future[Any], Outgoing):
    """A call of an ``AsyncCluster``: ``await`` it, ``cancel()`` it, hand it to ``asyncio.wait``.

    Attributes: ``name``; ``service``, the member that has it (known before the result);
    ``attempts``, those that had it and what became of each. Cancelling it reaches the member.
    """

    __slots__ = Outgoing.STATE

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if self.done():
            return
        if error is None:
            self.set_result(value)
        else:
            self.set_exception(error)

    def _stream(
        self, service: Service, number: int, items: list[Any], returns: Checker
    ) -> AsyncStream:
        return AsyncStream(self._calls, service, self._order, number, items, returns)

    def cancel(self, msg: Any | None = None) -> bool:
        """Gives it up; the member that has it is told."""
        if not super().cancel(msg):
            return False
        self._calls.withdraw(self)
        return True


class Call(InterruptibleFuture[Any], Outgoing):
    """A call of a ``Cluster``: ``result(timeout)``, ``cancel()``, ``concurrent.futures.wait``.

    Attributes: ``name``; ``service``, the member that has it (known before the result);
    ``attempts``, those that had it and what became of each. Cancelling it reaches the member.
    Callbacks run in the member's loop: they must be short, and not block.
    """

    def __init__(
        self, in_loop: Callable[[Callable[[], None]], None], check_outside: Callable[[], None]
    ) -> None:
        super().__init__()
        self._in_loop = in_loop
        self._check_outside = check_outside

    def _settle(self, value: Any, error: BaseException | None) -> None:
        with suppress(InvalidStateError):  # cancelled in this very moment
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)

    def _stream(self, service: Service, number: int, items: list[Any], returns: Checker) -> Stream:
        return Stream(
            self._calls, service, self._order, number, items, returns, self._check_outside
        )

    def result(self, timeout: float | None = None) -> Any:
        """The result, once it is there; as often as asked for.

        Raises:
            TimeoutError: it was not after ``timeout`` seconds; the call goes on.
            CancelledError: it was cancelled.
            Exception: what ``cluster.call`` raises.
        """
        self._check(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Why there is no result; None when there is one. Waits as ``result`` does."""
        self._check(timeout)
        return super().exception(timeout)

    def _check(self, timeout: float | None) -> None:
        if not self.done() and timeout != 0:
            self._check_outside()

    def cancel(self) -> bool:
        """Gives it up; the member that has it is told. False: it has ended."""
        if not super().cancel():
            return False
        in_loop = self.__dict__.pop("_in_loop", None)  # of several threads one gets it
        if in_loop is not None:
            self.set_running_or_notify_cancel()  # for concurrent.futures.wait
            with suppress(NotJoined):
                in_loop(lambda: self._calls.withdraw(self))
        return True
