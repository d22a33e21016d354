"""``Mailbox``: a mailbox of the blocking ``Cluster``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from ..mailbox import APPEAR_SECONDS, REQUEST_SECONDS, Find, MailboxBase, Make
from ..model import Service
from ..node.requests import Waiter
from ..runtime.driver import Driver
from ..runtime.mailboxes import Mailboxes
from ..runtime.sending import Part
from ..waits import InterruptibleFuture
from ..wire.frames import Note
from ..wire.message import NOTE


class Mailbox(MailboxBase):
    """A mailbox of a ``Cluster``: made by ``cluster.mailbox``."""

    def __init__(
        self, name: str, boxes: Mailboxes, driver: Callable[[], Driver],
        in_loop: Callable[[Callable[[], None]], None],
        commit: Callable[[Sequence[Part], Make], object],
        wait_for: Callable[[Find, int, str, float], tuple[Service, ...]],
    ) -> None:  # fmt: skip
        super().__init__(name, boxes, driver, in_loop)
        self._commit = commit
        self._wait_for = wait_for

    def wait_for_services(
        self, count: int = 1, *, timeout: float = APPEAR_SECONDS
    ) -> tuple[Service, ...]:
        """``services``, once there are at least ``count``; see ``AsyncMailbox``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
            ClusterError: called from an interceptor or a mailbox's receiver.
        """
        return self._wait_for(lambda: self.services, count, self._meant, timeout)

    def send(self, service: Service, data: object) -> None:
        """Tells something to the mailbox of this name at one member, in order, once.

        Raises:
            NoServices: it is not a member any more.
            EncodeError, MessageTooLarge, HookRejected, HookFailed, Congested: as ``cluster.send``.
        """
        parts = self._driver().sender.letter(NOTE, service, self.name, data)
        self._commit(parts, partial(Note, self.name))

    def request(
        self, service: Service, data: object, *, timeout: float = REQUEST_SECONDS
    ) -> Future[Any]:
        """Asks the mailbox of this name at one member; ``result()`` of the future is the answer.

        Arguments and errors as ``AsyncMailbox.request``. The future is done in the member's loop:
        its callbacks must be short, and nobody may wait for it in a receiver or an interceptor.
        """
        future: Future[Any] = InterruptibleFuture()
        waiter = self.ask(service, data, partial(_finish, future), timeout=timeout)
        future.add_done_callback(partial(_done, waiter))
        return future


def _finish(future: Future[Any], value: Any, error: Exception | None) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _done(waiter: Waiter, future: Future[Any]) -> None:
    if future.cancelled():
        waiter.cancel()
