"""Datagrams and link frames, to bytes and back, by msgspec's MessagePack.

Decoding validates every field; what does not fit raises ``DecodeError`` and nothing else.
"""

from __future__ import annotations

import hashlib

import msgspec

from ..errors import DecodeError
from .frames import VERSION, Datagram, Details, LinkFrame

DATAGRAM_MAGIC = b"mc" + bytes([VERSION])

SECURITY_NONE = 0
PREFACE_MAGIC = b"mesh"

Buffer = bytes | bytearray | memoryview

_encoder = msgspec.msgpack.Encoder()
_datagrams = msgspec.msgpack.Decoder(Datagram)
_link_frames = msgspec.msgpack.Decoder(LinkFrame)

encode_frame = _encoder.encode
"""A link frame to bytes."""


def decode_frame(data: Buffer) -> LinkFrame:
    """One link frame. Fields are copied out, so ``data`` may be reused afterwards.

    Raises:
        DecodeError: not a link frame of version 1.
    """
    try:
        frame: LinkFrame = _link_frames.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(f"link frame: {error}") from None
    return frame


def encode_details(details: Details) -> bytes:
    """Details to bytes, as they stand inside a hello."""
    return _encoder.encode(details)


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
        raise DecodeError("version of the datagram is not known here")
    try:
        datagram: Datagram = _datagrams.decode(memoryview(data)[3:])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(f"malformed datagram: {error}") from None
    check_identity(datagram.id, datagram.boot)
    return datagram


def check_identity(member_id: bytes, boot: int) -> None:
    """Refuses ids and boots of the wrong size.

    Raises:
        DecodeError: naming which.
    """
    if len(member_id) != 16:
        raise DecodeError("malformed member id")
    if not 0 <= boot < 2**64:
        raise DecodeError("malformed boot number")


def preface(security: int = SECURITY_NONE) -> bytes:
    """The first frame on a link: magic, version, security mode, two bytes kept for later."""
    return PREFACE_MAGIC + bytes([VERSION, security, 0, 0])


def check_preface(data: Buffer) -> None:
    """Refuses a link that does not begin as ours do.

    Raises:
        DecodeError: foreign bytes, another version, or a security mode not known here.
    """
    start = bytes(data[:8])
    if len(data) != 8 or start[:4] != PREFACE_MAGIC:
        raise DecodeError("foreign link")
    if start[4] != VERSION:
        raise DecodeError(f"version {start[4]} of the link is not known here")
    if start[5] != SECURITY_NONE:
        raise DecodeError(f"security mode {start[5]} of the link is not known here")


def digest(details: Details) -> bytes:
    """Eight bytes that change when the details do."""
    return hashlib.blake2b(encode_details(details), digest_size=8).digest()
