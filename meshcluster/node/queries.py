"""Open queries: who is expected, who answered, what ends them.

A query ends the moment everybody expected has answered, left or died; at its deadline; or when it
is cancelled. What comes later, or twice, or from somebody not asked, is counted and dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from math import inf
from typing import Any, Protocol

from msgspec import Struct

from ..errors import (
    ClusterError,
    DecodeError,
    MessageTooLarge,
    QueryTimeout,
    ServiceLost,
)  # fmt: skip
from ..model import Service
from ..wire.frames import ANSWERED, Question
from ..wire.message import Message
from .deadlines import Deadlines
from .effects import Effect, QueryProgress
from .requests import failure, never_asked
from .schedule import Schedule
from .session import Session

Asked = Sequence[tuple[Session, Service, Question]]
"""Who is asked what, through which session."""

Receivers = Sequence[tuple[Service, Session]]

Resolve = Callable[[], Asked]
"""Finds out who is to be asked; raises ``NoServices`` when nobody matches."""

START, RESPONSE, ERROR, TIMEOUT, DONE = "start", "response", "error", "timeout", "done"


class Sink(Protocol):
    """A query object of the facade, told in the loop what happens to its gathering."""

    def progress(self, name: str, service: Service | None) -> None: ...

    def abandon(self, failure: Exception) -> None: ...


class Gathering(Struct, eq=False):
    """What one query has collected. Changed by the node only; others read copies.

    ``results`` are in the order in which they came. ``failure`` is what waiting for it raises: None
    while all is well, ``QueryTimeout``, ``NoServices`` and the like otherwise. ``watched``: each
    step of it is told; else only its end.
    """

    id: int
    timeout: float
    watched: bool = True
    deadline: float = inf
    """When it ends at last; known when it has started."""
    sink: Sink | None = None
    """Until it has ended: a query and its gathering that hold each other were freed late."""
    room_bytes: float = inf
    """What further answers may have together."""
    asked: int = 0
    """How many were."""
    waiting: dict[bytes, Service] = {}
    results: dict[Service, Any] = {}
    errors: dict[Service, Exception] = {}
    over: bool = False
    failure: Exception | None = None

    def results_after(self, count: int) -> tuple[tuple[Service, Any], ...]:
        """The answers that came after the first ``count`` (any thread)."""
        return tuple(self.results.items())[count:] if len(self.results) > count else ()

    @property
    def remaining(self) -> tuple[Service, ...]:
        """Who was asked and has not answered."""
        return tuple(self.waiting.copy().values())

    def answered(self, service: Service, outcome: int, message: Message) -> str:
        """Notes an answer; returns the name of what happened."""
        size = len(message.body)
        if size > self.room_bytes:
            text = f"the answer of {service.name} is beyond what all may have together"
            return self.failed(service, MessageTooLarge(text))
        self.room_bytes -= size
        if outcome == ANSWERED:
            try:
                data = message.data
            except DecodeError as error:
                return self.failed(service, error)
            self.results[service] = data
            return RESPONSE
        return self.failed(service, failure(service, outcome, message))

    def failed(self, service: Service, error: Exception) -> str:
        """Notes that no answer will come from somebody."""
        self.errors[service] = error
        return ERROR

    def time_out(self) -> None:
        """The deadline has passed."""
        names = ", ".join(sorted(service.name for service in self.waiting.values()))
        self.failure = QueryTimeout(
            f"{len(self.waiting)} of {self.asked} did not answer within "
            f"{self.timeout:g} s: {names}",
            self.results,
            self.errors,
            tuple(self.waiting.values()),
        )


class Queries:
    """The open queries of a node: starts them, and ends each at the right moment.

    ``wake`` is called for each session that got a question. ``open`` may be called from any thread:
    a dictionary's assignment and a deque's append are atomic. All else belongs to the node.
    """

    def __init__(
        self, schedule: Schedule, effects: list[Effect], wake: Callable[[Session, float], None]
    ) -> None:
        self._schedule = schedule
        self._effects = effects
        self._wake = wake
        self._deadlines = Deadlines(schedule, "query")
        self.opened: dict[int, Gathering] = {}
        """By number; for others to look into."""
        self._fresh: deque[tuple[Gathering, Receivers]] = deque()

    def open(
        self, gathering: Gathering, receivers: Receivers, services: dict[bytes, Service]
    ) -> None:
        """Notes a query that nobody watches, before its questions are put into the sessions of
        those it expects (any thread); ``begin`` starts it.
        """
        gathering.waiting = services.copy()
        gathering.asked = len(services)
        self.opened[gathering.id] = gathering
        self._fresh.append((gathering, receivers))

    def begin(self, now: float) -> None:
        """Begins to count the time of the queries that are new."""
        fresh = self._fresh
        while fresh:
            gathering, receivers = fresh.popleft()
            gathering.deadline = deadline = now + gathering.timeout
            if deadline < self._deadlines.look_at:
                self._deadlines.note(deadline)
            for service, session in receivers:
                if session.peer.service is None and self.expecting(gathering.id, service.key):
                    self.failed(gathering, service.key, never_asked(service))

    def start(
        self, gathering: Gathering, now: float, asked: Asked | None, resolve: Resolve,
        settled_at: float,
    ) -> None:  # fmt: skip
        """Starts a query. ``asked`` is None when nobody matched: then it waits until ``settled_at``
        and asks whom ``resolve`` finds then.
        """
        if gathering.over:
            return  # we left, or its maker did not wait for us to hear of it
        self.opened[gathering.id] = gathering
        gathering.deadline = now + gathering.timeout
        self._deadlines.note(gathering.deadline)
        if asked is not None:
            self._ask(gathering, asked, now)
        elif now < settled_at:
            self._schedule.set(("settle", (gathering, resolve)), settled_at)
        else:
            self.settle((gathering, resolve), now)

    def settle(self, whose: tuple[Gathering, Resolve], now: float) -> None:
        """The mesh had time to settle: asks those who are there now."""
        gathering, resolve = whose
        if gathering.over:
            return
        try:
            asked = resolve()
        except ClusterError as error:
            gathering.failure = error
            self._progress(gathering, ERROR, None)
            self._end(gathering)
        else:
            self._ask(gathering, asked, now)

    def _ask(self, gathering: Gathering, asked: Asked, now: float) -> None:
        gathering.waiting = {service.key: service for _, service, _ in asked}
        gathering.asked = len(gathering.waiting)
        self._progress(gathering, START, None)
        for session, service, question in asked:
            if session.peer.service is None:
                self.failed(gathering, service.key, never_asked(service))
            else:
                session.put(question)
                self._wake(session, now)

    def expecting(self, query_id: int, key: bytes) -> Gathering | None:
        """The open query of this id, if it still waits for this member."""
        gathering = self.opened.get(query_id)
        return gathering if gathering is not None and key in gathering.waiting else None

    def answered(self, gathering: Gathering, key: bytes, outcome: int, message: Message) -> None:
        """A member that was expected answered."""
        service = gathering.waiting.pop(key)
        name = gathering.answered(service, outcome, message)
        if gathering.watched:
            self._progress(gathering, name, service)
        elif not gathering.waiting:
            self._end(gathering)

    def took(self, gathering: Gathering, key: bytes, body: bytes) -> None:
        """The same for the commonest answer: bytes, which there is room for."""
        service = gathering.waiting.pop(key)
        gathering.room_bytes -= len(body)
        gathering.results[service] = body
        if gathering.watched:
            self._progress(gathering, RESPONSE, service)
        elif not gathering.waiting:
            self._end(gathering)

    def failed(self, gathering: Gathering, key: bytes, error: Exception) -> None:
        """No answer will come from a member that was expected."""
        service = gathering.waiting.pop(key)
        self._progress(gathering, gathering.failed(service, error), service)

    def member_gone(self, service: Service, reason: str, unsent: Collection[int] = ()) -> None:
        """A member left or died: nobody waits for it any more. What is ``unsent`` it never had."""
        for gathering in tuple(self.opened.values()):
            if service.key in gathering.waiting:
                unhandled = gathering.id in unsent
                error = ServiceLost(service, reason, unhandled=unhandled)
                self.failed(gathering, service.key, error)

    def forgotten(self, service: Service, reason: str, unsent: Collection[int]) -> None:
        """A member will answer nothing but what is ``unsent``."""
        for gathering in tuple(self.opened.values()):
            if service.key in gathering.waiting and gathering.id not in unsent:
                self.failed(gathering, service.key, ServiceLost(service, reason))

    def timed_out(self, _whose: None, now: float) -> None:
        """The deadline of a query may have passed."""
        for gathering in self._deadlines.due(tuple(self.opened.values()), now):
            gathering.time_out()
            self._progress(gathering, TIMEOUT, None)
            self._end(gathering)

    def cancel(self, gathering: Gathering) -> None:
        """Ends a query; answers that still come are dropped."""
        if not gathering.over:
            self._end(gathering)

    def close(self, failure: Exception) -> None:
        """Ends all queries; waiting for them raises ``failure``."""
        for gathering in tuple(self.opened.values()):
            gathering.failure = failure
            self._end(gathering)

    def abandon(self, failure: Exception) -> None:
        """Tells all of them without an effect, where nothing performs effects any more."""
        for gathering in tuple(self.opened.values()):
            sink, gathering.sink = gathering.sink, None
            if sink is not None:
                sink.abandon(failure)

    def _progress(self, gathering: Gathering, name: str, service: Service | None) -> None:
        if gathering.watched:
            self._effects.append(QueryProgress(gathering, name, service))
        if service is not None and not gathering.waiting:
            self._end(gathering)

    def _end(self, gathering: Gathering) -> None:
        gathering.over = True
        self.opened.pop(gathering.id, None)
        self._effects.append(QueryProgress(gathering, DONE, None))
