"""``Running``: one run of a schedule, from its plan to its result."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import SiteUnreachable
from .events import Event, PairBegan, PairEnded, RunBegan, RunEnded
from .fragment import Fragment, failure_of
from .job import Function, Job
from .masters import Masters
from .outcomes import Outcome, Pair, RunResult, Status
from .passwords import Passwords
from .plan import Plan
from .schedule import FATES, Schedule
from .site import Site
from .sites import Sites
from .terms import Terms
from .ways import Handshakes

Watch = Callable[[Event], object]
INTERRUPTED = "interrupted"
_LOG = logging.getLogger("meshcluster.jobs")


@dataclass(slots=True)
class _Begun:
    """A pair that has begun."""

    pair: Pair
    id: str
    began: float
    fragments: list[Fragment] = field(default_factory=list)


class Running:
    """Begins what the schedule says, sees to its end, and tells who watches.

    Args:
        jobs: of the run, by name.
        names: the jobs in order.
        sites: where they run.
        terms: in which order, and what stops it.
        head: the result, with what is known of it.
        only: the pairs a retry is limited to. Those that the roles of the run leave out are no
            part of it; a warning names them.
        watch: is told of each event; in the loop.
        passwords: of sites that have none of their own.
    """

    def __init__(
        self, jobs: Mapping[str, Job], names: tuple[str, ...], sites: Sites, terms: Terms,
        head: RunResult, *, only: Collection[tuple[int, str]] | None, watch: Watch | None,
        passwords: Passwords,
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._sites = sites
        self._terms = terms
        self.result = head
        self._watch = watch
        self.passwords = passwords
        self.handshakes = Handshakes()
        self.masters: Masters | None = Masters()
        self._planned: dict[tuple[str, str], Sequence[Function]] = {}
        """The actions of each job on each site, when the run began."""
        self._lost: set[str] = set()
        """Sites where a pair was lost."""
        left_out = self._left_out(names, only or ())
        if only is not None:
            only = frozenset(only) - {(pair.position, pair.site) for pair in left_out}
        self._schedule = Schedule(
            names, self._matching, terms, host_of=self._host_of, fate=self._fate, only=only
        )
        self.plan = Plan.of(
            self._schedule, self._actions, ignored=head.ignored, retried=only is not None,
            left_out=left_out,
        )  # fmt: skip
        self._outcomes: dict[Pair, Outcome] = {}
        self._pairs: dict[Pair, asyncio.Task[None]] = {}
        self._stopping: dict[Pair, tuple[Status, str]] = {}
        """Pairs that are being stopped, and what they end as."""
        self._kept: set[asyncio.Task[Any]] = set()
        self._count = 0
        self._began = 0.0
        self._woken = asyncio.Event()
        self._changed = False
        self._cancelled: asyncio.CancelledError | None = None
        self._over = False
        self._is_told_of_watch = False

    # --- what the schedule asks ---------------------------------------------------------------

    def _matching(self, job: str) -> list[str]:
        return self._jobs[job].sites(self._sites, self._terms.roles)

    def _left_out(
        self, names: Sequence[str], only: Collection[tuple[int, str]]
    ) -> list[Pair]:  # fmt: skip
        """Pairs whose site matches the job still, and not the roles of this run."""
        if self._terms.roles is None:
            return []
        found = []
        for at, name in enumerate(names):
            asked = {site for position, site in only if position == at}
            asked &= {*self._jobs[name].sites(self._sites, None)}
            found += [Pair(at, name, site) for site in sorted(asked - {*self._matching(name)})]
        return found

    def _fate(self, name: str) -> str:
        """As ``Sites.fate``; but a command may know that its member is gone before we are told."""
        fate = self._sites.fate(name)
        if not fate and name in self._lost:
            site = self._sites.get(name)
            if site is not None and site.service is not None and site.service.state == "gone":
                return "lost"
        return fate

    def _host_of(self, name: str) -> str:
        site = self._sites.get(name)
        if site is None:
            return name
        return site.service.host if site.service is not None else site.server.host or ""

    def _actions(self, job: str, name: str) -> int:
        site = self._sites.get(name)
        self._planned[job, name] = () if site is None else self._jobs[job].functions(site)
        return len(self._planned[job, name])

    # --- what actions' shells ask: see ``Around`` ---------------------------------------------

    def keep(self, task: asyncio.Task[Any]) -> None:
        """It may outlive its action, not the run."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    # --- the run ------------------------------------------------------------------------------

    async def to_the_end(self) -> RunResult:
        """Runs it. Where this is cancelled, what runs is ended first, and all is told.

        Raises:
            CancelledError: it was; the result is complete all the same.
        """
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self.result.began = time.time()
        self._tell(RunBegan(self.result.id, self.plan))
        end = self._sites.watch(lambda: _soon(loop, self._sites_changed))
        self._changed = True  # who came or went since they were looked up was told to nobody
        try:
            while True:
                self._advance()
                if self._schedule.done:
                    break
                try:
                    await self._woken.wait()
                except asyncio.CancelledError as error:
                    self._cancelled = error
                    self._interrupt()
                self._woken.clear()
        finally:
            end()
            self._take_skipped()
            await self._reap()
            self._finish()
        if self._cancelled is not None:
            raise self._cancelled
        return self.result

    def _sites_changed(self) -> None:
        self._changed = True
        self._woken.set()

    def _advance(self) -> None:
        """Begins what can begin."""
        schedule = self._schedule
        if self._changed:
            self._changed = False
            schedule.changed()
            self._stop_lost()
        for pair in schedule.startable():
            self._begin(pair)
        for pair in schedule.cancel():
            self._stop(pair, "failed", "stopped, for others failed")
        self._take_skipped()

    def _stop_lost(self) -> None:
        """Who takes its leave, or was removed, may still do what it does."""
        there = set(self._sites.list())
        for pair in [pair for pair in self._pairs if pair.site not in there]:
            if self._sites.fate(pair.site) == "lost":
                self._stop(pair, "lost", FATES["lost"])

    def _interrupt(self) -> None:
        """Nothing more begins; what runs is ended."""
        self.result.interrupted = True
        self._schedule.stop(INTERRUPTED)
        for pair in self._pairs:
            self._stop(pair, "failed", INTERRUPTED)
        self._take_skipped()

    def _stop(self, pair: Pair, status: Status, reason: str) -> None:
        if pair not in self._stopping:
            self._stopping[pair] = status, reason
            self._pairs[pair].cancel()

    def _take_skipped(self) -> None:
        for pair, reason in self._schedule.skipped():
            self._ended(Outcome(pair, "skipped", reason))

    def _ended(self, outcome: Outcome) -> None:
        self._outcomes[outcome.pair] = outcome
        self._tell(PairEnded(outcome))

    # --- one pair -----------------------------------------------------------------------------

    def _begin(self, pair: Pair) -> None:
        self._count += 1
        began = asyncio.get_running_loop().time() - self._began
        begun = _Begun(pair, f"{self.result.id}-{self._count}", began)
        task = asyncio.create_task(self._conduct(begun), name=f"{pair.job} on {pair.site}")
        self._pairs[pair] = task
        task.add_done_callback(lambda task: self._settle(begun, task))  # whatever becomes of it
        self._tell(PairBegan(pair, begun.id))

    async def _conduct(self, begun: _Begun) -> None:
        """One job on one site."""
        begun.fragments = self._fragments(begun)
        async with asyncio.TaskGroup() as group:
            for fragment in begun.fragments:
                group.create_task(self._one(fragment))

    async def _one(self, fragment: Fragment) -> None:
        await fragment.to_the_end()
        if fragment.interrupted:  # somebody has said so: at the question for a password
            self._interrupt()

    def _settle(self, begun: _Begun, task: asyncio.Task[None]) -> None:
        """It has ended."""
        pair = begun.pair
        status, reason, failures = failure_of(begun.fragments, pair.site)
        if task.cancelled():
            if status not in ("lost", "unreachable"):
                status, reason = self._stopping.get(pair, ("failed", INTERRUPTED))
        elif error := task.exception():  # ours, or a site that cannot work any more
            status = "unreachable" if isinstance(error, SiteUnreachable) else "failed"
            reason = str(error) or type(error).__name__
            _LOG.error("%s on %s could not be begun", pair.job, pair.site, exc_info=error)
        ended = asyncio.get_running_loop().time() - self._began
        if status == "lost":
            self._lost.add(pair.site)
        del self._pairs[pair]
        self._schedule.ended(pair, status)
        self._ended(Outcome(pair, status, reason, failures, begun.began, ended, begun.id))
        self._woken.set()

    def _fragments(self, begun: _Begun) -> list[Fragment]:
        """The actions of a job on a site, in the order of their declaration.

        Raises:
            SiteUnreachable: it went in this moment.
        """
        pair = begun.pair
        site = self._sites.get(pair.site)
        if site is None:
            raise SiteUnreachable(FATES[self._sites.fate(pair.site) or "left"], pair.site)
        functions = self._functions(pair.job, site)
        return [
            Fragment(
                function, pair, begun.id, at, len(functions), self.result, self._terms,
                self._sites.get(pair.site) or site, self, self._tell,
            )
            for at, function in enumerate(functions, 1)
        ]  # fmt: skip

    def _functions(self, job: str, site: Site) -> Sequence[Function]:
        """What a job does there: as planned, though the site's roles may be others by now; in a
        live run as they are now.
        """
        planned = self._planned.get((job, site.name), ())
        if planned and not self._terms.live:
            return planned
        return self._jobs[job].functions(site) or planned

    # --- its end ------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Nothing outlives the run, also where this is hurried on."""
        while tasks := {*self._kept, *self._pairs.values()}:
            for task in tasks:
                if not task.cancelling():
                    task.cancel()
            await self._wait_for(tasks)
        assert self.masters is not None
        closing = asyncio.create_task(self.masters.close())
        while not closing.done():
            await self._wait_for({closing})
        if error := closing.exception():
            _LOG.error("connections could not be closed", exc_info=error)

    async def _wait_for(self, tasks: Collection[asyncio.Task[Any]]) -> None:
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            self._cancelled = error
            self.result.interrupted = True

    def _finish(self) -> None:
        result = self.result
        result.outcomes = [
            self._outcomes[pair] for pair in self._schedule.pairs if pair in self._outcomes
        ]
        result.resolved = self._schedule.resolved
        result.warnings = self.plan.warnings
        result.seconds = asyncio.get_running_loop().time() - self._began
        self._tell(RunEnded(result))
        self._over = True

    # --- who watches --------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        if self._watch is None or self._over:
            return
        try:
            self._watch(event)
        except Exception:
            if not self._is_told_of_watch:  # it will, most likely, of each event
                self._is_told_of_watch = True
                _LOG.exception("who watches the run raised; if again, it is not said")


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # the loop is closed: the run has ended
        pass
