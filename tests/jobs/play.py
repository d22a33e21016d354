"""Jobs that are played: what their actions do is said by the test, and when they end."""

import asyncio
from collections import defaultdict

import psutil

from meshcluster import AsyncJobs, PairBegan, PairEnded
from tests.ssh.ways import lives


def short(pair):
    """A pair as the specification writes it."""
    return f"{pair.job}/{pair.site}"


class Play:
    """Jobs on sites of this machine, all in the role "app"; each pair is called as "a/s1".

    Attributes:
        does: what a pair's action does: an error is raised, a function called and awaited.
        held: pairs that go on until ``release``.
        trace: "a/s1+" where a began on s1, "a/s1-" where it ended, in the order of that.
        events: all that the run has told.
    """

    def __init__(self, jobs="a b", sites="s1 s2", **options):
        self.names = jobs.split()
        self.jobs = AsyncJobs(**options)
        self.jobs.sites.add(sites.split(), "app")
        for name in dict.fromkeys(self.names):
            self.jobs.add(name, "app", self._act)
        self.does = {}
        self.held = set()
        self.trace = []
        self.events = []
        self._gates = defaultdict(asyncio.Event)
        self._seen = defaultdict(asyncio.Event)

    async def _act(self, action):
        name = f"{action.job}/{action.site.name}"
        if name in self.held:
            await self._gates[name].wait()
        does = self.does.get(name)
        if isinstance(does, BaseException):
            raise does
        if does is not None:
            await does(action)

    def watch(self, event):
        self.events.append(event)
        if isinstance(event, PairBegan):
            self._saw(f"{short(event.pair)}+")
        elif isinstance(event, PairEnded) and event.outcome.began is not None:
            self._saw(f"{short(event.outcome.pair)}-")

    def _saw(self, what):
        self.trace.append(what)
        self._seen[what].set()

    def begin(self, **options):
        """A task that runs it."""
        return asyncio.create_task(self.run(**options))

    async def run(self, **options):
        return await self.jobs.run(self.names, watch=self.watch, **options)

    async def saw(self, *what):
        """Waits until it was so."""
        async with asyncio.timeout(20):
            for each in what:
                await self._seen[each].wait()

    async def release(self, *names):
        """Each of these ends when it has begun, and the one before has ended."""
        for name in names:
            await self.saw(f"{name}+")
            self._gates[name].set()
            await self.saw(f"{name}-")

    @property
    def ran(self):
        """The pairs that began, in that order."""
        return [each[:-1] for each in self.trace if each.endswith("+")]


def statuses(result):
    """The status of each pair."""
    return {short(each.pair): each.status for each in result.outcomes}


def reasons(result, *wanted):
    """Why the pairs with one of these statuses have it."""
    return {short(each.pair): each.reason for each in result.having(*wanted)}


def alive(mark):
    """Whether the command that has written its number there runs."""
    try:
        return lives(psutil.Process(int(mark.read_text())))
    except psutil.NoSuchProcess:
        return False
