"""Each step is timed once or twice. What it takes is not looked at."""

from benchmarks.parts import PARTS, steps
from benchmarks.settings import Settings
from benchmarks.steps import oneway, roundtrip
from benchmarks.steps.stopwatch import Stopwatch

SHORT = Settings(repeats=1, seconds=0.02, uvloop=False)


def test_each_step_has_its_row_and_the_sum_stands_beside_the_whole():
    one, turn = steps.run(SHORT)
    assert [row.name for row in one.rows] == [*oneway.ORDER, steps.SUM, steps.WHOLE]
    assert [row.name for row in turn.rows] == [*roundtrip.ORDER, steps.SUM, steps.WHOLE]
    assert all(row.median > 0 for row in (*one.rows, *turn.rows))


def test_a_sum_has_what_is_done_twice_twice_and_no_step_inside_another():
    _, turn = steps.run(SHORT)
    medians = {row.name: row.median for row in turn.rows}
    wanted = sum(medians[step] * times for step, times in roundtrip.STEPS.items())
    assert abs(medians[steps.SUM] / wanted - 1) < 0.01  # they were rounded
    assert not set(roundtrip.INSIDE) & set(roundtrip.STEPS)
    assert not set(oneway.INSIDE) & set(oneway.STEPS)


def test_a_lap_lasts_from_the_end_of_the_one_before():
    watch = Stopwatch()
    watch.start()
    sum(range(20_000))
    watch.lap("long")
    watch.lap("none")
    assert watch.times("none")[0] < watch.times("long")[0]


def test_it_is_one_of_the_parts():
    assert PARTS["steps"] is steps.run
