"""Open queries: who is expected, who answered, what ends them.

A query ends the moment everybody expected has answered, left or died; at its deadline; or when it
is cancelled. What comes later, or twice, or from somebody not asked, is counted and dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import Any

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
from .effects import Effect, QueryProgress
from .requests import failure
from .schedule import Schedule
from .session import Session

Asked = Sequence[tuple[Session, Service, Question]]
"""Who is asked what, through which session."""

Resolve = Callable[[], Asked]
"""Finds out who is to be asked; raises ``NoServices`` when nobody matches."""

START, RESPONSE, ERROR, TIMEOUT, DONE = "start", "response", "error", "timeout", "done"


class Gathering:
    """What one query has collected. Changed by the node only; others read copies.

    ``order`` lists (service, answer) as they came, for iteration. ``failure`` is what waiting for
    it raises: None while all is well, ``QueryTimeout``, ``NoServices`` and the like otherwise.
    """

    __slots__ = (
        "errors",
        "expected",
        "failure",
        "id",
        "order",
        "over",
        "results",
        "room_bytes",
        "timeout",
        "waiting",
    )

    def __init__(self, query_id: int, timeout: float) -> None:
        self.id = query_id
        self.timeout = timeout
        self.room_bytes = inf
        """What further answers may have together; set when it starts."""
        self.expected: dict[bytes, Service] = {}
        self.waiting: dict[bytes, Service] = {}
        self.results: dict[Service, Any] = {}
        self.errors: dict[Service, Exception] = {}
        self.order: list[tuple[Service, Any]] = []
        self.over = False
        self.failure: Exception | None = None

    def expect(self, services: Iterable[Service]) -> None:
        """Sets who is asked."""
        self.expected = {service.key: service for service in services}
        self.waiting = dict(self.expected)

    @property
    def remaining(self) -> tuple[Service, ...]:
        """Who was asked and has not answered."""
        return tuple(self.waiting.copy().values())

    def answered(self, key: bytes, outcome: int, message: Message) -> str:
        """Notes an answer; returns the name of what happened."""
        service = self.waiting[key]
        if len(message.body) > self.room_bytes:
            text = f"the answer of {service.name} is beyond what all may have together"
            return self.failed(key, MessageTooLarge(text))
        self.room_bytes -= len(message.body)
        if outcome == ANSWERED:
            try:
                data = message.data
            except DecodeError as error:
                return self.failed(key, error)
            del self.waiting[key]
            self.results[service] = data
            self.order.append((service, data))
            return RESPONSE
        return self.failed(key, failure(service, outcome, message))

    def failed(self, key: bytes, error: Exception) -> str:
        """Notes that no answer will come from somebody."""
        service = self.waiting.pop(key)
        self.errors[service] = error
        return ERROR

    def time_out(self) -> None:
        """The deadline has passed."""
        names = ", ".join(sorted(service.name for service in self.waiting.values()))
        self.failure = QueryTimeout(
            f"{len(self.waiting)} of {len(self.expected)} did not answer within "
            f"{self.timeout:g} s: {names}",
            self.results,
            self.errors,
            tuple(self.waiting.values()),
        )


class Queries:
    """The open queries of a node: starts them, and ends each at the right moment.

    ``wake`` is called for each session that got a question.
    """

    def __init__(
        self, schedule: Schedule, effects: list[Effect], wake: Callable[[Session, float], None]
    ) -> None:
        self._schedule = schedule
        self._effects = effects
        self._wake = wake
        self._open: dict[int, Gathering] = {}

    def start(
        self, gathering: Gathering, now: float, asked: Asked | None, resolve: Resolve,
        settled_at: float,
    ) -> None:  # fmt: skip
        """Starts a query. ``asked`` is None when nobody matched: then it waits until ``settled_at``
        and asks whom ``resolve`` finds then.
        """
        self._open[gathering.id] = gathering
        self._schedule.set(("query", gathering.id), now + gathering.timeout)
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
        gathering.expect(service for _, service, _ in asked)
        self._progress(gathering, START, None)
        for session, service, question in asked:
            if session.peer.service is None:
                self.failed(gathering, service.key, ServiceLost(service, "is gone"))
            else:
                session.put(question)
                self._wake(session, now)

    def expecting(self, query_id: int, key: bytes) -> Gathering | None:
        """The open query of this id, if it still waits for this member."""
        gathering = self._open.get(query_id)
        return gathering if gathering is not None and key in gathering.waiting else None

    def answered(self, gathering: Gathering, key: bytes, outcome: int, message: Message) -> None:
        """A member that was expected answered."""
        name = gathering.answered(key, outcome, message)
        self._progress(gathering, name, gathering.expected[key])

    def failed(self, gathering: Gathering, key: bytes, error: Exception) -> None:
        """No answer will come from a member that was expected."""
        name = gathering.failed(key, error)
        self._progress(gathering, name, gathering.expected[key])

    def member_gone(self, service: Service, reason: str, unsent: Collection[int] = ()) -> None:
        """A member left or died, or will answer nothing but what is ``unsent``: nobody waits for it
        any more.
        """
        for gathering in tuple(self._open.values()):
            if service.key in gathering.waiting and gathering.id not in unsent:
                self.failed(gathering, service.key, ServiceLost(service, reason))

    def timed_out(self, query_id: int, now: float) -> None:
        """The deadline of a query passed."""
        gathering = self._open.get(query_id)
        if gathering is not None:
            gathering.time_out()
            self._progress(gathering, TIMEOUT, None)
            self._end(gathering)

    def cancel(self, gathering: Gathering) -> None:
        """Ends a query; answers that still come are dropped."""
        if not gathering.over:
            self._end(gathering)

    def close(self, failure: Exception) -> None:
        """Ends all queries; waiting for them raises ``failure``."""
        for gathering in tuple(self._open.values()):
            gathering.failure = failure
            self._end(gathering)

    def _progress(self, gathering: Gathering, name: str, service: Service | None) -> None:
        self._effects.append(QueryProgress(gathering, name, service))
        if service is not None and not gathering.waiting:
            self._end(gathering)

    def _end(self, gathering: Gathering) -> None:
        gathering.over = True
        self._open.pop(gathering.id, None)
        self._schedule.cancel(("query", gathering.id))
        self._effects.append(QueryProgress(gathering, DONE, None))
