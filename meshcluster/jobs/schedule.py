"""``Schedule``: which job begins on which site next, and what no longer does. No clock, no I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType

from ..errors import ConfigError, NoSites
from .gate import Gate
from .outcomes import Pair, Status
from .stages import Key, Lane, Stage, lay_out, widen
from .terms import Terms

BREAKS = MappingProxyType(
    {"site-sequential": "site", "sequential": "job", "atomic": "run", "parallel": "nothing"}
)
"""What a failure ends with ``break_on_error``: all that comes after on its site; all that comes
after the job, which goes on to its end; everything."""
FATES = MappingProxyType({"left": "the site left", "lost": "the site is lost"})
FAILURES = MappingProxyType(
    {
        "failed": "{job} failed on {site}",
        "lost": "{job} was lost on {site}",
        "unreachable": "{site} could not be reached for {job}",
    }
)


def itself(site: str) -> str:
    """The host of a site where nothing else is known."""
    return site


def well(site: str) -> str:
    """The fate of a site of which nothing else is known."""
    return ""


class Schedule:
    """One run's pairs of a job and a site, in the order that its ``Terms`` say.

    A plan is a list of stages, a stage a list of lanes, a lane a sequence of pairs that run one
    after the other. The lanes of a stage run side by side; the next stage begins when all have
    ended. Where pairs wait for room, the first in the plan goes first: job by job, site by site.

    Whoever uses it begins what ``startable`` gives, says of each pair when it has ``ended``, and
    takes what was ``skipped`` and what it has to ``cancel`` after each call, until ``done``. Each
    pair of the plan ends or is skipped, once. While it is not done something runs or can start.

    ``resolve`` is called once for each job at construction, before anything starts. Of a live run
    it is called again after ``changed``, when it is needed. Then: before a job of a sequential or
    atomic run (order "job") the sites that match it by now are added; in a site-sequential run a
    site that was in no job's list goes through the jobs that it matches, as long as anything else
    is not done. With ``batches`` such newcomers come last, in portions of their own. Atomic runs
    with order "site" and parallel ones take no newcomers, and no retry does. A pair that was
    planned and does not match when its turn comes is skipped (without ``recheck`` only before a
    job of a sequential or atomic run).

    What has become of a site counts when its pair's turn comes. A site that is lost has failed, as
    ``break_on_error`` and ``max_fail`` count, if a pair of its was running: that one ends as
    "lost". One that goes between its pairs has not; its pairs are skipped.

    Args:
        jobs: their names, in order; one may be listed twice.
        resolve: the sites that a job matches now, in order, by the run's filter.
        terms: the order and what stops it.
        host_of: the host of a site, for ``per_host``. By default each site is a host.
        fate: what has become of a site: "left", "lost", or "" of one that is well.
        only: the pairs a retry is limited to, by position and site. One of a site that does not
            match any more is skipped with the reason, not forgotten.

    Raises:
        NoSites: a job matches fewer sites than ``require_sites``.
        ConfigError: ``only`` has a position that no job has.
    """

    def __init__(
        self,
        jobs: Sequence[str],
        resolve: Callable[[str], Sequence[str]],
        terms: Terms,
        *,
        host_of: Callable[[str], str] = itself,
        fate: Callable[[str], str] = well,
        only: Collection[tuple[int, str]] | None = None,
    ) -> None:
        self.terms = terms
        self.jobs = tuple(jobs)
        self._resolve = resolve
        self._fate = fate
        self._matches: dict[str, dict[str, None]] = {}
        self._only = None if only is None else frozenset(only)
        self._gone: set[Pair] = set()
        self._gate = Gate(terms.max_parallel, terms.per_host, host_of)
        self._running: dict[Pair, Lane] = {}
        self._skipped: list[tuple[Pair, str]] = []
        self._cancel: list[Pair] = []
        self._failed_sites: set[str] = set()
        self._over_after_stage = ""
        self._finished = False
        self._stage = Stage(0, None)
        self._resolved = {(at, job): self._planned(at, job) for at, job in enumerate(self.jobs)}
        sites = list(dict.fromkeys(site for found in self._resolved.values() for site in found))
        self._count = len(sites)
        self._portion_of: dict[str, int] = {}
        self._portions = 0
        self._stages: deque[Stage] = deque()
        self._lay_out(sites)
        laid = [tuple(tuple(lane.pairs) for lane in each.lanes) for each in self._stages]
        self.stages = tuple(lanes for lanes in laid if lanes)
        """The plan as it was made: stages of lanes of pairs."""
        self._advance()

    # --- what there is ----------------------------------------------------------------------------

    @property
    def resolved(self) -> dict[Key, tuple[str, ...]]:
        """The sites of each job, by its position and name, with those that were added since."""
        return {key: tuple(sites) for key, sites in self._resolved.items()}

    @property
    def pairs(self) -> list[Pair]:
        """All there are by now, job by job."""
        return [Pair(*key, site) for key, sites in self._resolved.items() for site in sites]

    @property
    def running(self) -> AbstractSet[Pair]:
        """Those that began and have not ended, the first that began first."""
        return self._running.keys()

    @property
    def done(self) -> bool:
        """Nothing runs and nothing more will start."""
        return self._finished and not self._running

    # --- what happens -----------------------------------------------------------------------------

    def startable(self) -> list[Pair]:
        """Those that begin now; they are running from here on."""
        begun = []
        while self._gate.has_room and (lane := self._advance()):
            pair = self._gate.begin()
            self._running[pair] = lane
            begun.append(pair)
        return begun

    def ended(self, pair: Pair, status: Status) -> None:
        """A running pair ended as "ok", "failed", "lost" or "unreachable".

        Raises:
            KeyError: it is not running.
            ValueError: nothing that runs ends so.
        """
        if status != "ok" and status not in FAILURES:
            raise ValueError(f"{status!r}: one of 'ok', {', '.join(map(repr, FAILURES))}")
        lane = self._running.pop(pair)
        self._gate.ended(pair)
        if status != "ok":
            self._failed(pair, status, lane)
        self._gate.push(lane)
        self._advance()

    def changed(self) -> None:
        """Sites may have come, gone, or other roles than before."""
        if self.terms.live:
            self._matches.clear()
            if self.terms.batches is None and self.terms.schedule == "site-sequential":
                self._admit()
        self._advance()

    def stop(self, reason: str) -> None:
        """Nothing more starts; what runs goes on. The first reason is the one that is kept."""
        self._end(reason)

    def skipped(self) -> list[tuple[Pair, str]]:
        """What is not begun any more, and why, since the last call."""
        found, self._skipped = self._skipped, []
        return found

    def cancel(self) -> list[Pair]:
        """What runs and is to be stopped, since the last call; each of them has to end."""
        found, self._cancel = self._cancel, []
        return [pair for pair in found if pair in self._running]

    # --- who matches ------------------------------------------------------------------------------

    def _matching(self, job: str) -> dict[str, None]:
        """Its sites, each once, in order; as they were since ``changed``."""
        if job not in self._matches:
            self._matches[job] = dict.fromkeys(self._resolve(job))
        return self._matches[job]

    def _planned(self, position: int, job: str) -> list[str]:
        """The sites of a job at the start."""
        matching = self._matching(job)
        sites = list(matching)
        least = int(self.terms.require_sites)
        if len(sites) < least:
            raise NoSites(f"{job} matches {len(sites)} of at least {least} sites")
        if self._only is None:
            return sites
        if any(not 0 <= at < len(self.jobs) for at, _ in self._only):
            raise ConfigError(f"only=: positions from 0 to {len(self.jobs) - 1}")
        gone = sorted(site for at, site in self._only if at == position and site not in matching)
        self._gone.update(Pair(position, job, site) for site in gone)
        return [site for site in sites if (position, site) in self._only] + gone

    def _trouble(self, pair: Pair, *, recheck: bool) -> str:
        """Why a pair cannot begin; "": it can."""
        fate = self._fate(pair.site)
        if fate:
            return FATES.get(fate, fate)
        if pair.site not in self._matching(pair.job) if recheck else pair in self._gone:
            return f"the site no longer has a role of {pair.job}"
        return ""

    # --- stages -----------------------------------------------------------------------------------

    def _lay_out(self, sites: Sequence[str]) -> None:
        """Stages for sites that are new, after all that there are."""
        for portion in self.terms.portions(sites, of=self._count, after=self._portions):
            self._portion_of.update(dict.fromkeys(portion, self._portions))
            self._stages += lay_out(self.terms, self._resolved, self._portions, portion)
            self._portions += 1

    def _advance(self) -> Lane | None:
        """Skips what cannot begin, and opens a stage when the one before has ended. The lane that
        goes next, whose host has room; None: there is none for now.
        """
        recheck = self.terms.live and self.terms.recheck
        while True:
            if front := self._gate.front():
                lane, pair = front
                reason = self._trouble(pair, recheck=recheck)
                if not reason:
                    return lane
                self._skipped.append((self._gate.drop(), reason))
            elif self._running or self._finished or not self._open():
                return None

    def _open(self) -> bool:
        """Opens the next stage; False: there is none."""
        if self._over_after_stage:
            self._end(self._over_after_stage)
        if not self._stages and self._takes_newcomers and self.terms.batches is not None:
            self._lay_out(self._newcomers())
        if not self._stages:
            self._finished = True
            return False
        self._stage = self._stages.popleft()
        if self._stage.job is not None and self.terms.live:
            self._resolve_again(self._stage, self._stage.job)
        for lane in self._stage.lanes:
            self._gate.push(lane)
        return True

    def _resolve_again(self, stage: Stage, key: Key) -> None:
        """The sites of a job, just before it begins."""
        matching = self._matching(key[1])
        for lane in stage.lanes:
            gone = [pair for pair in lane.pairs if pair.site not in matching]
            self._skipped += [(pair, self._trouble(pair, recheck=True)) for pair in gone]
            if gone:
                lane.pairs = [pair for pair in lane.pairs if pair.site in matching]
        if not self._takes_newcomers:
            return
        planned = set(self._resolved[key])
        alone = self.terms.batches is None
        new = [
            site
            for site in matching
            if site not in planned and (alone or self._portion_of.get(site) == stage.portion)
        ]
        self._resolved[key] += new
        widen(stage, self.terms, [Pair(*key, site) for site in new])

    @property
    def _takes_newcomers(self) -> bool:
        """Sites that come while it runs take part."""
        terms = self.terms
        fixed = terms.schedule == "parallel" or terms.order == "site"
        return terms.live and not fixed and self._only is None and not self._finished

    def _newcomers(self) -> list[str]:
        """Sites that match now and were in no job's list; they are in them from here on."""
        new: dict[str, None] = {}
        for key, planned in self._resolved.items():
            found = [site for site in self._matching(key[1]) if site not in self._portion_of]
            planned += found
            new.update(dict.fromkeys(found))
        return list(new)

    def _admit(self) -> None:
        """A lane for each newcomer, beside those that there are."""
        new = self._newcomers() if self._takes_newcomers else []
        if not new:
            return
        self._portion_of.update(dict.fromkeys(new, 0))
        for stage in lay_out(self.terms, self._resolved, 0, new):
            for lane in stage.lanes:
                self._gate.push(self._stage.add(lane.pairs))

    # --- failures ---------------------------------------------------------------------------------

    def _failed(self, pair: Pair, status: Status, lane: Lane) -> None:
        """What a failure stops."""
        self._failed_sites.add(pair.site)
        allowed = self.terms.may_fail(self._count)
        if self._finished:
            return
        what = FAILURES[status]
        if allowed is not None and len(self._failed_sites) > allowed:
            many = f"more than {allowed} site{'s' * (allowed != 1)} failed"
            self._end(many if allowed else what.format_map(pair._asdict()), cancel=True)
        elif self.terms.break_on_error:
            scope = BREAKS[self.terms.schedule]
            reason = what.format_map(pair._asdict())
            if scope == "site":
                here = what.format(job=pair.job, site="this site")
                self._skipped += [(left, here) for left in lane.rest()]
            elif scope == "run" or (scope == "job" and self.terms.cancel_running):
                self._end(reason, cancel=True)
            elif scope == "job":
                self._over_after_stage = self._over_after_stage or reason

    def _end(self, reason: str, *, cancel: bool = False) -> None:
        """Nothing more starts."""
        self._finished = True
        self._gate.clear()
        for stage in (self._stage, *self._stages):
            for lane in stage.lanes:
                self._skipped += [(pair, reason) for pair in lane.rest()]
        self._stages.clear()
        if cancel and self.terms.cancel_running:
            self._cancel = list(self._running)
