"""Open queries: who is expected, who answered, what ends them.

A query ends the moment everybody expected has answered, left or died; at its deadline; or when it
is cancelled. What comes later, or twice, or from somebody not asked, is counted and dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import DecodeError, NoResponder, QueryTimeout, RemoteError
from ..model import Service
from ..wire.frames import ANSWERED, NO_RESPONDER, OVERLOADED
from ..wire.message import Message

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
        "timeout",
        "waiting",
    )

    def __init__(self, query_id: int, timeout: float) -> None:
        self.id = query_id
        self.timeout = timeout
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
        if outcome == ANSWERED:
            try:
                data = message.data
            except DecodeError as error:
                return self.failed(key, error)
            del self.waiting[key]
            self.results[service] = data
            self.order.append((service, data))
            return RESPONSE
        if outcome == NO_RESPONDER:
            return self.failed(key, NoResponder(service))
        if outcome == OVERLOADED:
            return self.failed(
                key, RemoteError(service, "Overloaded", "too many questions are waiting there")
            )
        return self.failed(key, _remote_error(service, message))

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


def _remote_error(service: Service, message: Message) -> Exception:
    try:
        kind, text = message.read(tuple[str, str])
    except DecodeError as error:
        return error
    return RemoteError(service, kind, text)


class Queries:
    """The open queries of a node, by id."""

    def __init__(self) -> None:
        self._open: dict[int, Gathering] = {}

    def add(self, gathering: Gathering) -> None:
        self._open[gathering.id] = gathering

    def get(self, query_id: int) -> Gathering | None:
        return self._open.get(query_id)

    def remove(self, query_id: int) -> Gathering | None:
        return self._open.pop(query_id, None)

    def waiting_for(self, key: bytes) -> Iterator[Gathering]:
        """The queries that expect an answer of this member."""
        for gathering in tuple(self._open.values()):
            if key in gathering.waiting:
                yield gathering

    def all(self) -> tuple[Gathering, ...]:
        return tuple(self._open.values())
