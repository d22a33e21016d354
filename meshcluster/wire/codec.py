"""Datagrams and link frames, to bytes and back, by msgspec's MessagePack.

Decoding validates every field; what does not fit raises ``DecodeError`` and nothing else.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from ..config import PLAIN_DEPTH, check_label, check_tags, is_plain
from ..errors import ConfigError, DecodeError
from ..model import Packed
from .collisions import check_keys
from .frames import (
    VERSION,
    Beacon,
    Datagram,
    Describe,
    Details,
    Entry,
    GroupParcel,
    Hello,
    LinkFrame,
    Parcel,
    ProbeAck,
    ProbeReply,
    View,
    Vouch,
)  # fmt: skip

DATAGRAM_MAGIC = b"mc" + bytes([VERSION])

SECURITY_NONE = 0
SECURITY_NOISE = 1
"""After the preface comes a handshake; see ``security/noise.py``."""

PREFACE_MAGIC = b"mesh"

TAKES_NOTICES = 1
"""What a preface says besides: that its sender understands ``notices.py``, on links that have any.
Who does not know of it looks over it."""

ADDRESS_CHARACTERS = 64
"""An address is no longer, the name of its interface included."""

REMEMBERED = 32768
"""Addresses that are not parsed again: more than a mesh has members."""

Buffer = bytes | bytearray | memoryview


def _plain(value: object) -> msgspec.Raw:
    """What is packed goes out as it is."""
    if isinstance(value, Packed):
        return msgspec.Raw(value.data)
    raise TypeError(f"cannot be sent: {type(value).__name__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_datagrams = msgspec.msgpack.Decoder(Datagram)
_link_frames = msgspec.msgpack.Decoder(LinkFrame)
_details = msgspec.msgpack.Decoder(Details)

CHECKED_BYTES = 8192
"""Longer frames other than batches are looked into for keys that collide."""

_BATCHES = (b"\3", b"\4", b"\r")
"""The second bytes of ``Events``, ``Batch`` and ``Part``: they hold users' values as bytes, and no
keys."""

_NONE: dict[str, object] = {}
"""Never changed: details are frozen, and users see them through a proxy."""

encode_frame = _encoder.encode
"""A link frame to bytes."""


def decode_frame(data: Buffer) -> LinkFrame:
    """One link frame. Fields are copied out, so ``data`` may be reused afterwards.

    Raises:
        DecodeError: not a link frame of version 1.
    """
    try:
        batch = data[1:2] in _BATCHES
        if not batch:
            check_keys(data, above_bytes=CHECKED_BYTES)
        frame: LinkFrame = _link_frames.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(f"link frame: {error}") from None
    if batch:
        return frame
    if isinstance(frame, Hello):
        check_identity(frame.id, frame.boot)
        check_details(frame.details)
    elif isinstance(frame, Describe):
        check_details(frame.details)
    elif isinstance(frame, View):
        check_entries(frame.members)
    return frame


def encode_details(details: Details) -> bytes:
    """Details to bytes, as they stand inside a hello."""
    return _encoder.encode(details)


def packed(details: Details) -> Details:
    """The same details, small: their endpoints as bytes, and nothing is one and the same."""
    if isinstance(details.endpoints, Packed):
        return details
    return msgspec.structs.replace(
        details, endpoints=Packed(details.endpoints), props=details.props or _NONE,
        offers=details.offers or _NONE,
    )  # fmt: skip


def copied(details: Details) -> Details:
    """Details that nobody else holds a part of: what was announced cannot change unnoticed."""
    return _details.decode(encode_details(details))


def encode_datagram(datagram: Datagram) -> bytes:
    """A datagram to bytes, magic and version first."""
    return DATAGRAM_MAGIC + _encoder.encode(datagram)


def decode_datagram(data: Buffer) -> Datagram:
    """One datagram.

    Raises:
        DecodeError: foreign bytes, another version, or a malformed datagram; the text's first
            word is the reason under which it is counted.
    """
    if bytes(data[:2]) != DATAGRAM_MAGIC[:2]:
        raise DecodeError("foreign datagram")
    if bytes(data[2:3]) != DATAGRAM_MAGIC[2:]:
        raise DecodeError(f"unknown version of a datagram: {data[2:3].hex()}")
    try:
        datagram: Datagram = _datagrams.decode(memoryview(data)[3:])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(f"malformed datagram: {error}") from None
    check_identity(datagram.id, datagram.boot)
    if isinstance(datagram, ProbeReply | ProbeAck):
        check_details(datagram.details)
    elif isinstance(datagram, Vouch):
        check_entries(datagram.members)
    return datagram


def is_message(data: Buffer) -> bool:
    """Whether a datagram of ours carries a user's words, and not who we are."""
    try:
        return isinstance(decode_datagram(data), Parcel | GroupParcel)
    except DecodeError:
        return False


