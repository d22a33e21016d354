"""Runs of all kinds, with sites that fail, come and go as chance will have it: each pair ends or is
skipped, once, and no promise is broken on the way.

The same seed gives the same run; a failure names it.
"""

from collections import Counter
from random import Random

import pytest

from meshcluster.jobs.schedule import Schedule
from meshcluster.jobs.terms import KINDS, Terms
from tests.jobs.virtual_run import Sites

BAD = ("failed", "lost", "unreachable")


class World:
    """One run; it looks at each step whether what is promised holds."""

    def __init__(self, seed):
        self.random = random = Random(seed)
        names = [f"s{number}" for number in range(random.randrange(9))]
        self.jobs = [random.choice("abcd") for _ in range(random.randrange(5))]
        self.sites = Sites(
            *names,
            **{job: random.sample(names, random.randint(0, len(names))) for job in "ab"},
        )
        self.churns = random.random() < 0.5
        self.terms = self.draw_terms()
        self.only = self.draw_only(names)
        self.failing = random.choice([0.0, 0.1, 0.5])
        self.schedule = Schedule(
            self.jobs,
            self.sites.resolve,
            self.terms,
            host_of=self.host,
            fate=self.sites.fate,
            only=self.only,
        )
        sites = list(dict.fromkeys(s for found in self.schedule.resolved.values() for s in found))
        self.allowed = self.terms.may_fail(len(sites))
        portions = self.terms.portions(sites)
        self.portion = {site: at for at, portion in enumerate(portions) for site in portion}
        self.running = {}
        self.ends = {}
        self.skips = {}
        self.cancelled = []
        self.broken = []
        self.stopped = False

    def draw_terms(self):
        random, pick = self.random, self.random.choice
        kind = pick(KINDS)
        return Terms(
            schedule=kind,
            order=pick(["job", "site"]) if kind == "atomic" else "job",
            break_on_error=pick([True, False]),
            cancel_running=pick([True, False]),
            max_parallel=pick([None, None, 1, 2, 5]),
            per_host=pick([None, None, 1, 2]),
            batches=pick([None, None, 1, 3, "25%", [1, "50%"]]),
            max_fail=pick([None, None, 0, 1, "30%"]),
            live=self.churns and random.random() < 0.7,
            recheck=pick([True, True, False]),
        )

    def draw_only(self, names):
        if not self.jobs or self.random.random() < 0.8:
            return None
        pairs = [(at, site) for at in range(len(self.jobs)) for site in [*names, "elsewhere"]]
        return self.random.sample(pairs, self.random.randint(0, len(pairs)))

    def host(self, site):
        return "even" if int(site[1:], 36) % 2 == 0 else "odd"

    # --- what happens -----------------------------------------------------------------------------

    def go(self):
        steps = 0
        self.take()
        while not self.schedule.done:
            steps += 1
            assert steps < 1000
            chance = self.random.random()
            if chance < 0.02:
                self.stopped = True
                self.schedule.stop("interrupted")
            elif chance < 0.3 and self.churns:
                self.churn()
            elif self.running:
                self.end()
            self.take()
            assert self.running or self.schedule.done, "it would wait for ever"
        self.check_end()

    def churn(self):
        names = [*self.sites.all, "n1", "n2"]
        site = self.random.choice(names)
        match self.random.randrange(4):
            case 0:
                self.sites.fates[site] = self.random.choice(["left", "lost", ""])
            case 1 if site not in self.sites.all:
                self.sites.all.append(site)
            case 2:
                self.sites.only["a"] = self.random.sample(names, self.random.randint(0, 3))
            case 3 if site in self.sites.all:
                self.sites.all.remove(site)
        self.schedule.changed()

    def end(self):
        pair = self.random.choice(list(self.running))
        del self.running[pair]
        status = self.random.choice(BAD) if self.random.random() < self.failing else "ok"
        self.ends[pair] = status
        if status != "ok":
            self.broken.append(pair)
        self.schedule.ended(pair, status)

    def take(self):
        for pair in self.schedule.startable():
            self.check_begin(pair)
            self.running[pair] = True
        for pair, reason in self.schedule.skipped():
            assert reason
            assert pair not in self.skips
            assert pair not in self.ends
            assert pair not in self.running
            self.skips[pair] = reason
        for pair in self.schedule.cancel():
            assert pair in self.running
            assert pair not in self.cancelled
            assert self.terms.cancel_running
            self.cancelled.append(pair)
        assert set(self.schedule.running) == set(self.running)

    # --- what is promised -------------------------------------------------------------------------

    def check_begin(self, pair):
        terms = self.terms
        assert pair not in self.ends
        assert pair not in self.skips
        assert pair not in self.running
        assert not self.stopped
        assert not self.cancelled
        assert not self.sites.fate(pair.site)
        if terms.live and terms.recheck:
            assert pair.site in self.sites.resolve(pair.job)
        assert self.only is None or (pair.position, pair.site) in self.only
        self.check_caps(pair)
        self.check_order(pair)
        self.check_scope(pair)

    def check_caps(self, pair):
        if self.terms.max_parallel:
            assert len(self.running) < self.terms.max_parallel
        if self.terms.per_host:
            hosts = Counter(self.host(other.site) for other in self.running)
            assert hosts[self.host(pair.site)] < self.terms.per_host

    def check_order(self, pair):
        last = len(self.portion)
        portion = self.portion.get(pair.site, last if self.terms.batches else 0)
        for other in self.running:
            theirs = self.portion.get(other.site, last if self.terms.batches else 0)
            assert theirs == portion
            assert self.terms.schedule != "atomic"
            if self.terms.schedule == "sequential":
                assert other.position == pair.position
            if self.terms.schedule == "site-sequential":
                assert other.site != pair.site
        for other in self.ends:
            same = other.site == pair.site or (
                self.terms.schedule in ("sequential", "atomic")
                and self.terms.order == "job"
                and self.portion.get(other.site) == self.portion.get(pair.site) is not None
            )
            if same and self.terms.schedule != "parallel":
                assert other.position <= pair.position

    def check_scope(self, pair):
        if self.allowed is not None:
            assert len({broken.site for broken in self.broken}) <= self.allowed
        if not self.terms.break_on_error:
            return
        match self.terms.schedule:
            case "site-sequential":
                assert pair.site not in {broken.site for broken in self.broken}
            case "sequential":
                assert {broken.position for broken in self.broken} <= {pair.position}
            case "atomic":
                assert not self.broken

    def check_end(self):
        assert {*self.ends, *self.skips} == set(self.schedule.pairs)
        assert len(self.schedule.pairs) == len(set(self.schedule.pairs))
        assert self.schedule.startable() == self.schedule.skipped() == []
        planned = {p for stage in self.schedule.stages for lane in stage for p in lane}
        assert planned <= set(self.schedule.pairs)
        stops = self.terms.break_on_error or self.allowed is not None
        if not (self.stopped or self.churns or self.only or (stops and self.broken)):
            assert not self.skips
        if self.terms.schedule == "parallel" and self.allowed is None:
            assert not self.cancelled


@pytest.mark.parametrize("block", range(20))
def test_whatever_happens(block):
    for seed in range(block * 100, block * 100 + 100):
        try:
            World(seed).go()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
