"""What sealing costs: the same members with a key and without, in one run."""

from __future__ import annotations

from .. import table
from ..entrants import OPEN, SEALED, Entrant
from ..settings import Settings
from ..task import TCP, UDP, UNIX
from . import asking, oneway

LARGE_BYTES = 1024 * 1024
BY_TCP = (Entrant(SEALED, TCP), Entrant(OPEN, TCP))
BY_UDP = (Entrant(SEALED, UDP), Entrant(OPEN, UDP))
BY_UNIX = (Entrant(SEALED, UNIX),)
REMARK = (
    "Sealed: members of one host as they are, by the host's key; a secret's key costs the same. "
    "Open: `ttl=1` without a secret, and no key of the host in common. UNIX sockets between "
    "processes of one user carry nothing sealed: what is read there goes through no network. "
    "Ratios are the median of the rounds'."
)
SMALL = table.Plan(
    name="secret-oneway",
    title="64 B one way, sealed and open",
    unit="/s",
    entrants=(*BY_TCP, *BY_UNIX),
    peers=(OPEN,),
    remark=f"{REMARK} Otherwise as in `oneway`; many messages share a frame, which is sealed once.",
)
TURNS = table.Plan(
    name="secret-roundtrip",
    title="sequential 64 B round trip, sealed and open",
    unit="us",
    entrants=(*BY_TCP, *BY_UDP, *BY_UNIX),
    peers=(OPEN,),
    remark="As in `roundtrip`: each way has a frame (or a datagram) of its own, sealed and opened.",
)
LARGE = table.Plan(
    name="secret-large",
    title="1 MiB one way and an empty answer, sealed and open",
    unit="us",
    entrants=(*BY_TCP, *BY_UNIX),
    peers=(OPEN,),
    remark='Queries of 1 MiB, one after the other, to a hook that returns `b""`.',
)


def run(settings: Settings) -> list[table.Table]:
    """One table for each of the three."""
    return [
        oneway.measured(SMALL, settings),
        asking.run(TURNS, settings, responders=1),
        asking.run(LARGE, settings, responders=1, body_bytes=LARGE_BYTES, echo=False),
    ]
