"""How many messages a second arrive in another process's Python handler."""

from __future__ import annotations

from .. import table
from ..entrants import AWAITED, BATCHES, BLOCKING, SOCKETS, ZENOH, Entrant, talking
from ..process import Crew
from ..settings import Settings
from ..task import BODY_BYTES

PLAN = table.Plan(
    name="oneway",
    title="64 B one way, two processes, counted in the receiver's Python handler",
    unit="/s",
    entrants=talking(BLOCKING, AWAITED, ZENOH, BATCHES, SOCKETS),
    peers=(ZENOH, BATCHES),
    remark=(
        "`cluster.send(data, services=(service,))` to an `event` hook that reads `event.data`; "
        "zenoh: `publisher.put` with CongestionControl.BLOCK to a callback with "
        "`payload.to_bytes()`; sockets: length-prefixed, cut and handed over in Python, 64 "
        "messages with one `sendall` or one each. The rate is taken between two marks that travel "
        "with the messages, so all that was sent has arrived. `zeromq` on one host is libzmq above "
        "UNIX sockets, and is compared with the peers there."
    ),
)


def run(settings: Settings) -> list[table.Table]:
    """One table."""
    return [measured(PLAN, settings)]


def measured(
    plan: table.Plan, settings: Settings, *, body_bytes: int = BODY_BYTES
) -> table.Table:  # fmt: skip
    """One sends, one counts."""

    def measure(entrant: Entrant) -> table.Figure:
        with Crew(
            entrant.member, entrant.way, seconds=settings.seconds, uvloop=settings.uvloop,
            body_bytes=body_bytes,
        ) as crew:  # fmt: skip
            receiver = crew.start("receive")
            sender = crew.start("send", waits=True)
            receiver.hear()
            sender.go()
            sent = sender.hear()["sent"]
            got = receiver.hear()
        return table.Figure(got["rate"], lost=int(sent - got["received"]))

    return table.run(plan, settings.repeats, measure)
