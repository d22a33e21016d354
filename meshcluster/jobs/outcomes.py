"""What became of a run: each job on each site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ..errors import JobsFailed
from ..lettering import harmless

Status = Literal["ok", "failed", "lost", "unreachable", "skipped"]
STATUSES: tuple[Status, ...] = ("ok", "failed", "lost", "unreachable", "skipped")


class Pair(NamedTuple):
    """A job on a site. ``position`` is the job's place in its schedule, from 0: a job that is
    listed twice runs twice.
    """

    position: int
    job: str
    site: str


class Failure(NamedTuple):
    """One error of one action.

    Attributes:
        fragment: which action of the job, from 1.
        kind: the name of the error's class.
        text: what it says.
        traceback: where an exception of the action's own was raised, from its own code on; "" of
            a command that failed.
        returncode: the exit status of a command that failed; the negative number of a signal that
            ended it; None of all else.
    """

    fragment: int
    kind: str
    text: str
    traceback: str = ""
    returncode: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job on one site.

    Attributes:
        pair: which.
        status: "ok"; "failed": an action did; "lost": the site went away with it, and it may have
            been done in part; "unreachable": the site could not be reached; "skipped": not begun.
        reason: why, in a few words; "" where it is ok.
        failures: each error, of each action.
        began, ended: seconds since the run began; None where it did not begin.
        id: of the run and this pair; safe as the name of a file; "" where it did not begin.
    """

    pair: Pair
    status: Status
    reason: str = ""
    failures: tuple[Failure, ...] = ()
    began: float | None = None
    ended: float | None = None
    id: str = ""

    @property
    def job(self) -> str:
        """The job's name."""
        return self.pair.job

    @property
    def site(self) -> str:
        """The site's name."""
        return self.pair.site

    @property
    def why(self) -> str:
        """The reason, where the site and the status are said beside it."""
        return self.reason.removeprefix(f"{self.site} is {self.status}: ").removeprefix(
            f"{self.site}: "
        )

    def says(self, failure: Failure) -> bool:
        """Whether the reason says all of a failure but its traceback."""
        return len(self.failures) == 1 and failure.text in self.reason

    @property
    def seconds(self) -> float:
        """How long it took."""
        if self.began is None or self.ended is None:
            return 0.0
        return self.ended - self.began


@dataclass(slots=True)
class RunResult:
    """What became of a run of one schedule.

    Attributes:
        id: of the run: the batch's and a number.
        batch: the id of the batch it was part of.
        index: its number in the batch, from 1.
        schedule: "site-sequential", "sequential", "atomic" or "parallel".
        jobs: the names in the order they were given.
        outcomes: of every pair, in the order of the plan.
        resolved: the sites of each job, by its position and name, as they were found.
        ignored: names of jobs that there are not, with ``allow_missing``.
        warnings: what else should be known, such as a job that matched no site.
        began: when, in seconds since 1970.
        seconds: how long it took.
        interrupted: it was stopped before its end.
        shared: what actions left for one another.
    """

    id: str
    batch: str
    index: int
    schedule: str
    jobs: tuple[str, ...]
    outcomes: list[Outcome] = field(default_factory=list)
    resolved: Mapping[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    began: float = 0.0
    seconds: float = 0.0
    interrupted: bool = False
    shared: Any = None

    def having(self, *statuses: Status) -> list[Outcome]:
        """The outcomes with one of these statuses."""
        return [outcome for outcome in self.outcomes if outcome.status in statuses]

    @property
    def ok(self) -> bool:
        """Whether all that was to be done was: each pair is ok, and nothing interrupted it."""
        return not self.interrupted and all(each.status == "ok" for each in self.outcomes)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def failed(self) -> list[Outcome]:
        """Those that failed, were lost or could not be reached."""
        return self.having("failed", "lost", "unreachable")

    @property
    def skipped(self) -> list[Outcome]:
        """Those that were not begun."""
        return self.having("skipped")

    @property
    def undone(self) -> frozenset[tuple[int, str]]:
        """What a retry has to do: position and site of each pair that is not ok."""
        return frozenset(
            (each.pair.position, each.site) for each in self.outcomes if each.status != "ok"
        )

    def of(self, job: str, site: str) -> Outcome:
        """The outcome of a job on a site, the last where the job is listed twice.

        Raises:
            KeyError: it was not to run there.
        """
        for outcome in reversed(self.outcomes):
            if outcome.job == job and outcome.site == site:
                return outcome
        raise KeyError(f"{job} was not to run on {site}")

    def raise_for_errors(self) -> None:
        """Does nothing when all is ok.

        Raises:
            JobsFailed: it is not; the text says of each pair why.
        """
        if not self.ok:
            raise JobsFailed(harmless(self._failure(), keep="\n\t"), self)

    def _failure(self) -> str:
        bad = self.failed
        shown = "; ".join(f"{each.job} on {each.site}: {each.reason}" for each in bad[:3])
        more = f"; {len(bad) - 3} more" if len(bad) > 3 else ""
        skipped = f"; {len(self.skipped)} skipped" if self.skipped else ""
        return (shown or "interrupted") + more + skipped

    def recap(self, cells: int = 0) -> str:
        """A line for each site, how many of its jobs are ok, failed and so on; before them each
        failure. ``cells``: no line is wider; 0: as wide as need be.
        """
        from .recap import recap

        return recap(self, cells)

    def to_dict(self) -> dict[str, Any]:
        """All of it but ``shared``, as JSON can have it."""
        from .reports import as_dict

        return as_dict(self)

    def to_json(self) -> str:
        """``to_dict`` as text."""
        from .reports import as_json

        return as_json(self)

    def to_junit(self) -> str:
        """As JUnit's XML, which build servers show: a suite for each job, a case for each site."""
        from .reports import as_junit

        return as_junit(self)

    def gantt(self) -> str:
        """A picture of it, SVG: a row for each site, a bar for each job, over the time."""
        from .gantt import gantt

        return gantt(self)
