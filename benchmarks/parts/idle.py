"""What a member that does nothing takes of a core and of memory, while it knows one other."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple

import psutil

from .. import rows, table
from ..costs.bytecode import compiled
from ..costs.place import Place
from ..costs.told import AWAITED, BLOCKING, PYTHON
from ..process import Process, free_port
from ..settings import Settings
from ..table import Row, Table

SETTLED_SECONDS = 3.0
"""After both know each other: what joining brings with it is over."""

PERCENT, MIB = 100, 1024 * 1024
OFF, ON, BARE = "mDNS off", "mDNS on", "an interpreter"
MOST_PERCENT = {OFF: 0.1, ON: 0.2}
MOST_MIB = {OFF: 30.0, ON: 45.0}
REMARK = (
    "Two members of each kind, each kind in a mesh of its own, all at the same time, `ttl=0`, "
    "sealed by the host's key; `join()` as it is but for `mdns`. CPU: `time.process_time()`, both "
    "members' mean, so many windows one after the other as there are rounds. Wakes: how often any "
    "thread of a member waited for something, a second. Python with asyncio waits for its stdin."
)


class Kind(NamedTuple):
    """Who rests."""

    name: str
    kind: str
    way: str

    @property
    def members(self) -> int:
        """How many of them there are."""
        return 1 if self.kind == PYTHON else 2


# One mesh with mDNS: members of several would hear each other's records.
KINDS = (
    Kind("Python with asyncio", PYTHON, BARE),
    Kind("meshcluster, blocking", BLOCKING, OFF),
    Kind("meshcluster, async", AWAITED, OFF),
    Kind("meshcluster, blocking", BLOCKING, ON),
)


class Window(NamedTuple):
    """What one member did from one look to the next."""

    cpu_percent: float
    wakes_per_second: float


class Resident(NamedTuple):
    """A process's memory, in MiB."""

    whole: float
    own: float
    """What no other process shares."""


def run(settings: Settings) -> list[Table]:
    """One table of CPU time, one of memory."""
    windows: dict[Kind, list[list[Window]]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        environment = stack.enter_context(compiled(free_port()))
        programs = {kind: _start(stack, kind, settings, environment) for kind in KINDS}
        time.sleep(min(SETTLED_SECONDS, settings.idle_seconds))
        before = _look(programs)
        for number in range(settings.repeats):
            table.progress(f"idle: window {number + 1} of {settings.repeats}")
            time.sleep(settings.idle_seconds / settings.repeats)
            now = _look(programs)
            for kind in KINDS:
                pairs = zip(before[kind], now[kind], strict=True)
                windows[kind].append([_window(*pair) for pair in pairs])
            before = now
        table.progress("")
        memory = {kind: [_resident(program) for program in programs[kind]] for kind in KINDS}
    return [
        _table("idle", "CPU time of a member that does nothing", "%", settings, [
            _cpu(kind, each) for kind, each in windows.items()
        ]),
        _table("idle-memory", "memory of a member that does nothing", "MiB", settings, [
            _memory(kind, each) for kind, each in memory.items()
        ]),
    ]  # fmt: skip


def _start(
    stack: ExitStack, kind: Kind, settings: Settings, environment: Mapping[str, str]
) -> list[Process]:  # fmt: skip
    told = {"kind": kind.kind, "mdns": kind.way == ON, "uvloop": settings.uvloop}
    place = stack.enter_context(Place(environment, **told))
    programs = [place.start("resting") for _ in range(kind.members)]
    for program in programs:
        program.hear()
    return programs


def _look(programs: dict[Kind, list[Process]]) -> dict[Kind, list[dict[str, float]]]:
    return {kind: [program.ask() for program in each] for kind, each in programs.items()}


def _window(before: dict[str, float], now: dict[str, float]) -> Window:
    seconds = now["at"] - before["at"]
    cpu, wakes = now["cpu"] - before["cpu"], now["wakes"] - before["wakes"]
    return Window(PERCENT * cpu / seconds, wakes / seconds)


def _resident(program: Process) -> Resident:
    process = psutil.Process(program.pid)
    own = getattr(process.memory_full_info(), "uss", 0)
    return Resident(process.memory_info().rss / MIB, own / MIB)


def _cpu(kind: Kind, windows: list[list[Window]]) -> Row:
    members = [each for window in windows for each in window]
    return rows.row(
        kind.name, kind.way, [sum(each.cpu_percent for each in w) / len(w) for w in windows],
        goal=MOST_PERCENT.get(kind.way),
        also={"wakes/s": sum(each.wakes_per_second for each in members) / len(members)},
    )  # fmt: skip


def _memory(kind: Kind, found: list[Resident]) -> Row:
    return rows.row(
        kind.name, kind.way, [each.whole for each in found], goal=MOST_MIB.get(kind.way),
        also={"not shared MiB": sum(each.own for each in found) / len(found)},
    )  # fmt: skip


def _table(name: str, title: str, unit: str, settings: Settings, found: list[Row]) -> Table:
    return Table(
        name=name, title=f"{title}, {settings.idle_seconds:g} s", unit=unit,
        rounds=settings.repeats, peers=[], rows=found, remarks=[REMARK],
    )  # fmt: skip
