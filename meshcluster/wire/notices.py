"""What the two ends of a byte stream tell each other beside frames: about memory that they share.

A notice stands where a frame's length does, and is told from one by its highest bit, which no
length has. Only who has said in its preface that it understands notices is sent any.

``OFFER``: I have made memory, open it there. ``ANSWER``: I have, or cannot. ``PLACE``: the next
frame, or its large bodies, lie in it, here. ``CREDIT``: so many places, the oldest ones, have been
copied out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import DecodeError
from .split import HEAD_BYTES, MOST_BODIES

MARK = 1 << 31
PLACE, CREDIT, OFFER, ANSWER = 0x80, 0x81, 0x82, 0x83

TOKEN_BYTES = 16
NUMBER_LIMIT = 1 << 24
"""What shares four bytes with its kind is less: a frame's length, a count."""

_PLACE = struct.Struct(">IIHH")
_LENGTH_BYTES = 4
_SHORT = struct.Struct(">I")
_OFFER = struct.Struct(f">III{TOKEN_BYTES}s")
_SIZES = {PLACE: _PLACE.size, CREDIT: _SHORT.size, OFFER: _OFFER.size, ANSWER: _SHORT.size}


class Offer(NamedTuple):
    """``size`` bytes behind a descriptor of the sender, which begin with ``token``."""

    descriptor: int
    size: int
    token: bytes


def size_of(begin: memoryview) -> int:
    """How many bytes a notice has that begins with these, four at least; more than these are when
    they are too few to tell.

    Raises:
        DecodeError: there is no such notice.
    """
    size = _SIZES.get(begin[0])
    if size is None:
        raise DecodeError(f"unknown notice: {begin[0]}")
    if begin[0] != PLACE or len(begin) < size:
        return size
    _, _, count, head_bytes = _PLACE.unpack_from(begin)
    if head_bytes > HEAD_BYTES or count > MOST_BODIES:
        raise DecodeError(f"oversized notice: {head_bytes} bytes and {count} bodies")
    return size + int(count) * _LENGTH_BYTES + int(head_bytes)


def place(length: int, offset: int, lengths: Sequence[int] = (), head: bytes = b"") -> bytes:
    """What has this length and lies there is the next frame; with ``head``, that one's bodies, one
    after the other, of these lengths.
    """
    return b"".join(
        (
            _PLACE.pack(PLACE << 24 | length, offset, len(lengths), len(head)),
            struct.pack(f">{len(lengths)}I", *lengths),
            head,
        )
    )


def credit(count: int) -> bytes:
    """So many frames were copied out."""
    return _SHORT.pack(CREDIT << 24 | count)


def answer(*, opened: bool) -> bytes:
    """What became of an offer."""
    return _SHORT.pack(ANSWER << 24 | opened)


def offer(descriptor: int, size: int, token: bytes) -> bytes:
    """Memory to be opened."""
    return _OFFER.pack(OFFER << 24, descriptor, size, token)


def read(notice: bytes | memoryview) -> tuple[int, int]:
    """A whole notice's kind, and the number beside it."""
    (head,) = _SHORT.unpack_from(notice)
    return head >> 24, head & (NUMBER_LIMIT - 1)


def read_place(notice: bytes | memoryview) -> tuple[int, tuple[int, ...], bytes]:
    """Where what a ``PLACE`` tells of lies; the lengths of its bodies and the head of their frame,
    if it is not a whole one.
    """
    _, offset, count, _ = _PLACE.unpack_from(notice)
    head = _PLACE.size + count * _LENGTH_BYTES
    return offset, struct.unpack_from(f">{count}I", notice, _PLACE.size), bytes(notice[head:])


def read_offer(notice: bytes | memoryview) -> Offer:
    """What an ``OFFER`` says."""
    return Offer(*_OFFER.unpack(notice)[1:])
