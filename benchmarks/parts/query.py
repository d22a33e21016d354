"""How long a question to two members takes, over links that are open, while nothing else is on."""

from __future__ import annotations

from .. import table
from ..entrants import AWAITED, BLOCKING, ZENOH, talking
from ..settings import Settings
from . import asking

PLAN = table.Plan(
    name="query",
    title="a query to two members until both have answered, three processes",
    unit="us",
    entrants=talking(BLOCKING, AWAITED, ZENOH),
    peers=(ZENOH,),
    goals={BLOCKING: 1000.0, AWAITED: 1000.0},
    remark="zenoh: a querier with QueryTarget.ALL and two sessions with a queryable each.",
)


def run(settings: Settings) -> list[table.Table]:
    """One table."""
    return [asking.run(PLAN, settings, responders=2)]
