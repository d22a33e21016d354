"""Members that do nothing are watched for a moment. What they cost is not looked at."""

import os
from contextlib import nullcontext

import pytest

from benchmarks.parts import PARTS, idle
from benchmarks.settings import Settings

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_all_kinds_are_watched_at_the_same_time(monkeypatch):
    kinds = [idle.KINDS[0], idle.KINDS[2]]
    monkeypatch.setattr(idle, "KINDS", kinds)
    monkeypatch.setattr(idle, "compiled", lambda port: nullcontext(os.environ))
    cpu, memory = PARTS["idle"](Settings(repeats=2, idle_seconds=0.1))
    ways = [(kind.name, kind.way) for kind in kinds]
    assert [(row.name, row.way) for row in cpu.rows] == ways
    assert [(row.name, row.way) for row in memory.rows] == ways
    assert [row.goal for row in cpu.rows] == [None, 0.1]
    assert [row.goal for row in memory.rows] == [None, 30.0]
    bare, member = [row.median for row in memory.rows]
    assert bare < member


def test_who_has_mdns_may_take_more():
    ways = [kind.way for kind in idle.KINDS]
    assert ways == [idle.BARE, idle.OFF, idle.OFF, idle.ON]
    assert (idle.MOST_PERCENT[idle.ON], idle.MOST_MIB[idle.ON]) == (0.2, 45.0)
