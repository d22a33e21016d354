"""Everything that travels, version 1.

The numbers (``tag=``) are append-only: a number once given is never given another meaning, and
fields are only ever added at the end of a struct, with a default.

Version 1 (the first)
    datagrams 1 to 15, link frames 1 to 13, messages 1 to 6, body forms 1 to 5 (``body.py``).
"""

from __future__ import annotations

import msgspec

from ..model import Endpoint

VERSION = 1


class Details(msgspec.Struct, frozen=True, array_like=True):
    """All a member says of itself. ``port`` is its own UDP port, where it answers probes; 0: it has
    none.

    ``offers`` maps the names of its mailboxes to what it says of each; an ``observer`` takes no
    part: it asks and tells, and is never counted, told of or announced.
    """

    version: int
    name: str
    host: str
    tags: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    props: dict[str, object]
    port: int
    heartbeat_seconds: float
    offers: dict[str, object] = {}
    observer: bool = False


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A member as another one knows it: its run, the address it was proven at, its details."""

    id: bytes
    boot: int
    address: str
    details: Details


# --- datagrams: announcing, proving, leaving. ``cluster`` is first, to drop others early. ---


class Beacon(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """I am here. Sent to the group; ``digest`` tells whether the details known are still true.

    ``known`` and ``view`` are how many members the sender knows, itself included, and a
    fingerprint of them all: who has another one may compare (``node/views.py``). ``number`` grows
    with each beacon of a run: a copy is known by it, and it dates what others say of the sender.
    ``lag`` is how many milliseconds late the sender lately was with what it had to do.
    """

    cluster: str
    id: bytes
    boot: int
    details_version: int
    digest: bytes
    endpoints: tuple[Endpoint, ...]
    known: int = 0
    view: int = 0
    number: int = 0
    lag: int = 0


class Probe(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Are you there? ``want`` asks for the details; version and digest are the sender's own.

    Who answers an ``observer`` does not keep it.
    """

    cluster: str
    id: bytes
    boot: int
    nonce: int
    want: bool
    details_version: int
    digest: bytes
    observer: bool = False


