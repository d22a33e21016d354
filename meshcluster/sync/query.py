"""``Query``: a query of the blocking ``Cluster``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from ..model import Service
from ..node.queries import DONE, Gathering
from ..query import STOP, OnEvent, QueryView
from .bell import Bell

Later = Callable[..., None]
"""Runs a function on the thread for callbacks, in order."""


class Query(QueryView):
    """Answers as they come. ``for service, answer in query``, or ``query.wait()``."""

    def __init__(
        self, gathering: Gathering, cancel: Callable[[Gathering], None],
        on_event: OnEvent | None, later: Later, check_outside: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(gathering)
        self._cancel = cancel
        self._on_event = on_event
        self._later = later
        self._check_outside = check_outside
        self._changed = Bell()
        self._ended = Bell()
        """Apart, so that who waits for the end is not woken for each answer."""

    def progress(self, name: str, service: Service | None) -> None:
        """Told by the driver, in the loop; ``on_event`` runs on the thread for callbacks."""
        self._changed.ring()
        if self.done:
            self._ended.ring()
        if self._on_event is not None:
            self._later(self._tell, self._on_event, name, service)

    def _tell(self, on_event: OnEvent, name: str, service: Service | None) -> None:
        self.service = service
        if on_event(name, self) is STOP and name != DONE:
            self.cancel()

    def abandon(self, failure: Exception) -> None:
        """Told by the driver."""
        super().abandon(failure)
        self._changed.ring()
        self._ended.ring()

    def cancel(self) -> None:
        """Ends the query; iteration and ``wait`` end with what there is."""
        if not self._gathering.over:
            self._cancel(self._gathering)

    def wait(self, timeout: float | None = None) -> dict[Service, Any]:
        """The results, once everybody expected has answered, left or died.

        Raises:
            QueryTimeout: the query's deadline passed; it holds what arrived.
            NoServices: nobody matched.
            TimeoutError: ``timeout`` seconds passed first; the query goes on.
        """
        self._check_outside()
        if not self._ended.wait_for(lambda: self.done, timeout):
            waiting = len(self._gathering.waiting)
            raise TimeoutError(f"{waiting} have not answered after {timeout:g} s")
        self._raise()
        return self.results

    def __iter__(self) -> Iterator[tuple[Service, Any]]:
        self._check_outside()
        gathering, seen = self._gathering, 0
        gathering.watched = True  # before looking: what comes from here on is told
        while True:
            self._changed.wait_for(lambda: len(gathering.results) > seen or self.done)  # noqa: B023
            fresh = gathering.results_after(seen)
            if not fresh:
                break
            for each in fresh:
                seen += 1
                yield each
        self._raise()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.cancel()

    def _raise(self) -> None:
        if self._gathering.failure is not None:
            raise self._gathering.failure
