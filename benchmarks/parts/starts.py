"""What importing, telling the version and joining take, above what bare Python takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from .. import rows, table
from ..costs.bytecode import compiled, joining
from ..process import free_port
from ..settings import Settings
from ..table import Table

MILLISECONDS = 1e3
STARTS_A_REPEAT = 4
IMPORT_MS, VERSION_MS = 80.0, 120.0
BARE = "python -c pass"
REMARK = (
    "Milliseconds from the start of a process to its end, less those of bare Python in the same "
    "round; all of them in turn, modules compiled, files in the system's cache. `import "
    "meshcluster` imports a public name when it is first asked for; `meshcluster.join` brings all "
    "of it. CPU: user and system time of the process, also above bare Python's: what other work on "
    "the machine disturbs less. The last rows join a mesh of their own, nobody else is there, and "
    "leave it."
)


class Start(NamedTuple):
    """One way to start."""

    name: str
    command: list[str]
    goal: float | None = None


class Took(NamedTuple):
    """What one process took, in milliseconds."""

    wall: float
    cpu: float


def run(settings: Settings) -> list[Table]:
    """One table."""
    with compiled(free_port()) as environment:
        return [_measured(settings, environment)]


def _measured(settings: Settings, environment: dict[str, str]) -> Table:
    starts = all_starts()
    took: dict[str, list[Took]] = {start.name: [] for start in starts}
    for start in starts:
        _took(start, environment)  # its files are in the cache from here on
    for number in range(STARTS_A_REPEAT * settings.repeats):
        table.progress(f"starts: round {number + 1}")
        for start in starts:
            took[start.name].append(_took(start, environment))
    table.progress("")
    bare = took[BARE]
    found = []
    for start in starts:
        own = took[start.name]
        pairs = list(zip(own, bare, strict=True))
        found.append(
            rows.row(
                start.name, "above bare Python", [a.wall - b.wall for a, b in pairs],
                goal=start.goal,
                also={
                    "CPU ms": median(a.cpu - b.cpu for a, b in pairs),
                    "whole ms": median(a.wall for a in own),
                },
            )
        )  # fmt: skip
    return Table(
        name="starts", title="from nothing", unit="ms", rounds=len(bare), peers=[], rows=found,
        remarks=[REMARK],
    )  # fmt: skip


def all_starts() -> list[Start]:
    """Bare Python is the first, whom the others are compared with."""
    return [
        Start(BARE, _python("pass")),
        Start("import meshcluster", _python("import meshcluster"), IMPORT_MS),
        Start("meshcluster.join", _python("from meshcluster import join")),
        Start("meshcluster --version", _command(), VERSION_MS),
        Start("join and leave, mDNS off", joining(free_port(), mdns=False)),
        Start("join and leave, mDNS on", joining(free_port(), mdns=True)),
    ]


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def _command() -> list[str]:
    """The installed script, run as a shell would; where there is none, the module."""
    script = Path(sysconfig.get_path("scripts")) / "meshcluster"
    if script.exists():
        return [os.fspath(script), "--version"]
    return [sys.executable, "-m", "meshcluster", "--version"]


def _took(start: Start, environment: dict[str, str]) -> Took:
    cpu, began = _children(), time.perf_counter()
    subprocess.run(start.command, check=True, stdout=subprocess.DEVNULL, env=environment)
    wall = time.perf_counter() - began
    return Took(wall * MILLISECONDS, (_children() - cpu) * MILLISECONDS)


def _children() -> float:
    """CPU seconds of all processes that have ended; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