def is_beacon(data: Buffer) -> bool:
    """Whether a datagram is a beacon, which says the same by whatever way it comes."""
    try:
        return isinstance(decode_datagram(data), Beacon)
    except DecodeError:
        return False


def check_details(details: Details | None) -> None:
    """Refuses details whose values would harm: texts for logs and terminals, times, ports.

    Raises:
        DecodeError: naming which.
    """
    if details is None:
        return
    if not 0 <= details.port < 65536:
        raise DecodeError("malformed port")
    if not 0 < details.heartbeat_seconds < 1e6:  # also refuses what is no number
        raise DecodeError("malformed heartbeat")
    # Our own are refused as well: too deep, or not plain. Each offer may be as deep as the props.
    for said, depth in ((details.props, PLAIN_DEPTH), (details.offers, PLAIN_DEPTH + 1)):
        if said and not is_plain(said, depth):
            raise DecodeError("malformed props or offers")
    try:
        for text in (details.name, details.host, *details.offers):
            check_label("name", text)
        check_tags(details.tags)
    except ConfigError:
        raise DecodeError("malformed name or tag") from None


def check_identity(member_id: bytes, boot: int) -> None:
    """Refuses ids and boots of the wrong size.

    Raises:
        DecodeError: naming which.
    """
    if len(member_id) != 16:
        raise DecodeError("malformed member id")
    if not 0 <= boot < 2**64:
        raise DecodeError("malformed boot number")


def check_entries(entries: Iterable[Entry]) -> None:
    """Refuses members told of whose identity or details would be refused from themselves, and
    addresses that are names: nothing from the wire is ever looked up.

    Raises:
        DecodeError: naming which.
    """
    for entry in entries:
        check_identity(entry.id, entry.boot)
        check_details(entry.details)
        if len(entry.address) > ADDRESS_CHARACTERS or not _is_address(entry.address):
            raise DecodeError("malformed address")


@lru_cache(maxsize=REMEMBERED)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def preface(security: int = SECURITY_NONE, *, takes: int = TAKES_NOTICES) -> bytes:
    """The first frame on a link: magic, version, security mode, ``takes``, a byte kept."""
    return PREFACE_MAGIC + bytes([VERSION, security, takes, 0])


def takes_notices(data: Buffer) -> bool:
    """Whether this is the preface of somebody who understands notices."""
    return len(data) == 8 and data[:4] == PREFACE_MAGIC and bool(data[6] & TAKES_NOTICES)


def security_of(data: Buffer) -> int:
    """The security mode that a link's preface tells.

    Raises:
        DecodeError: foreign bytes, another version, or a security mode not known here.
    """
    start = bytes(data[:8])
    if len(data) != 8 or start[:4] != PREFACE_MAGIC:
        raise DecodeError("foreign link")
    if start[4] != VERSION:
        raise DecodeError(f"unknown version of a link: {start[4]}")
    if start[5] not in (SECURITY_NONE, SECURITY_NOISE):
        raise DecodeError(f"unknown security mode of a link: {start[5]}")
    return start[5]


def digest(details: Details) -> bytes:
    """Eight bytes that change when the details do."""
    return hashlib.blake2b(encode_details(details), digest_size=8).digest()
