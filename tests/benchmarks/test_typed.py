"""Dataclasses and bytes arrive, each read as it is to be. How many is not looked at."""

import pytest

from benchmarks.costs.told import AS_DICT, AS_TYPE, BYTES
from benchmarks.parts import PARTS, typed
from benchmarks.settings import Settings

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_all_that_was_sent_arrives(monkeypatch):
    assert typed.VALUES == (BYTES, AS_DICT, AS_TYPE)
    monkeypatch.setattr(typed, "VALUES", (BYTES, AS_TYPE))  # a dict is read with less
    (table,) = PARTS["typed"](Settings(repeats=1, seconds=0.02))
    assert [row.way for row in table.rows] == [BYTES, AS_TYPE]
    assert [row.lost for row in table.rows] == [0, 0]
    assert table.rows[0].also["times bytes"] == 1.0
