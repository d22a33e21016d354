"""Many members, each in a process of its own, and what they see of each other."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from .forks import Forks
from .host import Host
from .sights import Sight, Sights

PATIENCE_SECONDS = 40.0
SETTLE_SECONDS = 10.0


class Nursery(Protocol):
    """Where members come from; what they see goes to ``sights``."""

    sights: Sights

    def start(self, numbers: Sequence[int], options: dict[str, Any]) -> list[tuple[int, int, str]]:
        """Starts members beside each other: their [number, process id, id as a member]."""

    def ask(self, process: int, expression: str) -> Any:
        """The value of an expression in one, where that can be asked."""

    def close(self) -> None:
        """Ends them all."""


class Crowd:
    """Members called m0, m1, ... on hosts in turn, all there after ``with``, which ends them."""

    def __init__(
        self, hosts: Sequence[Host], count: int | None = None, *, nursery: Nursery | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        self.processes: dict[int, int] = {}
        """Process ids of those that run, by their numbers."""
        self.ids: dict[int, str] = {}
        """Their ids as members."""
        self.hosts = hosts
        self._nursery: Nursery = nursery or Forks(hosts)
        self.sights = self._nursery.sights
        self._options = options
        self._count = len(hosts) if count is None else count

    def __enter__(self) -> Self:
        try:
            self.start(*range(self._count))
        except BaseException:
            self._nursery.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        for number in self.processes:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                self.resume(number)
        self._nursery.close()

    # --- what is done to them ----------------------------------------------------------------

    def start(self, *numbers: int, **options: Any) -> None:
        """Starts members beside each other."""
        for number, process, member_id in self._nursery.start(numbers, self._options | options):
            self.processes[number], self.ids[number] = process, member_id

    def kill(self, number: int) -> float:
        """``kill -9``; when."""
        process = self.processes.pop(number)
        del self.ids[number]
        at = time.monotonic()
        os.kill(process, signal.SIGKILL)
        return at

    def pause(self, number: int) -> float:
        """Stops one; when."""
        at = time.monotonic()
        os.kill(self.processes[number], signal.SIGSTOP)
        return at

    def unplug(self, number: int) -> float:
        """Pulls the cable of its host; when."""
        at, host = time.monotonic(), self.hosts[number]
        host.lans[0].unplug(host)
        return at

    def plug(self, number: int) -> None:
        """Puts it in again."""
        host = self.hosts[number]
        host.lans[0].plug(host)

    def resume(self, number: int) -> None:
        """Lets it go on."""
        os.kill(self.processes[number], signal.SIGCONT)

    def ask(self, number: int, expression: str) -> Any:
        """The value of an expression in one (``joined.py``)."""
        return self._nursery.ask(self.processes[number], expression)

    def settle(self, seconds: float = SETTLE_SECONDS) -> dict[int, list[str]]:
        """Waits until all have links to all, or so long; who has none to whom: a dial that fails
        on a busy machine is tried again much later, and others know of a kill then.
        """
        end = time.monotonic() + seconds
        while True:
            unlinked = {number: self.ask(number, "unlinked(0)") for number in self.processes}
            unlinked = {number: names for number, names in unlinked.items() if names}
            if not unlinked or time.monotonic() > end:
                return unlinked
            time.sleep(0.1)

    # --- what they see -----------------------------------------------------------------------

    def strangers(self, among: Iterable[int] | None = None) -> dict[int, tuple[list, list]]:
        """Whose view is not that all are there and nobody else: ids missed, ids too many."""
        numbers = sorted(self.ids if among is None else among)
        wrong = {}
        for number in numbers:
            view = self.sights.view(self.processes[number])
            wanted = {self.ids[each] for each in numbers if each != number}
            if view != wanted:
                wrong[number] = (sorted(wanted - view), sorted(view - wanted))
        return wrong

    def meet(self, seconds: float = PATIENCE_SECONDS, among: Iterable[int] | None = None) -> float:
        """Waits until all know all (of some) and nobody else; how long it took."""
        began = time.monotonic()
        chosen = None if among is None else list(among)
        met = self.sights.until(lambda: not self.strangers(chosen), seconds)
        assert met, f"after {seconds} s: {self._explained(chosen)}"
        return time.monotonic() - began

    def _explained(self, chosen: Iterable[int] | None) -> list[str]:
        """Who misses whom or has one too many, and what it saw of that one."""
        numbers = {member_id: number for number, member_id in self.ids.items()}
        lines = []
        for number, ids in self.strangers(chosen).items():
            for member_id in (*ids[0], *ids[1]):
                sights = [
                    f"{each.what} {each.why} at {each.at:.2f}"
                    for what in ("discovered", "suspect", "recovered", "lost")
                    for each in self.sights.since(0, what)
                    if each.process == self.processes[number] and each.id == member_id
                ]
                lines.append(f"m{number} of m{numbers.get(member_id)}: {sights}")
        return lines

    def losses(self, member_id: str, since: float, *, by: Iterable[int]) -> dict[int, float]:
        """After how many seconds members have lost one, by their numbers."""
        known = {self.processes[number]: number for number in by}
        found: dict[int, float] = {}
        for sight in self.sights.since(since, "lost"):
            if sight.id == member_id and sight.process in known:
                found.setdefault(known[sight.process], sight.at - since)
        return found

    def all_lose(
        self, member_id: str, since: float, *, by: Iterable[int], seconds: float = PATIENCE_SECONDS
    ) -> dict[int, float]:
        """Waits until these have lost one."""
        by = list(by)
        self.sights.until(lambda: len(self.losses(member_id, since, by=by)) == len(by), seconds)
        found = self.losses(member_id, since, by=by)
        assert len(found) == len(by), f"not lost by {sorted(set(by) - set(found))} in {seconds} s"
        return found

    def false_deaths(self, since: float, *, dead: Iterable[str] = ()) -> list[Sight]:
        """Members that were lost and are none of the dead, by any that runs."""
        gone = set(dead)
        alive = set(self.processes.values())
        return [
            sight
            for sight in self.sights.since(since, "lost")
            if sight.id not in gone and sight.process in alive
        ]