class ProbeReply(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """I am: ``nonce`` comes back. A ``challenge`` other than 0 asks the prober for its own proof.

    ``details`` are None when not wanted, or too large for a datagram (``large``). ``known``: see
    ``Beacon``. ``clock`` tells observers the sender's time, in milliseconds since 1970 (UTC; 0:
    not told): nothing here depends on clocks, but who reads logs of two hosts does.
    """

    cluster: str
    id: bytes
    boot: int
    nonce: int
    challenge: int
    details: Details | None
    large: bool
    known: int = 0
    clock: int = 0


class ProbeAck(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The prober's own proof: ``challenge`` comes back, with its details."""

    cluster: str
    id: bytes
    boot: int
    challenge: int
    details: Details | None
    endpoints: tuple[Endpoint, ...]
    known: int = 0


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Goodbye, to the group."""

    cluster: str
    id: bytes
    boot: int


class Vouch(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """These answered me: to the group, so that in a large mesh not everybody has to ask them."""

    cluster: str
    id: bytes
    boot: int
    members: list[Entry]


class Solicit(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Who is there? To the group; answered like a ``Probe``. An ``observer`` stays unknown."""

    cluster: str
    id: bytes
    boot: int
    nonce: int
    details_version: int
    digest: bytes
    observer: bool


class DirectBeacon(Beacon, frozen=True, array_like=True, tag=8):
    """A beacon to one member alone, whom the group does not seem to reach."""


class Suspect(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """To the group: ``subject`` (a member's key) does not answer me, and I have heard nothing of it
    after its beacon ``number``. Whoever has, says so, itself first of all.
    """

    cluster: str
    id: bytes
    boot: int
    subject: bytes
    number: int


class Dead(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """To the group: I take ``subject`` for dead; as in ``Suspect``. ``crashed``: its host answers
    that the process is gone.
    """

    cluster: str
    id: bytes
    boot: int
    subject: bytes
    number: int
    crashed: bool


class ProbeRequest(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """To one member: is ``subject`` there for you? I have heard nothing after ``number``."""

    cluster: str
    id: bytes
    boot: int
    subject: bytes
    number: int
    nonce: int


class Sighting(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """To one member: ``subject`` is alive. I have heard its beacon ``number``; with a ``nonce``, it
    has answered me since I was asked.
    """

    cluster: str
    id: bytes
    boot: int
    subject: bytes
    number: int
    nonce: int


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
    """What came of question or request ``id``: see the outcomes below."""

    id: int
    outcome: int
    channel: int
    form: int
    body: bytes


class Note(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Something told to one mailbox."""

    mailbox: str
    channel: int
    form: int
    body: bytes


class Request(msgspec.Struct, frozen=True, array_like=True, tag=5, gc=False):
    """Something asked of one mailbox. ``id`` is the asker's."""

    id: int
    mailbox: str
    channel: int
    form: int
    body: bytes


class AckedEvent(msgspec.Struct, frozen=True, array_like=True, tag=6, gc=False):
    """Something told whose sender waits for an ``Answer`` that says that it was handled: None, when
    the last hook has returned. ``id`` is the sender's. It goes by links only.
    """

    id: int
    channel: int
    form: int
    body: bytes


ANSWERED = 0
RAISED = 1
"""The body is a list of the exception's type name and its text."""
NO_RESPONDER = 2
OVERLOADED = 3
"""The responder has too many questions waiting; nothing was run."""
LEAVING = 4
"""The responder leaves and takes nothing new; nothing was run."""
UNTOLD = 5
"""Hooks had an ``AckedEvent``; what came of that could not be sent."""

AnyMessage = Event | Question | Answer | Note | Request | AckedEvent
ParcelMessage = Event | Question | Answer


class Parcel(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A datagram with one message to one member (protocol ``udp``): sent once.

    ``to`` is the receiver's key; ``number`` grows with each parcel of the sender's run, and is that
    of one parcel. ``confirm`` asks for a ``Receipt``.
    """

    cluster: str
    id: bytes
    boot: int
    to: bytes
    number: int
    message: ParcelMessage
    confirm: bool = False


class GroupParcel(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """One event to every member that takes ``udp``: to the group once, and with the same number to
    each of those alone whom the group does not reach.
    """

    cluster: str
    id: bytes
    boot: int
    number: int
    message: Event


class Receipt(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Parcel ``number`` of the member whose key is ``to`` came."""

    cluster: str
    id: bytes
    boot: int
    to: bytes
    number: int


AnyParcel = Parcel | GroupParcel | Receipt
Datagram = (
    Beacon | Probe | ProbeReply | ProbeAck | Leave | Vouch | Solicit | DirectBeacon | AnyParcel
    | Suspect | Dead | ProbeRequest | Sighting
)  # fmt: skip


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


class ViewRequest(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Whom do you know that I do not? ``keys`` is 32 bytes for each member known here: its key and
    the digest of its details.
    """

    keys: bytes


class View(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Members the asker did not name, or named with other details.

    ``unknown`` is what the asker named and the sender does not know: 32 bytes each, as asked.
    """

    members: list[Entry]
    unknown: bytes


class Unopened(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """This endpoint of yours could not be opened, for this reason; I came by another one. The
    receiver may see whether it still listens there.
    """

    endpoint: Endpoint
    reason: str


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Are you there? Asked where no datagram was answered."""


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """I am."""


class Part(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """A piece of the body of one message that is too large for a batch; numbered as batches are.

    The first has the message, with an empty body, as ``begins``; ``left`` is how many bytes of the
    body follow in later parts. Two messages may be under way at a time: one that is told (an
    ``Event`` or a ``Note``), and one of the others (``asked``).
    """

    number: int
    acked: int
    taken: int
    asked: bool
    begins: AnyMessage | None
    left: int
    data: bytes


Numbered = Events | Batch | Part
"""What a session numbers, keeps and acknowledges."""

LinkFrame = (
    Hello | Refuse | Numbered | Ack | Goodbye | Describe | ViewRequest | View | Unopened
    | Ping | Pong
)  # fmt: skip
