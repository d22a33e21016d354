"""How long it takes until all others know that a member died, beside other programs' members.

The networks are those of the tests: hosts in network namespaces, as root on Linux.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .. import namespace, table
from ..settings import Settings
from ..table import Row, Table, rounded

MEMBERS = 30
MILLISECONDS = 1e3
KILLED, STOPPED, UNPLUGGED = "kill -9", "SIGSTOP", "cable out"
LAN, HOST = f"{MEMBERS} hosts", "one host"
OURS, SERF, KINSHIP = "meshcluster", "serf", "kinship"
REMARK = (
    "From the fault until each of the others has lost the member, one figure for each of them; p99 "
    "of all these. `false`: members lost that were there. Every member is a process of its own, "
    f"{MEMBERS} at first, with the defaults of its program for that place (serf: lan; kinship: "
    "lan and local, without encryption). Each time one more is gone."
)


@dataclass(frozen=True, slots=True)
class Case:
    """What happens to whose member, where."""

    name: str
    place: str
    fault: str


CASES = [
    *(Case(name, LAN, fault) for fault in (KILLED, STOPPED) for name in (OURS, KINSHIP, SERF)),
    Case(OURS, LAN, UNPLUGGED),
    *(Case(name, HOST, fault) for fault in (KILLED, STOPPED) for name in (OURS, KINSHIP)),
]


def run(settings: Settings) -> list[Table]:
    """One table, if there can be networks here."""
    if why_not := namespace.obstacle():
        return [_table(settings, [], [f"Left out: {why_not}."])]
    from .. import crowds, referees  # only Linux has what they need

    absent = referees.absent()
    remarks = [REMARK, *(f"{name} is left out: {why}." for name, why in absent.items())]
    cases = [case for case in CASES if case.name not in absent]
    rows = []
    for case in cases:
        table.progress(f"losses: {case.name}, {case.fault}, {case.place}")
        rows.append(_row(case, *crowds.measure(case, settings.repeats)))
    table.progress("")
    return [_table(settings, rows, remarks)]


def _table(settings: Settings, rows: list[Row], remarks: list[str]) -> Table:
    return Table(
        name="losses", title="from a member's death until each other one has lost it", unit="ms",
        rounds=settings.repeats, peers=[], rows=rows, remarks=remarks,
    )  # fmt: skip


def _row(case: Case, took: list[float], false: int) -> Row:
    ordered = sorted(MILLISECONDS * each for each in took)
    p99 = ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))]
    return Row(
        name=case.name, way=f"{case.fault}, {case.place}", median=rounded(median(ordered)),
        low=rounded(ordered[0]), high=rounded(ordered[-1]), p99=rounded(p99), lost=0,
        better_than={}, also={"known": len(ordered), "false": false},
    )  # fmt: skip
