"""What is known of an acknowledged send once nothing more will be heard: handled, raised, surely
not handled, or unknown.

It has left when a batch took it (``Session.promises``). Before that it can be taken back, and
whatever happens its receiver has not had it. After that only the receiver's answer tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import (
    ClusterError,
    Congested,
    ForkedClusterError,
    NoResponder,
    NotAcknowledged,
    OutcomeUnknown,
    QueryTimeout,
    RemoteError,
    ServiceLost,
)  # fmt: skip
from ..model import Service
from .requests import Requests, Waiter
from .session import Session

NO_HOOK = (
    "has no event hook for what was sent: place one there with @cluster.hook('event'), "
    "or send it without ack=True"
)


class Promise:
    """One acknowledged send to some receivers. ``ended`` is called in the loop, when of each of
    them is known what there is to know.
    """

    def __init__(
        self, receivers: Sequence[tuple[Service, Session]], timeout: float,
        next_id: Callable[[], int], ended: Callable[[], None],
    ) -> None:  # fmt: skip
        self.waiters = [
            Waiter(next_id(), service, session, timeout, self._finish(number))
            for number, (service, session) in enumerate(receivers)
        ]
        self._errors: dict[int, Exception] = {}
        self._open = len(self.waiters)
        self._ended = ended

    def _finish(self, number: int) -> Callable[[Any, Exception | None], None]:
        def finish(value: Any, error: Exception | None) -> None:
            waiter = self.waiters[number]
            left = waiter.session.promises.pop(waiter.id, True)
            if error is not None:
                self._errors[number] = verdict(waiter, error, left)
            self._open -= 1
            if not self._open:
                self._ended()

        return finish

    def open(self, requests: Requests) -> None:
        """Notes who waits, before anything is put into a session (any thread)."""
        for waiter in self.waiters:
            waiter.session.promises[waiter.id] = False
            requests.open(waiter)

    @property
    def over(self) -> bool:
        """All is known that ever will be."""
        return not self._open

    def cancel(self) -> None:
        """Nobody waits any more. What has not left never will."""
        for waiter in self.waiters:
            waiter.cancel()
            waiter.session.promises.pop(waiter.id, None)

    def result(self) -> tuple[Service, ...]:
        """Who handled it.

        Raises:
            Exception: what became of it where there is one receiver, as ``verdict`` says.
            NotAcknowledged: of several some did not handle it.
        """
        services = [waiter.service for waiter in self.waiters]
        if not self._errors:
            return tuple(services)
        if len(services) == 1:
            raise self._errors[0]
        errors = {services[number]: error for number, error in sorted(self._errors.items())}
        raise NotAcknowledged(errors, [each for each in services if each not in errors])


def verdict(waiter: Waiter, error: Exception, left: bool) -> Exception:
    """What is said of a receiver that did not say that it handled it."""
    service = waiter.service
    if isinstance(error, RemoteError | OutcomeUnknown | ForkedClusterError):
        return error
    if isinstance(error, NoResponder):
        return NoResponder(service, NO_HOOK)
    if isinstance(error, ServiceLost) and error.reason == "leaving":
        return error  # it took nothing any more
    if left:
        unknown = OutcomeUnknown(service, str(error))
        unknown.__cause__ = error
        return unknown
    if isinstance(error, QueryTimeout):
        return Congested(f"{service.name} took nothing for {waiter.timeout:g} s; it was not sent")
    assert isinstance(error, ClusterError)
    return error
