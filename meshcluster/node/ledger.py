"""How many bytes a member holds for others: what waits to be sent, and what is not acknowledged.

Bodies of up to ``LARGE_BODY_BYTES`` that wait are not counted: their number is bounded, and so is
what they need. A body that many receivers share is one object, and counted once.

There is no lock: who sends only adds to one number, and the loop to another. If two threads do
that in the very same step a message may be missed; nothing else depends on it.
"""

from __future__ import annotations

from ..wire.frames import AnyMessage


class Ledger:
    """The bytes of all sessions of a node."""

    __slots__ = ("_gone", "_put", "_shared", "frames")

    def __init__(self) -> None:
        self._put = 0
        self._gone = 0
        self._shared: dict[int, int] = {}
        """How many sessions still hold a message that several got, by its ``id``."""
        self.frames = 0
        """Bytes of frames that were sent and are not acknowledged; the loop's."""

    @property
    def held_bytes(self) -> int:
        """All that is counted (any thread)."""
        return self._put - self._gone + self.frames

    def share(self, message: AnyMessage, sessions: int) -> None:
        """So many sessions are about to be given this message (any thread)."""
        self._shared[id(message)] = sessions
        self._put += len(message.body)

    def put(self, message: AnyMessage, size: int) -> None:
        """A session was given a message with a body of ``size`` bytes (any thread)."""
        if id(message) not in self._shared:
            self._put += size

    def gone(self, message: AnyMessage, size: int) -> None:
        """A session does not hold it any more; in the loop only."""
        left = self._shared.get(id(message), 1) if self._shared else 1
        if left > 1:
            self._shared[id(message)] = left - 1
        else:
            if self._shared:
                self._shared.pop(id(message), None)
            self._gone += size
