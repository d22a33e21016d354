"""All tables of peers in short: a row for each peer, a cell for each kind of work."""

from benchmarks import summary
from benchmarks.table import Wish
from tests.benchmarks.played import ASYNC, BLOCKING, peer, table


def test_a_cell_has_the_ratio_the_goal_and_what_became_of_it():
    row = peer("nats", wish=Wish(5.0, ASYNC), by_async=6.26)
    told = summary.of([table(row, name="peers-oneway-64", unit="/s")])
    assert "| nats    | 6.26x (5x: met) |" in told
    assert "1 of 1 goals met" in told


def test_a_peer_is_given_by_the_way_in_which_it_is_better():
    ways = [peer("zenoh", way="unix", by_async=1.5), peer("zenoh", way="tcp", by_async=1.2)]
    told = summary.of([table(*ways)])
    assert "| zenoh             | 1.20x      |" in told
    assert "1.50x" not in told


def test_a_run_that_was_cut_short_has_the_columns_that_there_are():
    told = summary.of([table(peer("zenoh")), table(peer("serf"), name="peers-gather-8")])
    assert "| zenoh             | 2.00x      |        - |" in told
    assert "| serf              | -          |    2.00x |" in told


def test_whom_a_goal_is_about_is_said():
    told = summary.of([table(peer("rpyc", wish=Wish(1.0, BLOCKING)))])
    assert "Ours is the face `async, unix`; `blocking, unix` in the round trip beside rpyc." in told


def test_calls_are_given_against_each_of_ours_and_the_goal_where_it_belongs():
    rows = [peer("rpyc", wish=Wish(1.0, BLOCKING)), peer("zenoh", by_async=12.34)]
    told = summary.of([table(*rows, name="calls-sync")])
    assert told.startswith("### calls, in short")
    assert "0 of 1 goals met" in told
    assert "| One after the other, blocking | async, unix |     blocking, unix |" in told
    assert "| rpyc, unix                    | 2.00x       | 0.50x (1x: missed) |" in told
    assert "| zenoh, unix                   | 12.3x       |" in told


def test_other_tables_are_not_told_of():
    assert summary.of([table(peer(), name="roundtrip")]) == ""


def test_queues_are_given_against_each_of_ours():
    told = summary.of([table(peer("pyzmq", wish=Wish(0.5, BLOCKING)), name="queues-64-1")])
    assert told.startswith("### queues, in short")
    assert "| pyzmq, unix        | 2.00x       | 0.50x (0.5x: met) |" in told
