"""Mailboxes: how a library talks to its own kind on other members, unseen by users' hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from .config import check_timeout
from .errors import ConfigError
from .model import Service
from .node.requests import Finish, Waiter
from .runtime.driver import Driver
from .runtime.mailboxes import LATER as LATER
from .runtime.mailboxes import Letter as Letter
from .runtime.mailboxes import Mailboxes
from .runtime.mailboxes import Receive as Receive
from .runtime.sending import Part
from .wire.frames import AnyMessage, Note
from .wire.message import NOTE

REQUEST_SECONDS = 30.0
APPEAR_SECONDS = 10.0

Make = Callable[[int, int, bytes], AnyMessage]
Commit = Callable[[Sequence[Part], Make], Awaitable[object]]
"""Queues what was prepared, once there is room for it."""

Find = Callable[[], tuple[Service, ...]]
WaitFor = Callable[[Find, int, str, float], Awaitable[tuple[Service, ...]]]
"""What a function finds among the members, once that is enough; see ``AsyncCluster._wait_for``."""


class MailboxBase:
    """What both faces of a mailbox share. ``name`` is the same on every member that has it."""

    _at_once = False
    """Its calls are made in the loop, which need not be woken to send what is asked."""

    def __init__(
        self, name: str, boxes: Mailboxes, driver: Callable[[], Driver],
        in_loop: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self.name = name
        self._boxes = boxes
        self._driver = driver
        self._in_loop = in_loop
        self._closed = False

    @property
    def services(self) -> tuple[Service, ...]:
        """The members that have a mailbox of this name with a receiver."""
        return tuple(s for s in self._driver().sender.services if self.name in s.offers)

    @property
    def _meant(self) -> str:
        """Whom ``wait_for_services`` waits for, in words."""
        return f" with mailbox {self.name!r}"

    def ask(
        self, service: Service, data: object, finish: Finish, *, timeout: float = REQUEST_SECONDS
    ) -> Waiter:
        """Asks the mailbox of this name at one member, without a future: what ``request`` is made
        of, for layers that bring their own.

        Args:
            service: whom.
            data: anything ``cluster.send`` takes.
            finish: called once, in the member's loop, as ``finish(value, error)``: with the answer
                and None, or with None and the reason why there is none (see ``request``). It must
                be short; where nothing is sent it may be called before ``ask`` returns, and where
                the loop has ended meanwhile, in the thread that leaves.
            timeout: seconds until it is given up.

        Returns:
            What waits; ``cancel()`` of it, from any thread, drops the answer. ``finish`` is not
            called any more then (from another thread: unless that happens in this very moment).

        Raises:
            NoServices, EncodeError, MessageTooLarge, HookRejected, HookFailed, NotJoined.
            ConfigError: ``timeout`` is no duration.
        """
        return self._driver().asking.request(
            service, self.name, data, check_timeout(timeout), finish, at_once=self._at_once
        )

    def offer(self, value: object) -> None:
        """Says something else of this mailbox: ``service.offers[name]`` at every other member.

        Raises:
            ConfigError: not a plain value; no receiver, or closed.
            MessageTooLarge: more than a member may say of itself.
        """
        if self._closed:  # its name may be another's by now
            raise ConfigError(f"mailbox {self.name!r} is closed")
        self._in_loop(lambda: self._boxes.set_offer(self.name, value))

    def close(self) -> None:
        """Takes the mailbox away; what still comes for it is counted as dropped. Idempotent."""
        if not self._closed:
            self._closed = True
            self._in_loop(lambda: self._boxes.close(self.name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class AsyncMailbox(MailboxBase):
    """A mailbox of an ``AsyncCluster``: made by ``cluster.mailbox``."""

    _at_once = True

    def __init__(
        self, name: str, boxes: Mailboxes, driver: Callable[[], Driver],
        in_loop: Callable[[Callable[[], None]], None], commit: Commit, wait_for: WaitFor,
    ) -> None:  # fmt: skip
        super().__init__(name, boxes, driver, in_loop)
        self._commit = commit
        self._wait_for = wait_for

    async def wait_for_services(
        self, count: int = 1, *, timeout: float = APPEAR_SECONDS
    ) -> tuple[Service, ...]:
        """``services``, once there are at least ``count``: a member that was just discovered may
        open its mailbox a moment later.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
        """
        return await self._wait_for(lambda: self.services, count, self._meant, timeout)

    async def send(self, service: Service, data: object) -> None:
        """Tells something to the mailbox of this name at one member, in order, once.

        Raises:
            NoServices: it is not a member any more.
            EncodeError, MessageTooLarge, HookRejected, HookFailed, Congested: as ``cluster.send``.
        """
        parts = self._driver().sender.letter(NOTE, service, self.name, data)
        await self._commit(parts, partial(Note, self.name))

    def request(
        self, service: Service, data: object, *, timeout: float = REQUEST_SECONDS
    ) -> asyncio.Future[Any]:
        """Asks the mailbox of this name at one member; the future has the answer.

        Args:
            service: whom.
            data: anything ``cluster.send`` takes.
            timeout: seconds until it is given up.

        Raises (the call): NoServices, EncodeError, MessageTooLarge, HookRejected, HookFailed.
        Raises (the future): RemoteError, its receiver raised; NoResponder, it has no such mailbox;
            ServiceLost; NoRoute; QueryTimeout. Cancelling the future drops the answer.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        waiter = self.ask(service, data, partial(_finish, future), timeout=timeout)
        future.add_done_callback(partial(_done, waiter))
        return future


def _finish(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _done(waiter: Waiter, future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        waiter.cancel()
