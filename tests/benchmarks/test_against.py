"""A peer is given against the one of ours that its goal is about, with our best beside it."""

from benchmarks import against
from benchmarks.table import Row, Wish
from tests.benchmarks.played import ASYNC, BLOCKING, peer, table


def said(row):
    shown = table(row)
    return against.given(row, shown), against.best(row, shown), against.verdict(row, shown)


def test_the_usual_one_of_ours_needs_no_name():
    assert said(peer()) == ("2.00x", "-", "-")


def test_who_the_goal_is_about_is_named_if_it_is_another_one():
    row = peer(wish=Wish(1.0, BLOCKING))
    assert said(row) == ("0.50x blocking, unix", "2.00x async, unix", "1x: missed")


def test_a_goal_is_met_by_as_much_as_was_wished():
    assert against.verdict(peer(wish=Wish(2.0, ASYNC)), table(peer())) == "2x: met"


def test_ours_have_no_ratio():
    row = Row(
        name="meshcluster, async", way="unix", median=10.0, low=9.0, high=11.0, p99=None, lost=0,
        better_than={},
    )  # fmt: skip
    assert said(row) == ("-", "-", "-")
    assert against.peers(table(row, peer())) == [peer()]


def test_ratios_have_three_digits():
    assert [against.short(x) for x in (0.123, 9.876, 45.67, 203.4)] == [
        "0.12x", "9.88x", "45.7x", "203x"
    ]  # fmt: skip
