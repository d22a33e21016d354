"""``Running``: one run of a schedule, from its plan to its result."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import Any, TypeVar

from ..errors import Interrupted
from .events import Event, LineWritten, PairBegan, PairEnded, RunBegan, RunEnded
from .fragment import Fragment, failure_of
from .job import Job
from .masters import Masters
from .outcomes import Outcome, Pair, RunResult, Status
from .passwords import Passwords
from .plan import Plan
from .schedule import Schedule
from .sites import Sites
from .terms import Terms
from .ways import Handshakes

T = TypeVar("T")
Watch = Callable[[Event], object]
INTERRUPTED = "interrupted"
_LOG = logging.getLogger("meshcluster.jobs")


class Running:
    """Begins what the schedule says, sees to its end, and tells who watches.

    Args:
        jobs: of the run, by name.
        names: the jobs in order.
        sites: where they run.
        terms: in which order, and what stops it.
        head: the result, with what is known of it.
        only: the pairs a retry is limited to.
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
        self._schedule = Schedule(
            names, self._matching, terms, host_of=self._host_of, fate=sites.fate, only=only
        )
        self.plan = Plan.of(self._schedule, self._actions, ignored=head.ignored)
        self._outcomes: dict[Pair, Outcome] = {}
        self._pairs: dict[Pair, asyncio.Task[None]] = {}
        self._stopping: dict[Pair, tuple[Status, str]] = {}
        """Pairs that are being stopped, and what they end as."""
        self._kept: set[asyncio.Task[Any]] = set()
        self._open: set[asyncio.Task[Any]] = set()
        self._count = 0
        self._began = 0.0
        self._woken = asyncio.Event()
        self._changed = False

    # --- what the schedule asks ---------------------------------------------------------------

    def _matching(self, job: str) -> list[str]:
        return self._jobs[job].sites(self._sites, self._terms.roles)

    def _host_of(self, name: str) -> str:
        site = self._sites.get(name)
        if site is None:
            return name
        return site.service.host if site.service is not None else site.server.host or ""

    def _actions(self, job: str, name: str) -> int:
        site = self._sites.get(name)
        return 0 if site is None else len(self._jobs[job].functions(site))

    # --- what actions' shells ask: see ``RunAround`` ------------------------------------------

    def keep(self, task: asyncio.Task[Any]) -> None:
        """It may outlive its action, not the run."""
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    async def until(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits it; the run does not end before."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            return await work
        finally:
            self._open.discard(task)

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
        interrupted: asyncio.CancelledError | None = None
        try:
            while not self._schedule.done:
                self._advance()
                if self._schedule.done:
                    break
                try:
                    await self._woken.wait()
                except asyncio.CancelledError as error:
                    interrupted = error
                    self._interrupt()
                self._woken.clear()
        finally:
            end()
            self._take_skipped()
            await self._reap()
            self._finish()
        if interrupted is not None:
            raise interrupted
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
            for pair in [pair for pair in self._pairs if self._sites.fate(pair.site)]:
                self._stop(pair, "lost", "the site is lost")
        for pair in schedule.startable():
            self._begin(pair)
        for pair in schedule.cancel():
            self._stop(pair, "failed", "stopped, for others failed")
        self._take_skipped()

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
        task = asyncio.create_task(self._conduct(pair), name=f"{pair.job} on {pair.site}")
        self._pairs[pair] = task

    async def _conduct(self, pair: Pair) -> None:
        """One job on one site; it never raises."""
        loop = asyncio.get_running_loop()
        began = loop.time() - self._began
        self._count += 1
        pair_id = f"{self.result.id}-{self._count}"
        self._tell(PairBegan(pair, pair_id))
        fragments: list[Fragment] = []
        status: Status = "ok"
        reason = ""
        try:
            fragments = self._fragments(pair, pair_id)
            async with asyncio.TaskGroup() as group:
                for fragment in fragments:
                    group.create_task(fragment.to_the_end())
        except asyncio.CancelledError:
            status, reason = self._stopping.get(pair, ("failed", INTERRUPTED))
        except Exception as error:  # ours, or a site whose config was changed to what cannot work
            _LOG.exception("%s on %s could not be begun", pair.job, pair.site)
            status, reason = "failed", str(error) or type(error).__name__
        failed, why, failures = failure_of(fragments, pair.site)
        if status == "ok" or (failed in ("lost", "unreachable") and pair not in self._stopping):
            status, reason = failed, why
        outcome = Outcome(pair, status, reason, failures, began, loop.time() - self._began, pair_id)
        del self._pairs[pair]
        self._schedule.ended(pair, status)
        self._ended(outcome)
        errors = [error for fragment in fragments for error, _ in fragment.failures]
        if pair not in self._stopping and any(isinstance(each, Interrupted) for each in errors):
            self._interrupt()  # somebody has said so: at the question for a password
        self._woken.set()

    def _fragments(self, pair: Pair, pair_id: str) -> list[Fragment]:
        """The actions of a job on a site, in the order of their declaration."""
        site = self._sites.get(pair.site)
        if site is None:  # it left in this moment
            return []
        functions = self._jobs[pair.job].functions(site)
        return [
            Fragment(
                function, pair, pair_id, at, len(functions), self.result, self._terms,
                self._sites.get(pair.site) or site, self, self._line,
            )
            for at, function in enumerate(functions, 1)
        ]  # fmt: skip

    # --- its end ------------------------------------------------------------------------------

    async def _reap(self) -> None:
        """Nothing outlives the run, also where this is hurried on."""
        for task in (*self._kept, *self._pairs.values()):
            task.cancel()
        while tasks := {*self._kept, *self._open, *self._pairs.values()}:
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError:
                continue
        assert self.masters is not None
        await self.masters.close()

    def _finish(self) -> None:
        result = self.result
        result.outcomes = [
            self._outcomes[pair] for pair in self._schedule.pairs if pair in self._outcomes
        ]
        result.resolved = self._schedule.resolved
        result.warnings = self.plan.warnings
        result.seconds = asyncio.get_running_loop().time() - self._began
        self._tell(RunEnded(result))

    # --- who watches --------------------------------------------------------------------------

    def _line(self, line: LineWritten) -> None:
        self._tell(line)

    def _tell(self, event: Event) -> None:
        if self._watch is None:
            return
        try:
            self._watch(event)
        except Exception:
            _LOG.exception("who watches the run raised")


def _soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:  # the loop is closed: the run has ended
        pass
