"""Frames cut out of bytes: of a stream, at any places; of a ZeroMQ message."""

from __future__ import annotations

from itertools import pairwise

from meshcluster.errors import DecodeError
from meshcluster.protocols.zeromq.link import END, FRAMES, _frames
from meshcluster.wire.splitter import HEADER, Splitter

from ..dialects import FRAMED, LENGTHS, Dialect, framed
from ..target import Target, counted, told

LIMIT = 600


def split(data: bytes) -> object:
    """In four pieces, of which the first byte tells where they end; the frames are those that the
    format says.
    """
    first = data[0] if data else 0
    splitter, found, refused = Splitter(LIMIT), [], ""
    ends = (1, 1 + (first & 63), 2 + (first & 63), 2 + (first & 63) + (first >> 6), len(data))
    for begin, end in pairwise(ends):
        chunk = data[begin:end]
        count = len(chunk)
        splitter.buffer()[:count] = chunk
        while True:
            try:
                frames = splitter.advance(count)
            except DecodeError as error:
                refused = str(error)
                break
            if not frames:
                break
            found += map(bytes, frames)
            count = 0
        if refused:
            break
    assert (found, bool(refused)) == _said(data[1:])
    assert len(splitter.buffer()) <= 64 * 1024
    if refused:
        raise DecodeError(refused)
    return found


def _said(data: bytes) -> tuple[list[bytes], bool]:
    found, begin = [], 0
    while begin + HEADER.size <= len(data):
        (length,) = HEADER.unpack_from(data, begin)
        if length > LIMIT:
            return found, True
        if begin + HEADER.size + length > len(data):
            break
        begin += HEADER.size + length
        found.append(data[begin - length : begin])
    return found, False


def unpack(data: bytes) -> object:
    """A message over ZeroMQ, which is whole; what its frames hold is not more than came."""
    if data[:1] != FRAMES:
        if data == END:
            return "end"
        raise DecodeError("foreign message")
    found = [bytes(frame) for frame in _frames(data)]
    assert b"".join(HEADER.pack(len(frame)) + frame for frame in found) == data[1:]
    return found


def _stream(*frames: bytes) -> bytes:
    return b"".join(HEADER.pack(len(frame)) + frame for frame in frames)


STREAMS = (
    _stream(b"", b"one", b"", b"x" * 300), _stream(b"a" * 256, b"b" * 255),
    _stream(b"whole") + b"\0\0",
    _stream(b"over", b"y" * (LIMIT + 1)), _stream(b"short") + HEADER.pack(500) + b"z" * 100,
    b"\0\0\0",
)  # fmt: skip


def _behind_first(data: bytes) -> list[tuple[int, int]]:
    return [(begin + 1, end + 1) for begin, end in framed(data[1:])]


DIALECT = Dialect(_behind_first, LENGTHS, FRAMED.wrap)
TARGETS = (
    Target(
        "stream", "`Splitter`: a stream's bytes, in pieces of any size",
        lambda: split, lambda: [bytes([n]) + each for each in STREAMS for n in (0, 1, 70, 255)],
        DIALECT,
        reason=counted,
        costs=8,
    ),
    Target(
        "zeromq", "a ZeroMQ message's frames",
        lambda: unpack, lambda: [*(FRAMES + each for each in STREAMS), FRAMES, END, b"\2", b""],
        DIALECT,
        reason=told,
        costs=8,
    ),
)  # fmt: skip
