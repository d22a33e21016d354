"""How long a message is on its way when so many a second are sent, beside one write for each."""

from __future__ import annotations

from itertools import product
from statistics import median
from typing import NamedTuple

from .. import rows, table
from ..costs.place import Place
from ..costs.told import AWAITED, BLOCKING, SOCKETS
from ..settings import Settings
from ..table import Row, Table

MICROSECONDS = 1e6
RATES = (2_000, 20_000, 100_000)
NAMES = {
    BLOCKING: "meshcluster, blocking",
    AWAITED: "meshcluster, async",
    SOCKETS: "sockets, a write each",
}
REMARK = (
    "64 B one way by UNIX sockets, two processes, from the call of `send` to the Python handler. "
    "Each millisecond what is due by the clock is sent at once, so that messages come in bursts of "
    "2, 20 or 100. p99 is the median of the rounds' p99. reached: messages a second, where that "
    "is less the sender could not. The writes are blocking `sendall` of a length and the message, "
    "read by a thread that blocks."
)


class Case(NamedTuple):
    """Who sends how many."""

    kind: str
    rate: int


class Took(NamedTuple):
    """One round: microseconds, and messages a second."""

    p50: float
    p99: float
    reached: float
    lost: int


CASES = [Case(kind, rate) for rate, kind in product(RATES, NAMES)]


def run(settings: Settings) -> list[Table]:
    """One table."""
    return [measured(CASES, settings)]


def measured(cases: list[Case], settings: Settings) -> Table:
    """These, each once a round."""
    took: dict[Case, list[Took]] = {case: [] for case in cases}
    for number in range(settings.repeats):
        for case in cases:
            table.progress(f"latency: round {number + 1} of {settings.repeats}, {case}")
            took[case].append(_measure(case, settings))
    table.progress("")
    return Table(
        name="latency", title="on its way, at a given rate", unit="us", rounds=settings.repeats,
        peers=[], rows=[_row(case, took) for case in cases], remarks=[REMARK],
    )  # fmt: skip


def _measure(case: Case, settings: Settings) -> Took:
    told = {"kind": case.kind, "rate": case.rate, "seconds": settings.seconds}
    with Place(**told, uvloop=settings.uvloop) as place:
        there = place.start("timing")
        there.hear()
        reached = place.start("pacing").hear()["rate"]
        got = there.hear()
    lost = int(case.rate * settings.seconds) - int(got["received"])
    return Took(got["p50"] * MICROSECONDS, got["p99"] * MICROSECONDS, reached, lost)


def _row(case: Case, took: dict[Case, list[Took]]) -> Row:
    own, theirs = took[case], took.get(Case(SOCKETS, case.rate), [])
    pairs = list(zip(own, theirs, strict=False))
    also = {"reached/s": median(each.reached for each in own)}
    if pairs:
        also |= {
            "p50 to a write each": median(a.p50 / b.p50 for a, b in pairs),
            "p99 to a write each": median(a.p99 / b.p99 for a, b in pairs),
        }
    return rows.row(
        NAMES[case.kind], f"{case.rate:,}/s", [each.p50 for each in own],
        p99=[each.p99 for each in own], lost=sum(each.lost for each in own), also=also,
    )  # fmt: skip
