"""Messages are sent at a rate, by each face and by bare sockets, and all arrive."""

import pytest

from benchmarks.costs.stamps import Pace, Stopwatch, send
from benchmarks.costs.told import AWAITED, BLOCKING, SOCKETS
from benchmarks.parts import PARTS, latency
from benchmarks.parts.latency import Case
from benchmarks.settings import Settings

RATE = 2000


def test_what_is_due_goes_by_the_clock_however_late_one_looks():
    looks = iter([0.0, 0.0, 1.125, 5.0, 6.0])
    pace = Pace(rate=8, seconds=3.0, clock=lambda: next(looks))
    assert [pace.due(), pace.due()] == [1, 9]
    assert not pace.over
    assert pace.due() == 24 - 10
    assert pace.over
    assert pace.rate == 24 / 6.0


def test_a_stopwatch_tells_how_long_messages_took():
    stopwatch = Stopwatch()
    reached = send(stopwatch.take, RATE, 0.05)
    assert stopwatch.ended.is_set()
    told = stopwatch.figures()
    assert told["received"] == 0.05 * RATE
    assert 0 <= told["p50"] <= told["p99"] < 1
    assert reached <= RATE


@pytest.mark.process
@pytest.mark.slow
def test_nothing_is_lost_at_a_rate():
    cases = [Case(kind, RATE) for kind in (BLOCKING, AWAITED, SOCKETS)]
    table = latency.measured(cases, Settings(repeats=1, seconds=0.05))
    assert [row.lost for row in table.rows] == [0, 0, 0]
    assert all(row.p99 >= row.median > 0 for row in table.rows)
    assert table.rows[2].also["p50 to a write each"] == 1.0
    assert PARTS["latency"] is latency.run
