"""``Capture``: what is kept of what a command writes."""

from __future__ import annotations

CAPTURE_BYTES = 1 << 16


class Capture:
    """The first of it, at most so many bytes; with ``tail`` half of them are the last of it."""

    def __init__(self, limit: int = CAPTURE_BYTES, *, tail: bool = False) -> None:
        self._tail_room = limit // 2 if tail else 0
        self._head_room = limit - self._tail_room
        self._head = bytearray()
        self._tail = bytearray()
        self.truncated = False

    def take(self, data: bytes) -> None:
        """Some more of it."""
        room = self._head_room - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if (over := len(self._tail) - self._tail_room) > 0:
            del self._tail[:over]
            self.truncated = True

    @property
    def kept(self) -> bytes:
        """What was kept."""
        return bytes(self._head + self._tail)
