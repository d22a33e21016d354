"""Joins, knows one other, and does nothing; says what that took so far, as often as it is asked."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from ..task import Line
from . import face
from .told import AWAITED, PYTHON, Told

TASKS = Path("/proc/self/task")
WAITED = "voluntary_ctxt_switches:"


def play(told: Told, line: Line) -> None:
    """Rests until its stdin ends."""
    if told.kind == AWAITED:
        face.run(_awaited(told, line))
    elif told.kind == PYTHON:
        _tell_when_asked(line)
    else:
        from meshcluster import Cluster

        with Cluster().join(**face.settings(told)) as cluster:
            cluster.wait_for_services()
            _tell_when_asked(line)


async def _awaited(told: Told, line: Line) -> None:
    from meshcluster import AsyncCluster

    async with AsyncCluster().join(**face.settings(told)) as cluster:
        await cluster.wait_for_services()
        await asyncio.to_thread(_tell_when_asked, line)


def _tell_when_asked(line: Line) -> None:
    line.tell()
    for _ in sys.stdin:
        line.tell(cpu=time.process_time(), at=time.monotonic(), wakes=_wakes())


def _wakes() -> int:
    """How often any of its threads has waited for something; 0 where no system says it."""
    texts = [(task / "status").read_text() for task in TASKS.glob("*")]
    lines = [line for text in texts for line in text.splitlines() if line.startswith(WAITED)]
    return sum(int(line.split()[1]) for line in lines)
