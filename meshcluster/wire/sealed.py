"""What stands in the open on a sealed datagram; what it seals is for ``security/sealing.py``."""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..errors import DecodeError

MAGIC = b"ms\x01"
"""Not that of plain datagrams; the last byte is the version."""

HEADER = struct.Struct(">3s4s16sQQ")
TAG_BYTES = 16
SEAL_BYTES = HEADER.size + TAG_BYTES
"""A datagram is so much longer when it is sealed."""


KEY_ID, SENDER, NUMBER = slice(3, 7), slice(7, 31), slice(31, 39)
"""Where these stand in the header; ``SENDER`` is the member's key: its id and boot."""


class Sealed(NamedTuple):
    """Who sealed it (id and boot), by which key, and its number among all that this run sealed."""

    key_id: bytes
    id: bytes
    boot: int
    number: int


def is_sealed(data: bytes) -> bool:
    """Whether a datagram looks like a sealed one."""
    return data[:2] == MAGIC[:2]


def sealed_by(data: bytes) -> Sealed | None:
    """What a sealed datagram tells in the open; None: it is no sealed one.

    Raises:
        DecodeError: it is cut off, or of another version.
    """
    return Sealed(*HEADER.unpack(header_of(data))[1:]) if is_sealed(data) else None


def header_of(data: bytes) -> bytes:
    """What stands in the open, uncut: who hears thousands looks at no more of it than it needs.

    Raises:
        DecodeError: it is no sealed datagram, or cut off, or of another version.
    """
    if data[:3] != MAGIC:
        if not is_sealed(data):
            raise DecodeError("foreign datagram")
        raise DecodeError(f"unknown version of a sealed datagram: {data[2:3].hex()}")
    if len(data) < SEAL_BYTES:
        raise DecodeError("malformed seal")
    return data[: HEADER.size]
