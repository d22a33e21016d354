"""Open requests: each asked of one member's mailbox, and over with its answer, loss or deadline.

``open`` and ``Waiter.cancel`` may be called from any thread: what a dictionary and a deque do in
one step nobody sees the half of. All else belongs to the node.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from math import inf
from typing import Any

from msgspec import Struct

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
from ..wire.body import BYTES, decode
from ..wire.frames import ANSWERED, LEAVING, NO_RESPONDER, OVERLOADED, UNTOLD, Answer
from ..wire.message import Message
from .deadlines import Deadlines
from .effects import Effect, RequestDone
from .schedule import Schedule
from .session import Session

Finish = Callable[[Any, Exception | None], None]
"""Takes the answer, or the reason why there is none; called once, in the loop."""


def nobody(value: Any, error: Exception | None) -> None:
    """The ``finish`` of a request that nobody waits for any more."""


class Waiter(Struct, eq=False):
    """Who waits for the answer to one request."""

    id: int
    service: Service
    session: Session
    timeout: float
    finish: Finish
    """``nobody`` from its end on: what waits and what it is told often hold each other."""
    opened: dict[int, Waiter] = {}
    """Where it is found while it is open."""
    deadline: float = inf
    """When it ends at last; known when it has started."""

    def cancel(self) -> None:
        """Nobody waits any more: the answer is dropped when it comes (any thread). Idempotent."""
        self.opened.pop(self.id, None)
        self.finish = nobody

    def __repr__(self) -> str:
        state = "open" if self.id in self.opened else "over"
        return f"<Waiter for {self.service.name}, {state}>"


class Requests:
    """The open requests of a node, by number."""

    def __init__(self, schedule: Schedule, effects: list[Effect]) -> None:
        self._effects = effects
        self._deadlines = Deadlines(schedule, "request")
        self.opened: dict[int, Waiter] = {}
        """By number; for others to look into."""
        self._fresh: deque[Waiter] = deque()

    def open(self, waiter: Waiter) -> None:
        """Notes who waits, before the request is put into its session (any thread)."""
        waiter.opened = self.opened
        self.opened[waiter.id] = waiter
        self._fresh.append(waiter)

    def start(self, now: float) -> None:
        """Begins to count the time of those that are new."""
        fresh = self._fresh
        while fresh:
            waiter = fresh.popleft()
            waiter.deadline = deadline = now + waiter.timeout
            if deadline < self._deadlines.look_at:
                self._deadlines.note(deadline)
            if waiter.session.peer.service is None:
                self._end(waiter, None, never_asked(waiter.service))

    def expecting(self, request_id: int, session: Session) -> Waiter | None:
        """Who waits for this answer from this member."""
        waiter = self.opened.get(request_id)
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

    def took(self, waiter: Waiter, answer: Answer) -> None:
        """The same for the commonest one: it is none that says why there is none."""
        value: Any = answer.body
        error = None
        if answer.form != BYTES:
            try:
                value = decode(answer.form, value)
            except DecodeError as broken:
                value, error = None, broken
        if self.opened.pop(waiter.id, None) is not None:
            self._effects.append(RequestDone(waiter, value, error))

    def failed(self, waiter: Waiter, error: HookError | ClusterError) -> None:
        """No answer will come, or none that may be seen."""
        self._end(waiter, None, error)

    def unreachable(self, request_id: int, session: Session, error: ClusterError) -> None:
        """A request could never be sent."""
        waiter = self.expecting(request_id, session)
        if waiter is not None:
            self._end(waiter, None, error)

    def member_gone(self, service: Service, reason: str, unsent: Collection[int] = ()) -> None:
        """A member left or died. What is ``unsent`` it never had."""
        for waiter in self._of(service):
            unhandled = waiter.id in unsent
            self._end(waiter, None, ServiceLost(service, reason, unhandled=unhandled))

    def forgotten(self, service: Service, reason: str, unsent: Collection[int]) -> None:
        """A member will answer nothing but what is ``unsent``."""
        for waiter in self._of(service):
            if waiter.id not in unsent:
                self._end(waiter, None, ServiceLost(service, reason))

    def _of(self, service: Service) -> list[Waiter]:
        return [each for each in tuple(self.opened.values()) if each.service.key == service.key]

    def timed_out(self, _whose: None, now: float) -> None:
        """The deadline of a request may have passed."""
        for waiter in self._deadlines.due(tuple(self.opened.values()), now):
            service = waiter.service
            text = f"{service.name} did not answer within {waiter.timeout:g} s"
            self._end(waiter, None, QueryTimeout(text, {}, {}, (service,)))

    def close(self, error: ClusterError) -> None:
        """Ends all of them."""
        for waiter in tuple(self.opened.values()):
            self._end(waiter, None, error)

    def _end(self, waiter: Waiter, value: Any, error: Exception | None) -> None:
        if self.opened.pop(waiter.id, None) is not None:
            self._effects.append(RequestDone(waiter, value, error))


def never_asked(service: Service) -> ServiceLost:
    """Who was to be asked was gone by then."""
    return ServiceLost(service, "is gone", unhandled=True)


def failure(service: Service, outcome: int, message: Message) -> Exception:
    """What a member's answer that is none says."""
    if outcome == NO_RESPONDER:
        return NoResponder(service)
    if outcome == LEAVING:
        return ServiceLost(service, "leaving", unhandled=True)
    if outcome == UNTOLD:
        return OutcomeUnknown(service, "what came of it could not be sent")
    if outcome == OVERLOADED:
        return RemoteError(service, "Overloaded", "too many questions are waiting there")
    try:
        kind, text = message.read(tuple[str, str])
    except DecodeError as error:
        return error
    return RemoteError(service, kind, text)
