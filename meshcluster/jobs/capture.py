"""``Capture``: what is kept of what a command writes."""

from __future__ import annotations

from collections import deque

CAPTURE_BYTES = 1 << 16


class Capture:
    """The first of it, at most so many bytes; with ``tail`` half of them are the last of it."""

    def __init__(self, limit: int = CAPTURE_BYTES, *, tail: bool = False) -> None:
        self._head_room = limit - limit // 2 if tail else limit
        self._tail_room = limit - self._head_room
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.truncated = False

    def take(self, data: bytes) -> None:
        """Some more of it."""
        room = self._head_room - len(self._head)
        self._head += data[:room]
        rest = data[room:]
        if not rest:
            return
        if not self._tail_room:
            self.truncated = True
            return
        self._tail.append(rest[-self._tail_room :])
        self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_room:
            self._tail_bytes -= len(self._tail.popleft())
            self.truncated = True
        self.truncated = self.truncated or self._tail_bytes > self._tail_room

    @property
    def kept(self) -> bytes:
        """What was kept."""
        if not self._tail_room:
            return bytes(self._head)
        return bytes(self._head) + b"".join(self._tail)[-self._tail_room :]
