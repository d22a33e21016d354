"""How many bytes a heartbeat, a query and a response take on the wire, in our encoding and others.

Two questions: what do our frames take beside the same fields in another encoding, and what would
the message take that a program without our links sends, where each says who speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from meshcluster.model import Endpoint
from meshcluster.security.noise import TAG_BYTES
from meshcluster.wire import codec
from meshcluster.wire.body import BYTES
from meshcluster.wire.frames import ANSWERED, Answer, Batch, Beacon, LinkFrame, Ping, Question
from meshcluster.wire.splitter import HEADER

from .. import rows
from ..costs.formats import Field, as_bpacket, as_json, as_protobuf
from ..settings import Settings
from ..table import Row, Table

MEMBER, BOOT = bytes.fromhex("9f3c1d7a52e84b06a1c4d8e7f0b35962"), 1_789_000_000_000_000_000
NAME = MEMBER.hex()
DATA, ANSWER = b"what is your load?", b"0.25"
NUMBER, ACKED, TAKEN, ASKED = 1000, 900, 40_000, 1000
"""On a link that has been open for a while; all of them begin at 1 byte."""

PINGS, BEACONS, QUERIES, RESPONSES = "heartbeat", "beacon", "query", "response"
REMARK = (
    "Bytes of one message on its own, lengths and framing with it, without TCP's, UDP's and IP's "
    "headers. Ours: as it goes over an open link in the clear, which a UNIX socket of one user is; "
    f"where it is sealed, {TAG_BYTES} more each frame. Messages sent together share one frame. "
    f"The query holds {len(DATA)} bytes, the response {len(ANSWER)}; numbers are those of the "
    f"{NUMBER}th message of a link. The goal is the smallest of the others. same fields: all that "
    "our frame says, with its field names (JSON) or numbers (protobuf). alone: the same with "
    "the sender's 16 bytes, as a message must be that does not come by an open link that knows "
    "them. bpacket: as tcl-cluster sends it, host and member id, protocols and request id in each."
)


class Message(NamedTuple):
    """One kind of message, in every encoding."""

    kind: str
    ours: bytes
    fields: dict[str, Field]
    """What ours says."""
    bpacket: dict[int, Field]
    """What tcl-cluster's says, by the numbers of its template."""


def run(settings: Settings) -> list[Table]:
    """One table; nothing is measured more than once."""
    return [
        Table(
            name="sizes", title="bytes on the wire", unit="B", rounds=1, peers=[],
            rows=[_row(message) for message in messages()], remarks=[REMARK],
        )
    ]  # fmt: skip


def messages() -> list[Message]:
    """All four."""
    question = Question(ASKED, 0, BYTES, DATA)
    answer = Answer(ASKED, ANSWERED, 0, BYTES, ANSWER)
    batch = {"number": NUMBER, "acked": ACKED, "taken": TAKEN}
    asked = {"id": ASKED, "channel": 0, "form": BYTES, "body": DATA}
    answered = {"id": ASKED, "outcome": ANSWERED, "channel": 0, "form": BYTES, "body": ANSWER}
    return [
        Message(PINGS, framed(Ping()), {"type": 11}, _bpacket(1, {5: 2})),
        Message(BEACONS, codec.encode_datagram(beacon()), _of_beacon(), _bpacket(1, _ENDPOINTS)),
        Message(
            QUERIES, framed(Batch(NUMBER, ACKED, TAKEN, [question])),
            {"type": 4, **batch, "kind": 2, **asked},
            _bpacket(4, {8: "qZR#e", 10: DATA, 13: True}),
        ),
        Message(
            RESPONSES, framed(Batch(NUMBER, ACKED, TAKEN, [answer])),
            {"type": 4, **batch, "kind": 3, **answered},
            _bpacket(5, {8: "qZR#e", 13: True, 10: ANSWER}),
        ),
    ]  # fmt: skip


def framed(frame: LinkFrame) -> bytes:
    """As it goes over a link."""
    data = codec.encode_frame(frame)
    return HEADER.pack(len(data)) + data


def beacon() -> Beacon:
    """Of a member in a mesh of two."""
    endpoints = (
        Endpoint("unix", {"name": f"c522b539/{NAME[:16]}.sock"}),
        Endpoint("tcp", {"port": 35_967}),
    )
    return Beacon("default", MEMBER, BOOT, 1, bytes(8), endpoints, 2, 2**63 + 1, 1000)


def _of_beacon() -> dict[str, Field]:
    said = beacon()
    return {
        "type": 1, "cluster": said.cluster, "id": NAME, "boot": said.boot,
        "details_version": said.details_version, "digest": said.digest.hex(),
        "unix": str(said.endpoints[0].props["name"]), "tcp": 35_967,
        "known": said.known, "view": said.view, "number": said.number,
    }  # fmt: skip


_ENDPOINTS: dict[int, Field] = {
    10: f"u {{path /tmp/clu-{NAME[:8]}.sock}} t {{port 35967}}", 5: 2,
}  # fmt: skip


def _bpacket(kind: int, more: Mapping[int, Field]) -> dict[int, Field]:
    """What every packet of tcl-cluster says, and this one's own."""
    return {
        4: NAME[:8], 3: "02:fc:00:00:aa:01", 1: kind, 2: 0, 7: ("u", "t", "c"), **more,
    }  # fmt: skip


def _row(message: Message) -> Row:
    fields = message.fields
    alone_json, alone = {"from": NAME, **fields}, {"from": MEMBER, **fields}
    if message.kind == BEACONS:  # it says who speaks
        alone_json, alone = fields, {**fields, "id": MEMBER, "digest": bytes(8)}
        fields = alone
    others = {
        "JSON, same fields": len(as_json(message.fields)),
        "protobuf, same fields": len(as_protobuf(fields)),
        "JSON, alone": len(as_json(alone_json)),
        "protobuf, alone": len(as_protobuf(alone)),
        "bpacket": len(as_bpacket(message.bpacket)),
    }
    goal = float(min(others.values())) if message.kind in (QUERIES, RESPONSES) else None
    way = "datagram" if message.kind == BEACONS else "open link"
    return rows.row(message.kind, way, [len(message.ours)], goal=goal, also=others)
