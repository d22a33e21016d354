"""Datagrams and link frames, at rest: the codec alone."""

from __future__ import annotations

from meshcluster.model import Endpoint
from meshcluster.wire import codec
from meshcluster.wire import frames as f

from ..dialects import DATAGRAM, MESSAGEPACK
from ..target import Target, counted

ID, OTHER = b"\2" * 16, b"\3" * 16
KEY = OTHER + (1).to_bytes(8, "big")
DIGEST = b"digested"
ENDPOINTS = (
    Endpoint("unix", {"name": "00ff00ff/0123456789abcdef.sock"}),
    Endpoint("tcp", {"port": 2}),
)
DETAILS = f.Details(
    3, "ada", "host", ("red", "web"), ENDPOINTS, {"rack": 3, "of": [1.5, None, {"a": b"b"}]}, 1002,
    1.0, {"lock": {"v": 1}},
)  # fmt: skip
ENTRY = f.Entry(OTHER, 1, "10.0.0.3", DETAILS)
EVENT, QUESTION = f.Event(0, 2, b"told"), f.Question(7, 0, 3, b"\x93\1\2\3")
ANSWER = f.Answer(7, 0, 0, 3, b"\xc0")


def datagrams(
    cluster: str, sender: bytes, boot: int, to: bytes, nonce: int = 99
) -> list[f.Datagram]:
    """One of each kind, of this sender, for the member with this key; an answer has
    the ``nonce``.
    """
    who = (cluster, sender, boot)
    return [
        f.Beacon(*who, 3, DIGEST, ENDPOINTS, 2, 77, 9, 4),
        f.DirectBeacon(*who, 3, DIGEST, ENDPOINTS, 2, 77, 10, 4),
        f.Probe(*who, nonce, True, 3, DIGEST),
        f.Probe(*who, nonce, False, 3, DIGEST, True),
        f.ProbeReply(*who, nonce, 98, DETAILS, False, 2, 1_700_000_000_000),
        f.ProbeReply(*who, nonce, 0, None, True),
        f.ProbeAck(*who, nonce, DETAILS, ENDPOINTS, 2),
        f.Leave(*who),
        f.Vouch(*who, [ENTRY, f.Entry(ID, 2, "::1", DETAILS)]),
        f.Solicit(*who, nonce, 3, DIGEST, False),
        f.Solicit(*who, nonce, 3, DIGEST, True),
        f.Suspect(*who, KEY, 5),
        f.Suspect(*who, to, 5),
        f.Dead(*who, KEY, 5, True),
        f.ProbeRequest(*who, KEY, 5, 97),
        f.Sighting(*who, KEY, 6, nonce),
        f.Parcel(*who, to, 12, EVENT),
        f.Parcel(*who, to, 13, QUESTION),
        f.Parcel(*who, to, 14, ANSWER),
        f.GroupParcel(*who, 15, EVENT),
        f.Receipt(*who, to, 12),
    ]


def frames() -> list[f.LinkFrame]:
    """One of each kind that follows a hello, and the hello."""
    return [
        f.Hello("default", ID, 1, KEY, "", 5, 6, 0, 1, DETAILS),
        f.Refuse(f.YIELD),
        f.Events(1, 0, 0, [EVENT, f.Event(2**32 - 1, 1, b"")]),
        f.Batch(1, 2, 3,
        [EVENT, QUESTION, ANSWER, f.Note("lock", 0, 1, b"n"), f.Request(3, "lock", 0, 1, b"r")]),
        f.Ack(1, 2),
        f.Goodbye(),
        f.Describe(DETAILS),
        f.ViewRequest(bytes(32) + KEY + DIGEST),
        f.View([ENTRY], bytes(32)),
        f.Unopened(ENDPOINTS[1], "refused"),
        f.Ping(),
        f.Pong(),
        f.Batch(2, 2, 3, [f.AckedEvent(8, 2, 3, b"\x93\1\2\3")]),
        f.Part(3, 2, 3, True, f.Question(9, 0, 3, b""), 70_000, b"\xda"),
        f.Part(4, 2, 3, True, None, 0, b"rest"),
    ]  # fmt: skip


def read_datagram(data: bytes) -> object:
    """What is read is what a member could have sent: it comes back."""
    found = codec.decode_datagram(data)
    again = codec.encode_datagram(found)
    assert len(again) <= 3 * len(data) + 64
    assert codec.encode_datagram(codec.decode_datagram(again)) == again
    return found


def read_frame(data: bytes) -> object:
    """The same for a link's frame; one of eight bytes may be a preface."""
    if len(data) == 8:
        return codec.security_of(data)
    found = codec.decode_frame(data)
    again = codec.encode_frame(found)
    assert codec.encode_frame(codec.decode_frame(again)) == again
    return found


TARGETS = (
    Target(
        "datagram", "`codec.decode_datagram`: beacons and all other datagrams",
        lambda: read_datagram,
        lambda: [*map(codec.encode_datagram, datagrams("default", ID, 1, KEY)), b"", b"mc",
        b"mc\2"],
        DATAGRAM, reason=counted,
    ),
    Target(
        "frame", "`codec.decode_frame` and prefaces: hellos, batches, views",
        lambda: read_frame,
        lambda: [*map(codec.encode_frame, frames()), codec.preface(), codec.preface(1),
        b"meshmesh"],
        MESSAGEPACK, reason=counted, limit_bytes=4096,
    ),
)  # fmt: skip
