"""``JobView``: a run as it is now, in as many lines as there is room for. It draws nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING

from .progress import bar, clock, fitted
from .screen import fitting

if TYPE_CHECKING:
    from ..jobs.events import Event
    from ..jobs.outcomes import Outcome, Pair

RESET, RED, YELLOW, DIM = "\x1b[0m", "\x1b[31m", "\x1b[33m", "\x1b[2m"
LEAST_CELLS = 8
"""A name is not made shorter, and a text that would be is left out."""
TROUBLES = ("failed", "unreachable", "lost")
LEAST_FIRST = ("bar", "clock", "skipped", "lost", "unreachable", "running", "failed")
"""What the last line does without where it is narrow."""
GAP = "  "


class JobView:
    """Takes the events of a run. ``now`` is always a number of seconds that counts on."""

    def __init__(self, now: float, *, color: bool = False) -> None:
        self._began = now
        self._color = color
        self._pairs: set[Pair] = set()
        self._jobs: set[str] = set()
        self._running: dict[Pair, tuple[float, str]] = {}
        """Since when, and the last line that was written."""
        self._troubles: list[Outcome] = []
        self._done: Counter[str] = Counter()
        self._ending: str | None = None
        self.is_ending = False
        """Somebody has interrupted it."""

    def take(self, event: Event, now: float) -> None:
        """Something has happened."""
        from ..jobs.events import LineWritten, PairBegan, PairEnded, RunBegan

        if isinstance(event, RunBegan):
            self._ending = None
            self._pairs.update(event.plan.pairs)
            self._jobs.update(event.plan.jobs)
        elif isinstance(event, PairBegan):
            self._add(event.pair)
            self._running[event.pair] = now, ""
        elif isinstance(event, LineWritten):
            if event.stream != "log" and event.pair in self._running and event.text.strip():
                self._running[event.pair] = self._running[event.pair][0], event.text
        elif isinstance(event, PairEnded):
            outcome = event.outcome
            self._add(outcome.pair)
            self._running.pop(outcome.pair, None)
            self._done[outcome.status] += 1
            if outcome.status in TROUBLES:
                self._troubles.append(outcome)

    def _add(self, pair: Pair) -> None:
        if pair not in self._pairs:  # of a site that has come since
            self._ending = None
            self._pairs.add(pair)

    def lines(self, cells: int, rows: int, now: float) -> list[str]:
        """What there is to see: the trouble there was, what runs, and how far it is."""
        running, troubles = self._chosen(rows - 1)
        lines = self._rows(running, troubles, cells, now)
        hidden = len(self._running) - len(running)
        if hidden and rows > 2:
            lines.append(self._paint(f"and {hidden} more"[: max(cells - 1, 0)], DIM))
        return [*lines, self.total(cells, now)]

    def _chosen(self, room: int) -> tuple[list[Pair], list[Outcome]]:
        """The pairs that have a line: those that have run longest, and the latest troubles, which
        take a quarter of the room where there is too little for all.
        """
        pairs, found = [*self._running], 0 if self.is_ending else len(self._troubles)
        free = max(room, 0) - len(pairs)
        told = min(found, max(free, room // 4 if room > 1 else 0))
        left = max(room - told, 0)
        if len(pairs) > left:
            left = max(left - 1, 0)  # for the line that says how many more there are
        return pairs[:left], self._troubles[found - told :] if told else []

    def _rows(
        self, running: list[Pair], troubles: list[Outcome], cells: int, now: float
    ) -> list[str]:
        """A line each, in columns."""
        from ..jobs.lettering import harmless, shortened, width

        table: list[tuple[Pair, str, str, str]] = [
            (each.pair, each.status, each.why,
             YELLOW if each.status == "lost" else RED)
            for each in troubles
        ]  # fmt: skip
        for pair in running:
            since, text = self._running[pair]
            table.append((pair, clock(now - since), text, ""))
        room = max(cells - 1, 1)
        ending = self._common_ending()
        columns = [[harmless(pair.site.removesuffix(ending)) for pair, *_ in table]]
        if len(self._jobs) > 1:
            columns.append([pair.job for pair, *_ in table])
        most = max(room // (2 + len(columns)), LEAST_CELLS)
        columns = [_even([shortened(name, most) for name in names]) for names in columns]
        widest = max((len(word) for _, word, *_ in table), default=0)
        lines = []
        for at, (_, word, text, paint) in enumerate(table):
            word = word.ljust(widest) if paint else word.rjust(widest)
            head = GAP.join([*(column[at] for column in columns), word])
            left = room - width(head) - len(GAP)
            told = cut(harmless(text.strip()), left) if left >= LEAST_CELLS else ""
            lines.append(self._paint(cut(f"{head}{GAP}{told}".rstrip(), room), paint))
        return lines

    def _common_ending(self) -> str:
        """What the names of all sites end with, from a dot on: nobody is told from others by it."""
        if self._ending is None:
            self._ending = common_ending({pair.site for pair in self._pairs})
        return self._ending

    def total(self, cells: int, now: float) -> str:
        """The last line: a bar, how many pairs are done, and what became of them."""
        done, total = self._done.total(), len(self._pairs)
        words = {"bar": bar(done, total), "count": f"{done}/{total}"}
        what = "site" if len(self._jobs) == 1 else "pair"
        if cells > len(words["count"]) + len(" pairs"):
            words["count"] += f" {what}{'s' * (total != 1)}"
        for status in ("failed", "unreachable", "lost", "skipped"):
            if self._done[status]:
                words[status] = f"{self._done[status]} {status}"
        if self._running:
            words["running"] = f"{len(self._running)} {'ending' if self.is_ending else 'running'}"
        words["clock"] = clock(now - self._began)
        return self._paint(
            fitted(words, cells, LEAST_FIRST),
            YELLOW if self.is_ending else RED if any(map(self._done.get, TROUBLES)) else "",
        )

    def _paint(self, text: str, paint: str) -> str:
        return f"{paint}{text}{RESET}" if self._color and paint and text else text


def _even(names: list[str]) -> list[str]:
    from ..jobs.lettering import width

    widest = max(map(width, names), default=0)
    return [name + " " * (widest - width(name)) for name in names]


def common_ending(names: Collection[str]) -> str:
    """What all names end with, from a dot on; of addresses that is nothing to leave out."""
    backwards = sorted(name.split(".")[::-1] for name in names)
    if len(backwards) < 2 or backwards[0][0].isdigit():
        return ""
    first, last = backwards[0], backwards[-1]
    shared = 0
    while shared < min(map(len, backwards)) - 1 and first[shared] == last[shared]:
        shared += 1
    return "".join(f".{each}" for each in first[:shared][::-1])


def cut(text: str, cells: int) -> str:
    """As much of a text as there is room for."""
    from ..jobs.lettering import CUT, width

    return text if width(text) <= cells else text[: fitting(text, cells - 1)] + CUT
