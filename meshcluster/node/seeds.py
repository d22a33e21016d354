"""Seeds: addresses and names where members may be, for where multicast does not reach them.

Each is asked by a probe of its own, like a solicitation: whoever answers is proven, and proves us,
and tells how many it knows; whom it knows is then fetched from it (``views.py``). So one seed that
answers is enough to meet all.

Seeds are asked again for ever, ever more rarely: whoever lives there now may know others than we
do (two parts of a mesh that lost each other, a seed that started again). After a loss it begins
anew. Names are looked up each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from random import Random

from ..config import ClusterConfig
from ..model import Address
from .counters import Counters
from .effects import Effect, LookUp, Report
from .membership import Membership
from .schedule import Schedule

SEED_KEY = ("seed", None)

RETRY_SECONDS = (0.25, 30.0)
"""Between two rounds: doubled each time, and drawn within a quarter of that."""

LONELY_ROUNDS = 5
"""After so many rounds without knowing anybody it is said that no seed answers."""


class Seeds:
    """Asks the seeds of one member. ``knock`` sends the probes; ``in_scope`` tells who may be
    asked; ``interval`` gives the seconds between two beacons, which are longer in large meshes.
    """

    def __init__(
        self, config: ClusterConfig, *, peers: Membership, random: Random, schedule: Schedule,
        effects: list[Effect], counters: Counters, interval: Callable[[], float],
        in_scope: Callable[[str], bool], knock: Callable[[Iterable[Address], float], None],
    ) -> None:  # fmt: skip
        self._config = config
        self._peers = peers
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._counters = counters
        self._interval = interval
        self._in_scope = in_scope
        self._knock = knock
        self._wait = RETRY_SECONDS[0]
        self._rounds = 0
        self._next_at = inf

    def ask(self, now: float) -> None:
        """Begins a round, if there are seeds: they are looked up first."""
        seeds = self._config.seed_addresses
        if not seeds:
            return
        self._effects.append(LookUp(seeds))
        self._set(now + self._drawn(self._wait))
        self._wait = min(2 * self._wait, RETRY_SECONDS[1])
        self._rounds = 0 if len(self._peers) else self._rounds + 1
        if self._rounds == LONELY_ROUNDS:
            named = ", ".join(self._config.seeds)
            self._report("seeds: nobody answers", f"no seed answers so far, of {named}")

    def found(self, addresses: Sequence[Address], now: float) -> None:
        """The round's addresses are known: all are asked, or a choice where there are too many."""
        asked = []
        for address in dict.fromkeys(addresses):
            if self._in_scope(address[0]):
                asked.append(address)
            else:
                ttl = self._config.ttl
                self._report("seeds: out of scope", f"{address[0]} is out of reach at ttl={ttl}")
        most = self._config.limits.seed_addresses
        self._knock(self._random.sample(asked, most) if len(asked) > most else asked, now)

    def failed(self, name: str, trouble: str) -> None:
        """A name could not be looked up; it is tried again with the next round."""
        self._report("seeds: not found", f"seed {name}: {trouble}")

    def lost(self, now: float) -> None:
        """A member was lost: the seeds may know it, or whoever came in its place."""
        if not self._config.seeds:
            return
        self._wait = RETRY_SECONDS[0]
        # Members of a large mesh must not all ask in one moment.
        soon = self._wait if len(self._peers) == 0 else self._interval()
        if now + soon < self._next_at:
            self._set(now + self._drawn(soon))

    def _set(self, when: float) -> None:
        self._next_at = when
        self._schedule.set(SEED_KEY, when)

    def _drawn(self, wait: float) -> float:
        return wait * (0.75 + 0.5 * self._random.random())

    def _report(self, reason: str, text: str) -> None:
        if self._counters.count(reason):
            self._effects.append(Report(f"{text} (further ones are only counted)"))
