"""Open requests: each asked of one member's mailbox, and over with its answer, loss or deadline.

``open`` may be called from any thread: a dictionary's assignment and a deque's append are atomic.
All else belongs to the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from ..errors import (
    ClusterError,
    DecodeError,
    HookError,
    NoResponder,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)  # fmt: skip
from ..model import Service
from ..wire.frames import ANSWERED, LEAVING, NO_RESPONDER, OVERLOADED, UNTOLD
from ..wire.message import Message
from .effects import Effect, RequestDone
from .schedule import Schedule
from .session import Session

Finish = Callable[[Any, Exception | None], None]
"""Takes the answer, or the reason why there is none; called once, in the loop."""


class Waiter:
    """Who waits for the answer to one request."""

    __slots__ = ("finish", "id", "service", "session", "timeout")

    def __init__(
        self, request_id: int, service: Service, session: Session, timeout: float, finish: Finish
    ) -> None:
        self.id = request_id
        self.service = service
        self.session = session
        self.timeout = timeout
        self.finish = finish


class Requests:
    """The open requests of a node, by number."""

    def __init__(self, schedule: Schedule, effects: list[Effect]) -> None:
        self._schedule = schedule
        self._effects = effects
        self._open: dict[int, Waiter] = {}
        self._fresh: deque[Waiter] = deque()

    def open(self, waiter: Waiter) -> None:
        """Notes who waits, before the request is put into its session (any thread)."""
        self._open[waiter.id] = waiter
        self._fresh.append(waiter)

    def start(self, now: float) -> None:
        """Begins to count the time of those that are new."""
        fresh = self._fresh
        while fresh:
            waiter = fresh.popleft()
            if waiter.session.peer.service is None:
                self._end(waiter, None, ServiceLost(waiter.service, "is gone"))
            elif waiter.id in self._open:
                self._schedule.set(("request", waiter.id), now + waiter.timeout)

    def expecting(self, request_id: int, session: Session) -> Waiter | None:
        """Who waits for this answer from this member."""
        waiter = self._open.get(request_id)
        return waiter if waiter is not None and waiter.session.peer is session.peer else None

    def answered(self, waiter: Waiter, outcome: int, message: Message) -> None:
        """An answer came."""
        value, error = None, None
        try:
            if outcome == ANSWERED:
                value = message.data
            else:
                error = failure(waiter.service, outcome, message)
        except DecodeError as broken:
            error = broken
        self._end(waiter, value, error)

    def failed(self, waiter: Waiter, error: HookError | ClusterError) -> None:
        """No answer will come, or none that may be seen."""
        self._end(waiter, None, error)

    def unreachable(self, request_id: int, session: Session, error: ClusterError) -> None:
        """A request could never be sent."""
        waiter = self.expecting(request_id, session)
        if waiter is not None:
            self._end(waiter, None, error)

    def member_gone(self, service: Service, reason: str, unsent: Collection[int] = ()) -> None:
        """A member left or died, or will answer nothing but what is ``unsent``."""
        for waiter in tuple(self._open.values()):
            if waiter.service.key == service.key and waiter.id not in unsent:
                self._end(waiter, None, ServiceLost(service, reason))

    def timed_out(self, request_id: int, now: float) -> None:
        """The deadline of a request passed."""
        waiter = self._open.get(request_id)
        if waiter is not None:
            service = waiter.service
            text = f"{service.name} did not answer within {waiter.timeout:g} s"
            self._end(waiter, None, QueryTimeout(text, {}, {}, (service,)))

    def cancel(self, request_id: int) -> None:
        """Nobody waits any more; the answer is dropped when it comes."""
        if self._open.pop(request_id, None) is not None:
            self._schedule.cancel(("request", request_id))

    def close(self, error: ClusterError) -> None:
        """Ends all of them."""
        for waiter in tuple(self._open.values()):
            self._end(waiter, None, error)

    def abandon(self, error: Exception) -> None:
        """Tells all of them without an effect, where nothing performs effects any more."""
        for waiter in tuple(self._open.values()):
            waiter.finish(None, error)
        self._open.clear()

    def _end(self, waiter: Waiter, value: Any, error: Exception | None) -> None:
        if self._open.pop(waiter.id, None) is not None:
            self._schedule.cancel(("request", waiter.id))
            self._effects.append(RequestDone(waiter, value, error))


def failure(service: Service, outcome: int, message: Message) -> Exception:
    """What a member's answer that is none says."""
    if outcome == NO_RESPONDER:
        return NoResponder(service)
    if outcome == LEAVING:
        return ServiceLost(service, "leaving")
    if outcome == UNTOLD:
        return OutcomeUnknown(service, "what came of it could not be sent")
    if outcome == OVERLOADED:
        return RemoteError(service, "Overloaded", "too many questions are waiting there")
    try:
        kind, text = message.read(tuple[str, str])
    except DecodeError as error:
        return error
    return RemoteError(service, kind, text)
