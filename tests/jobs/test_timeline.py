"""Where the bars are."""

import itertools

import pytest

from meshcluster.jobs.timeline import MOST_ROWS, MOST_TICKS, last, rows, ticks

from .runs import crowd, outcome, run


def test_sites_are_in_the_order_in_which_they_began():
    made, left_out = rows(
        run(
            outcome("test", "never", "unreachable"),
            outcome("test", "late", began=3, ended=4),
            outcome("test", "early", began=1, ended=2),
        )
    )
    assert [row.site for row in made] == ["early", "late", "never"]
    assert left_out == 0


def test_what_overlaps_has_lanes_of_its_own():
    had = [
        outcome("a", "s", began=0, ended=4),
        outcome("b", "s", began=1, ended=2, position=1),
        outcome("c", "s", began=2, ended=3, position=2),
        outcome("d", "s", began=4, ended=5, position=3),
    ]
    ((row,), _) = rows(run(*had))
    assert [[each.job for each in lane] for lane in row.lanes] == [["a", "d"], ["b", "c"]]


def test_what_has_no_end_lasts_as_long_as_the_run():
    open_end = outcome("a", "s", "lost", began=1)
    ((row,), _) = rows(run(open_end, outcome("b", "s", began=5, ended=6), seconds=9.0))
    assert [[each.job for each in lane] for lane in row.lanes] == [["a"], ["b"]]


def test_what_was_not_begun_has_no_lane():
    skipped = outcome("b", "s", "skipped", position=1)
    ((row,), _) = rows(run(outcome("a", "s", began=0, ended=1), skipped))
    assert row.rest == [skipped]
    assert len(row.lanes) == 1


def test_of_very_many_sites_those_with_troubles_have_a_row_in_any_case():
    bad = {0, 5, MOST_ROWS + 40}
    made, left_out = rows(crowd(MOST_ROWS + 50, bad=bad))
    assert len(made) == MOST_ROWS
    assert left_out == 50
    assert {f"web{n}" for n in bad} <= {row.site for row in made}


@pytest.mark.parametrize("end", [0.001, 0.0123, 0.4, 1, 6.84, 29.9, 95, 400, 3601, 50_000, 1e7])
def test_ticks_are_few_even_and_within(end):
    times = [time for time, _ in ticks(end)]
    assert times[0] == 0
    assert times[-1] <= end
    assert 3 <= len(times) <= MOST_TICKS + 1
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert max(steps) == pytest.approx(min(steps))


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (0.0123, ["0", "2 ms", "4 ms", "6 ms", "8 ms", "10 ms", "12 ms"]),
        (6.84, ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]),
        (1.1, ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s"]),
        (150, ["0", "20 s", "40 s", "60 s", "80 s", "100 s", "120 s", "140 s"]),
        (400, ["0", "1 min", "2 min", "3 min", "4 min", "5 min", "6 min"]),
        (9000, ["0", "20 min", "40 min", "60 min", "80 min", "100 min", "120 min", "140 min"]),
        (30_000, ["0", "2 h", "4 h", "6 h", "8 h"]),
    ],
)
def test_ticks_are_said_as_people_do(end, said):
    assert [each for _, each in ticks(end)] == said


def test_the_axis_holds_all_and_is_never_of_no_length():
    assert last(run(outcome("a", "s", began=0, ended=7), seconds=5.0)) == 7
    assert last(run(seconds=5.0)) == 5
    assert last(run()) > 0
