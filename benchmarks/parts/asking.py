"""The measurements that several parts share: one asks, one or more respond."""

from __future__ import annotations

from .. import table
from ..entrants import Entrant
from ..process import Crew
from ..settings import Settings
from ..task import BODY_BYTES

MICROSECONDS = 1e6


def run(
    plan: table.Plan, settings: Settings, *, responders: int, body_bytes: int = BODY_BYTES,
    echo: bool = True,
) -> table.Table:  # fmt: skip
    """Each responder is a process; the asker starts when all are there."""

    def measure(entrant: Entrant) -> table.Figure:
        with Crew(
            entrant.member, entrant.way, seconds=settings.seconds, uvloop=settings.uvloop,
            body_bytes=body_bytes, echo=echo,
        ) as crew:  # fmt: skip
            there = [crew.start("respond", number=number) for number in range(responders)]
            asker = crew.start("ask", count=responders, waits=True)
            for responder in there:
                responder.hear()
            asker.go()
            got = asker.hear()
        median, p99 = got["median"] * MICROSECONDS, got["p99"] * MICROSECONDS
        return table.Figure(median, p99=p99, lost=int(got["lost"]))

    return table.run(plan, settings.repeats, measure)


def at_once(plan: table.Plan, settings: Settings) -> table.Table:
    """One process asks another, many questions at once."""

    def measure(entrant: Entrant) -> table.Figure:
        seconds, uvloop = settings.seconds, settings.uvloop
        with Crew(entrant.member, entrant.way, seconds=seconds, uvloop=uvloop) as crew:
            responder, asker = crew.start("respond"), crew.start("ask_many", waits=True)
            responder.hear()
            asker.go()
            return table.Figure(asker.hear()["rate"])

    return table.run(plan, settings.repeats, measure)
