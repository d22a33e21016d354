"""From the figures of rounds to rows: ratios are those within a round, and peers may fail."""

import pytest

from benchmarks import markdown, table
from benchmarks.entrants import AWAITED, SOCKETS, Entrant
from benchmarks.process import MemberFailed
from benchmarks.task import TCP, UNIX

OURS, OTHER = Entrant(AWAITED, UNIX), Entrant(SOCKETS, UNIX)


def plan(unit="/s", times=3.0):
    return table.Plan(
        name="some", title="something", unit=unit, entrants=[OURS, OTHER], ours=[OURS],
        wishes={SOCKETS: table.Wish(times, str(OURS))},
    )  # fmt: skip


def measured(figures):
    """What gives the next of these figures, by entrant."""
    left = {entrant: list(values) for entrant, values in figures.items()}
    return lambda entrant: table.Figure(left[entrant].pop(0))


def test_a_ratio_is_the_median_of_those_of_the_rounds():
    made = table.run(plan(), 3, measured({OURS: [10, 100, 900], OTHER: [5, 20, 300]}))
    ours, other = made.rows
    assert ours.beaten_by == {}
    assert other.beaten_by == {str(OURS): 3.0}  # of 2, 5 and 3; the medians are 5 times apart
    assert (other.low, other.median, other.high) == (5, 20, 300)


def test_less_time_is_better():
    made = table.run(plan(unit="us"), 1, measured({OURS: [10], OTHER: [40]}))
    assert made.rows[1].beaten_by == {str(OURS): 4.0}


@pytest.mark.parametrize(("times", "said"), [(3.0, "met"), (3.1, "missed")])
def test_a_wish_is_met_or_missed(times, said):
    made = table.run(plan(times=times), 1, measured({OURS: [30], OTHER: [10]}))
    assert f"{times:g}x: {said}" in markdown.table(made)


def test_a_table_without_peers_has_no_ratios():
    alone = table.Plan(name="some", title="something", unit="/s", entrants=[OURS])
    assert "better" not in markdown.table(table.run(alone, 1, measured({OURS: [30]})))


def test_a_peer_that_fails_is_left_out_and_told():
    def measure(entrant):
        if entrant is OTHER:
            raise MemberFailed("it ended")
        return table.Figure(1.0)

    made = table.run(plan(), 2, measure)
    assert [row.name for row in made.rows] == [AWAITED]
    assert "sockets, unix is left out: it ended." in made.remarks


def test_ours_may_not_fail():
    def measure(entrant):
        raise MemberFailed("it ended")

    with pytest.raises(MemberFailed):
        table.run(plan(), 1, measure)


def test_a_peer_that_is_not_installed_is_left_out_and_told(monkeypatch):
    monkeypatch.setattr(table, "absent", lambda: {SOCKETS: "sockets not installed"})
    made = table.run(plan(), 1, measured({OURS: [1]}))
    assert [row.way for row in made.rows] == [UNIX]
    assert "sockets is left out: sockets not installed." in made.remarks
    assert Entrant(SOCKETS, TCP).member == "sockets"
