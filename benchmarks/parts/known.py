"""How much memory a member keeps for each other that it knows."""

from __future__ import annotations

import gc
import tracemalloc

from meshcluster.config import Limits
from meshcluster.wire.body import BYTES
from meshcluster.wire.frames import Event

from .. import rows
from ..settings import Settings
from ..table import Row, Table
from .large import Member

MEMBERS = 1000
MIB = 1024 * 1024
BODY = bytes(64)
REMARK = (
    "One real node and the directory that its users look into; all others are simulated, as in "
    "`large`. Bytes that Python holds (tracemalloc) for each of them. Proven: it answered us. "
    "Told: others vouched for it; known to the node alone. Session: it was proven and something "
    "is sent to it, one message of 64 bytes that still waits for a link."
)


def run(settings: Settings) -> list[Table]:
    """One table."""
    return [measured(MEMBERS, settings.repeats)]


def measured(members: int, rounds: int) -> Table:
    """For a mesh of so many."""
    proven, told, session = [], [], []
    for _ in range(rounds):
        member = Member(members)
        proven.append(member.bytes_each)
        session.append(member.bytes_each + _of_a_session(member))
        told.append(Member(members, told=True).bytes_each)
    kinds = {"proven": proven, "told": told, "session": session}
    return Table(
        name="known", title=f"memory for each of {members:,} known members", unit="bytes",
        rounds=rounds, peers=[], rows=[_row(name, members, each) for name, each in kinds.items()],
        remarks=[REMARK],
    )  # fmt: skip


def _of_a_session(member: Member) -> float:
    """What a session takes beside the member itself."""
    limits = Limits()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    count = 0
    for service in member.directory.services:
        peer = member.node.peers.member(service.key)
        if peer is not None:
            peer.session("", limits).put(Event(0, BYTES, BODY))
            count += 1
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / count


def _row(name: str, members: int, values: list[float]) -> Row:
    whole = sum(values) / len(values) * members / MIB
    return rows.row(f"{members:,} members", name, values, also={"MiB of all": whole})
