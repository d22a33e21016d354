"""Several processes are asked, or one is sent to. How fast it is is not looked at."""

from dataclasses import replace

import pytest

from benchmarks.entrants import AWAITED, Entrant
from benchmarks.parts import PARTS, asking, oneway, query
from benchmarks.settings import Settings
from benchmarks.task import TCP, UNIX

pytestmark = [pytest.mark.process, pytest.mark.slow]
SHORT = Settings(repeats=1, seconds=0.02)


def test_each_of_several_processes_answers():
    plan = replace(query.PLAN, entrants=[Entrant(AWAITED, UNIX)])
    (row,) = asking.run(plan, SHORT, responders=2).rows
    assert row.lost == 0
    assert 0 < row.median <= row.p99
    assert PARTS["query"] is query.run


def test_all_that_is_sent_is_counted_where_it_arrives():
    plan = replace(oneway.PLAN, entrants=[Entrant(AWAITED, TCP)])
    (row,) = oneway.measured(plan, SHORT).rows
    assert row.lost == 0
    assert row.median > 0
    assert PARTS["oneway"] is oneway.run
