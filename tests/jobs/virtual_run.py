"""A run in virtual time: what a schedule starts takes so long, and ends so."""

import heapq
from collections.abc import Callable
from itertools import count

from meshcluster.jobs.schedule import Schedule
from meshcluster.jobs.terms import Terms


def short(pair):
    """A pair as the specification writes it."""
    return f"{pair.job}/{pair.site}"


class Sites:
    """Who matches which job, and what has become of whom. ``only`` some sites of a job: its name
    and theirs; every other job matches all."""

    def __init__(self, *names, **only):
        self.all = list(names)
        self.only = {job: list(sites) for job, sites in only.items()}
        self.fates = {}
        self.asked = []

    def resolve(self, job):
        self.asked.append(job)
        return list(self.only.get(job, self.all))

    def fate(self, site):
        return self.fates.get(site, "")


class Run:
    """``trace``: "a/s1+" where a began on s1, "a/s1-" where it ended, in the order of that."""

    def __init__(self, jobs, sites, *, lasts=None, ends=None, host_of=None, only=None, **terms):
        self.sites = sites if isinstance(sites, Sites) else Sites(*sites.split())
        self.lasts = lasts or {}
        self.ends = ends or {}
        more = {"host_of": host_of} if host_of else {}
        self.schedule = Schedule(
            jobs.split(),
            self.sites.resolve,
            Terms(**terms),
            fate=self.sites.fate,
            only=only,
            **more,
        )
        self.trace = []
        self.ran = []
        self.statuses = {}
        self.reasons = {}
        self.cancelled = []
        self.most = 0
        self.now = 0.0
        self._order = count()
        self._coming = []

    def at(self, seconds, call: Callable[[], object]):
        """Something that happens from outside."""
        heapq.heappush(self._coming, (seconds, next(self._order), call))

    def take(self):
        """What the schedule says by now."""
        for pair in self.schedule.startable():
            assert pair not in self.statuses
            self.statuses[pair] = "running"
            self.ran.append(short(pair))
            self.trace.append(short(pair) + "+")
            seconds = self.lasts.get(short(pair), self.lasts.get(pair.site, 1.0))
            self.at(self.now + seconds, lambda pair=pair: self.end(pair))
        for pair, reason in self.schedule.skipped():
            assert pair not in self.statuses
            self.statuses[pair] = "skipped"
            self.reasons[short(pair)] = reason
        self.cancelled += map(short, self.schedule.cancel())
        self.most = max(self.most, len(self.schedule.running))

    def end(self, pair):
        self.statuses[pair] = self.ends.get(short(pair), "ok")
        self.trace.append(short(pair) + "-")
        self.schedule.ended(pair, self.statuses[pair])

    def go(self):
        """To the end. Each pair of the plan has one end."""
        self.take()
        while not self.schedule.done:
            self.now, _, call = heapq.heappop(self._coming)
            call()
            self.take()
        assert set(self.statuses) == set(self.schedule.pairs)
        assert "running" not in self.statuses.values()
        return self

    @property
    def failed(self):
        return [short(pair) for pair, end in self.statuses.items() if end not in ("ok", "skipped")]
