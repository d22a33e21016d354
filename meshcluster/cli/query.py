"""``meshcluster query``: asks members something, shows who answered and who is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .options import Command, Example, Settings, resolve_option, text
from .screen import Screen
from .values import plain, text_of

if TYPE_CHECKING:
    from ..model import Service
    from ..sync.cluster import Cluster
    from ..sync.query import Query

FAILED, INCOMPLETE, INTERRUPTED = 1, 3, 130

PATIENCE_SECONDS = 1.0
"""After which a person is told whom we wait for."""

NAMES = 8
HEADER = ("NAME", "ANSWER", "TIME")


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster query uptime", "ask everybody on this host"),
        Example("meshcluster query uptime -r web --timeout 2", "those tagged web, for 2 s"),
        Example("meshcluster query uptime --json | jq '.answers[].answer'", "for a script"),
        Example("meshcluster join --tag web --exec uptime", "a member that answers this"),
    ),
)
@click.argument("question", metavar="TEXT", callback=text)
@resolve_option("Only those that have")
def command(settings: Settings, question: str, resolve: tuple[str, ...]) -> int:
    """Ask members something and show their answers: their 'query' hooks get TEXT as a str.

    Over as soon as everybody who was asked has answered, left or died, or after --timeout. TIME is
    from asking to the answer, opening the link included.

    In a pipe: name, answer, milliseconds, separated by tabs. JSON: an object with query, answers
    (name, id, answer, milliseconds), errors of those whose hooks raised (name, id, kind, text,
    milliseconds), missing (name, id, reason) and milliseconds. Bytes become base64.

    Exit code 3 when somebody is missing, else 1 when somebody's hook raised.
    """
    from .observing import found, observing

    screen = Screen()
    with observing(settings, "query", resolve) as cluster:
        asked = found(cluster, settings, resolve)
        survey = Survey(cluster, question, asked, settings.timeout)
        code = survey.wait(screen)
        survey.close()
    if settings.json:
        screen.document(survey.document)
    else:
        survey.show(screen)
    return code


class Survey:
    """One query and what came of it."""

    def __init__(
        self, cluster: Cluster, question: str, asked: tuple[Service, ...], timeout: float
    ) -> None:
        self._asked = asked
        self._question = question
        self._timeout = timeout
        self._took: dict[Service, float] = {}
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._query = cluster.query(
            question, services=asked, timeout=timeout, on_event=self._happened
        )

    def _happened(self, name: str, query: Query) -> None:
        if query.service is not None:
            self._took.setdefault(query.service, time.perf_counter() - self._started)

    def wait(self, screen: Screen) -> int:
        """Waits until it is over or interrupted; returns the exit code."""
        from ..errors import NoServices, QueryTimeout

        try:
            try:
                self._query.wait(PATIENCE_SECONDS)
            except QueryTimeout:
                raise
            except TimeoutError:
                if screen.terminal:
                    screen.note(f"waiting for {_names(self._query.remaining)}; Ctrl-C ends")
                self._query.wait()
        except (QueryTimeout, NoServices):
            pass
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            self._seconds = time.perf_counter() - self._started
        if self.missing:
            return INCOMPLETE
        return FAILED if self.errors else 0

    def close(self) -> None:
        """Answers that come later do not count."""
        self._query.cancel()

    @property
    def errors(self) -> dict[Service, Exception]:
        """Of those whose hooks raised, or who answered what cannot be read."""
        from ..errors import RemoteError, WireError

        errors = self._query.errors.items()
        return {s: error for s, error in errors if isinstance(error, RemoteError | WireError)}

    @property
    def missing(self) -> dict[Service, str]:
        """Who has not answered, and why."""
        done = {*self._query.results, *self.errors}
        return {service: self._reason(service) for service in self._asked if service not in done}

    def _reason(self, service: Service) -> str:
        from ..errors import NoResponder, ServiceLost

        error = self._query.errors.get(service)
        if isinstance(error, ServiceLost):
            return error.reason
        if isinstance(error, NoResponder):
            return "it has no query hook that answers"
        if error is not None:
            return str(error)
        return f"no answer in {_duration(self._seconds)}"

    @property
    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        results, errors = self._query.results, self.errors
        return {
            "query": self._question,
            "answers": [
                {**self._who(s), "answer": plain(a), "milliseconds": self._ms(s)}
                for s, a in results.items()
            ],
            "errors": [
                {**self._who(s), "kind": getattr(e, "kind", type(e).__name__),
                 "text": getattr(e, "text", str(e)), "milliseconds": self._ms(s)}
                for s, e in errors.items()
            ],
            "missing": [{**self._who(s), "reason": why} for s, why in self.missing.items()],
            "milliseconds": round(self._seconds * 1000, 1),
        }  # fmt: skip

    def show(self, screen: Screen) -> None:
        """The table; beside it who is missing."""
        results, errors, missing = self._query.results, self.errors, self.missing
        unit = " ms" if screen.terminal else ""
        rows = [(s.name, text_of(a), f"{self._ms(s)}{unit}") for s, a in results.items()]
        if rows:
            screen.table(HEADER, rows, wrapped="ANSWER")
        for service, error in errors.items():
            kind, told = getattr(error, "kind", type(error).__name__), getattr(error, "text", "")
            screen.note(f"{service.name} failed: {kind}: {told or error}")
        for service, why in missing.items():
            screen.note(f"{service.name} is missing: {why}")
        if missing or errors or screen.terminal:
            screen.note(
                f"{len(results)} of {len(self._asked)} answered in {_duration(self._seconds)}"
            )

    def _who(self, service: Service) -> dict[str, str]:
        return {"name": service.name, "id": service.id}

    def _ms(self, service: Service) -> float:
        """The last one's callback may run after the query has ended."""
        return round(min(self._took.get(service, self._seconds), self._seconds) * 1000, 1)


def _names(services: tuple[Service, ...]) -> str:
    names = ", ".join(service.name for service in services[:NAMES])
    more = len(services) - NAMES
    return f"{names} and {more} more" if more > 0 else names


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
