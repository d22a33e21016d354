"""Rows and tables that nobody measured."""

from benchmarks.table import Row, Table

ASYNC, BLOCKING = "meshcluster, async, unix", "meshcluster, blocking, unix"


def peer(name="rpyc", *, wish=None, **times):
    beaten_by = {ASYNC: times.get("by_async", 2.0), BLOCKING: times.get("by_blocking", 0.5)}
    return Row(
        name=name, way=times.get("way", "unix"), median=10.0, low=9.0, high=11.0, p99=None, lost=0,
        better_than={}, beaten_by=beaten_by, wish=wish,
    )  # fmt: skip


def table(*rows, name="peers-roundtrip-64", unit="us"):
    return Table(
        name=name, title="turns", unit=unit, rounds=3, peers=[], rows=list(rows), remarks=[],
        ours=[ASYNC, BLOCKING],
    )  # fmt: skip
