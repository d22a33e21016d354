"""How long one question to one other process takes, asked one after the other."""

from __future__ import annotations

from .. import table
from ..entrants import AWAITED, BLOCKING, SOCKETS, ZENOH, talking
from ..settings import Settings
from . import asking

PLAN = table.Plan(
    name="roundtrip",
    title="sequential 64 B round trip, two processes",
    unit="us",
    entrants=talking(BLOCKING, AWAITED, ZENOH, SOCKETS),
    peers=(ZENOH, SOCKETS),
    remark=(
        "`cluster.query(data, services=services).wait()` to a `query` hook that returns its data, "
        "both ends with the same face; zenoh: querier and queryable; sockets: blocking echo. The "
        "median of a repeat is that of its round trips; p99 is the median of the repeats' p99. "
        "Most of a round trip is the waking of cores, and the kernel may run both ends on one: "
        "`taskset -c 0 python -m benchmarks roundtrip` shows what the code costs."
    ),
)


def run(settings: Settings) -> list[table.Table]:
    """One table."""
    return [asking.run(PLAN, settings, responders=1)]
