"""Cuts a byte stream into frames: four bytes of length (big-endian), then the frame.

One buffer a stream, reused: a small one until it is filled at once, for who only opens streams
shall cost little. A length over the limit is refused before anything is allocated, and a long
frame's buffer grows only as its bytes really arrive.

In place of a length may stand a notice (``notices.py``), where somebody takes them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ..errors import DecodeError
from .notices import MARK, size_of
from .split import Split

HEADER = struct.Struct(">I")
BUFFER_BYTES = 64 * 1024
FIRST_BYTES = 4 * 1024


class Splitter:
    """Write into ``buffer()``, then ``advance()``; frames are valid until the next ``buffer()``.

    ``limit_bytes`` may be raised while in use (after a link's hello). ``noticed`` takes notices
    and the limit, and gives the frames that they bring; None: a notice is an oversized frame.
    """

    __slots__ = ("_begin", "_bytes", "_end", "_filled", "_view", "limit_bytes", "noticed")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.noticed: Callable[[memoryview, int], bytes | Split | None] | None = None
        self._allocate(FIRST_BYTES)
        self._filled = False
        """All of the buffer was written into: the stream is a busy one."""
        self._begin = 0
        self._end = 0

    def _allocate(self, size: int) -> None:
        self._bytes = bytearray(size)
        self._view = memoryview(self._bytes)

    def buffer(self) -> memoryview:
        """Free room to receive into, never empty."""
        self._compact()
        return self._view[self._end :]

    def advance(self, count: int) -> list[memoryview | bytes | Split]:
        """Takes ``count`` bytes written into the buffer; returns the frames now complete.

        They end before a frame that is over ``limit_bytes``: the frames before it may raise the
        limit, so call again, with 0, once they are handled.

        Raises:
            DecodeError: the next frame is over ``limit_bytes``; the stream is useless from here.
        """
        view, begin, end = self._view, self._begin, self._end + count
        self._filled = end == len(view)
        frames: list[memoryview | bytes | Split] = []
        while end - begin >= HEADER.size:
            (length,) = HEADER.unpack_from(view, begin)
            if length > self.limit_bytes:
                if length >= MARK and self.noticed is not None:
                    stop = begin + size_of(view[begin:end])
                    if stop > end:
                        break
                    frame = self.noticed(view[begin:stop], self.limit_bytes)
                    if frame is not None:
                        frames.append(frame)
                    begin = stop
                    continue
                if frames:
                    break
                raise DecodeError(f"oversized frame: {length} bytes is over {self.limit_bytes}")
            stop = begin + HEADER.size + length
            if stop > end:
                break
            frames.append(view[begin + HEADER.size : stop])
            begin = stop
        self._begin, self._end = begin, end
        return frames

    def _compact(self) -> None:
        """Moves what is not consumed to the front; grows or shrinks the buffer where needed."""
        begin, left = self._begin, self._end - self._begin
        size, self._filled = self._room_for(left), False
        if size != len(self._bytes):
            kept = bytes(self._view[begin : begin + left])
            self._allocate(size)
            self._view[:left] = kept
        elif begin:
            self._view[:left] = self._view[begin : begin + left]
        self._begin, self._end = 0, left

    def _room_for(self, left: int) -> int:
        """Doubled when filled, up to the frame's own size: a lie costs what the liar sends."""
        size, needed = len(self._bytes), BUFFER_BYTES
        if left >= HEADER.size:
            (length,) = HEADER.unpack_from(self._view, self._begin)
            if length < MARK:
                needed = max(needed, HEADER.size + int(length))
        return min(needed, 2 * size if self._filled else size)
