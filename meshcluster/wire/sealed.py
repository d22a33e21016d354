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
    if not is_sealed(data):
        return None
    if data[2:3] != MAGIC[2:]:
        raise DecodeError(f"unknown version of a sealed datagram: {data[2:3].hex()}")
    if len(data) < SEAL_BYTES:
        raise DecodeError("malformed seal")
    return Sealed(*HEADER.unpack_from(data)[1:])
