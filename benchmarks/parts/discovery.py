"""How long it takes until processes that know nothing of each other know each other."""

from __future__ import annotations

from .. import table
from ..entrants import AWAITED, BLOCKING, MDNS, PYRE, ZENOH, Entrant, entrants
from ..process import Crew
from ..settings import Settings
from ..task import AGAIN, FIRST

MILLISECONDS = 1e3
JOINS_A_REPEAT = 10
CROWD = 16

PAIR = table.Plan(
    name="discovery",
    title="from the call of `join()` until both members know each other",
    unit="ms",
    entrants=[
        *entrants(BLOCKING, AWAITED, ZENOH, PYRE, ways=(FIRST, AGAIN)),
        Entrant(MDNS, FIRST),
    ],
    peers=(ZENOH,),
    goals={BLOCKING: 5.0, AWAITED: 5.0},
    remark=(
        "One member is there, the other joins in a fresh process: for the first time in that "
        "process (then what `join()` imports is part of it), or once more after it was in another "
        "mesh. `import meshcluster` is not counted. zenoh: from `zenoh.open` until both have seen "
        "the other's liveliness token, with multicast scouting; pyre: its beacons; zeroconf: mDNS "
        "with its defaults, which probe whether a name is free."
    ),
)

TOGETHER = table.Plan(
    name="discovery-16",
    title=f"{CROWD} processes started together, from the first `join()` until all know all",
    unit="ms",
    entrants=entrants(BLOCKING, AWAITED, ZENOH, ways=(FIRST, AGAIN)),
    peers=(ZENOH,),
)


def run(settings: Settings) -> list[table.Table]:
    """Two tables."""

    def pair(entrant: Entrant) -> table.Figure:
        with Crew(entrant.member, entrant.way, uvloop=settings.uvloop) as crew:
            there, comer = crew.start("meet"), crew.start("meet")
            for member in (there, comer):
                member.hear()
            there.go()
            there.hear()  # has joined
            comer.go()
            began = comer.hear()["began"]
            knew = max(there.hear()["knew"], comer.hear()["knew"])
        return table.Figure((knew - began) * MILLISECONDS)

    def crowd(entrant: Entrant) -> table.Figure:
        with Crew(entrant.member, entrant.way, uvloop=settings.uvloop) as crew:
            members = [crew.start("meet", count=CROWD - 1) for _ in range(CROWD)]
            for member in members:
                member.hear()
            for member in members:
                member.go()
            began = min(member.hear()["began"] for member in members)
            knew = max(member.hear()["knew"] for member in members)
        return table.Figure((knew - began) * MILLISECONDS)

    return [
        table.run(PAIR, settings.repeats * JOINS_A_REPEAT, pair),
        table.run(TOGETHER, settings.repeats, crowd),
    ]
