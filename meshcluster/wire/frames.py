"""Everything that travels, version 1.

The numbers (``tag=``) are append-only: a number once given is never given another meaning, and
fields are only ever added at the end of a struct, with a default.

Version 1 (the first)
    datagrams 1 to 5, link frames 1 to 7, messages 1 to 3, body forms 1 to 5 (``body.py``).
"""

from __future__ import annotations

import msgspec

from ..model import Endpoint

VERSION = 1


class Details(msgspec.Struct, frozen=True, array_like=True):
    """All a member says of itself. ``port`` is its own UDP port, where it answers probes; 0:
    it has none.
    """

    version: int
    name: str
    host: str
    tags: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    props: dict[str, object]
    port: int
    heartbeat_seconds: float


# --- datagrams: announcing, proving, leaving. ``cluster`` is first, to drop others early. ---


class Beacon(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """I am here. Sent to the group; ``digest`` tells whether the details known are still true."""

    cluster: str
    id: bytes
    boot: int
    details_version: int
    digest: bytes
    endpoints: tuple[Endpoint, ...]


class Probe(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Are you there? ``want`` asks for the details; version and digest are the sender's own."""

    cluster: str
    id: bytes
    boot: int
    nonce: int
    want: bool
    details_version: int
    digest: bytes


class ProbeReply(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """I am: ``nonce`` comes back. A ``challenge`` other than 0 asks the prober for its own proof.

    ``details`` are None when not wanted, or too large for a datagram (``large``).
    """

    cluster: str
    id: bytes
    boot: int
    nonce: int
    challenge: int
    details: Details | None
    large: bool


class ProbeAck(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The prober's own proof: ``challenge`` comes back, with its details."""

    cluster: str
    id: bytes
    boot: int
    challenge: int
    details: Details | None
    endpoints: tuple[Endpoint, ...]


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Goodbye, to the group."""

    cluster: str
    id: bytes
    boot: int


Datagram = Beacon | Probe | ProbeReply | ProbeAck | Leave


# --- messages: what users exchange. ``form`` says how ``body`` was made (``body.py``). They hold no
# --- containers, so the garbage collector need not track them (``gc=False``). ---


class Event(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """Something told."""

    channel: int
    form: int
    body: bytes


class Question(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """Something asked. ``id`` is the asker's."""

    id: int
    channel: int
    form: int
    body: bytes


class Answer(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """What came of question ``id``: see the outcomes below."""

    id: int
    outcome: int
    channel: int
    form: int
    body: bytes


ANSWERED = 0
RAISED = 1
"""The body is a list of the exception's type name and its text."""
NO_RESPONDER = 2
OVERLOADED = 3
"""The responder has too many questions waiting; nothing was run."""

AnyMessage = Event | Question | Answer


# --- link frames. The first frame each way is the preface (``codec.py``), then comes a hello. ---


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Who opens or accepts the link, for which session, and how far that session has come.

    ``to`` is the key of the member it is meant for. ``token`` names the sender's half of the
    session, ``peer_token`` the other half as the sender knows it (0: not at all), ``received``
    the last batch number of that half, ``links`` how many links the sender had for it.
    """

    cluster: str
    id: bytes
    boot: int
    to: bytes
    lane: str
    token: int
    peer_token: int
    received: int
    links: int
    details: Details


class Refuse(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The acceptor's no instead of its hello."""

    reason: int


YIELD = 1
"""Both dialled at once and the acceptor's own link stays."""
NOT_ME = 2
"""Another member (or another run of it) listens here now."""
OTHER_CLUSTER = 3
REJECTED = 4
"""A hook of the acceptor does not want this member."""
BUSY = 5
"""Not now: a table is full, or a member of the same name is being checked. Try again."""


class Events(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A batch of events only: the fast lane of ``Batch``."""

    number: int
    acked: int
    taken: int
    messages: list[Event]


class Batch(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Messages of any kind under one number.

    ``acked`` is the last batch received in order; ``taken`` how many bytes of batches the hooks
    have taken since the session began (the sender's credit).
    """

    number: int
    acked: int
    taken: int
    messages: list[AnyMessage]


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """``acked`` and ``taken`` when no batch goes their way."""

    acked: int
    taken: int


class Goodbye(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The member leaves; nothing follows on this link."""


class Describe(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The sender's details have changed."""

    details: Details


LinkFrame = Hello | Refuse | Events | Batch | Ack | Goodbye | Describe
