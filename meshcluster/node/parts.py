"""Large messages in parts: cut by their sender, put together by their receiver.

A part is a numbered batch as the others, so whatever happens to the links no part is missing, twice
or overtaken. Parts of what is told (events and notes, in their order) and of what is asked or
answered come one among the other; within each of these two one message ends before the next begins.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from io import BytesIO

from msgspec.structs import replace

from ..errors import DecodeError
from ..wire.frames import AckedEvent, AnyMessage, Event, Note, Part

WHOLE_BYTES = 256 * 1024
"""A message with a larger body goes in parts."""

NEAR_WHOLE_BYTES = 1024 * 1024
"""The same for a process of our own user."""

PART_BYTES = 60 * 1024
"""With its frame and its length it fits the buffer that links read into (``Splitter``)."""

NEAR_PART_BYTES = 240 * 1024
"""To a process of our own user, for which it is copied and not sent."""

AHEAD_BYTES = 1024 * 1024
"""No part is sent while so much is not acknowledged: what is put meanwhile would wait behind it."""


_TOLD = frozenset({Event, Note, AckedEvent})


def is_asked(message: AnyMessage) -> bool:
    """Whether a message may pass those that are told, which keep their order."""
    return type(message) not in _TOLD


class Cut:
    """A message that goes in parts."""

    __slots__ = ("asked", "message", "offset")

    def __init__(self, message: AnyMessage) -> None:
        self.message = message
        self.asked = is_asked(message)
        self.offset = 0
        """How much of its body was sent."""

    @property
    def over(self) -> bool:
        """All of it was sent."""
        return self.offset >= len(self.message.body)

    def part(self, number: int, acked: int, taken: int, *, near: bool = False) -> Part:
        """The next part, under this number; ``near``: to a process of our own user."""
        body, begin = self.message.body, self.offset
        self.offset = end = min(begin + (NEAR_PART_BYTES if near else PART_BYTES), len(body))
        head = None if begin else replace(self.message, body=b"")
        return Part(number, acked, taken, self.asked, head, len(body) - end, body[begin:end])


class Cuts:
    """The messages of one sender that go in parts: at most one that is told, and those that are
    asked or answered, one after the other.
    """

    __slots__ = ("_ahead_bytes", "_asked", "_asked_next", "_sent", "told")

    def __init__(self) -> None:
        self.told: Cut | None = None
        self._asked: deque[Cut] = deque()
        self.begin()

    def begin(self) -> None:
        """Of parts that were sent nothing counts any more."""
        self._sent: deque[tuple[int, int, AnyMessage | None]] = deque()
        """Those not acknowledged: number, bytes, and the message that ends with it."""
        self._ahead_bytes = 0
        self._asked_next = False

    def __len__(self) -> int:
        """How many messages wait, or are under way (any thread)."""
        return len(self._asked) + (self.told is not None)

    def add(self, message: AnyMessage) -> None:
        """One more; of those that are told it is the only one."""
        cut = Cut(message)
        if cut.asked:
            self._asked.append(cut)
        else:
            self.told = cut

    def next(self) -> Cut | None:
        """Whose part is next, of what is told and of what is asked in turns; None: none may go."""
        if self._ahead_bytes >= AHEAD_BYTES:
            return None
        if self._asked and (self.told is None or self._asked_next):
            return self._asked[0]
        return self.told

    def sent(self, cut: Cut, number: int, size: int) -> None:
        """A part went under this number, as so many bytes."""
        self._asked_next = not cut.asked
        self._sent.append((number, size, cut.message if cut.over else None))
        self._ahead_bytes += size
        if cut.over:
            self.forget(cut)

    def forget(self, cut: Cut) -> None:
        """It is over, or taken back."""
        if cut is self.told:
            self.told = None
        else:
            self._asked.remove(cut)

    def acknowledged(self, acked: int) -> Iterator[AnyMessage]:
        """The messages of which all parts are acknowledged now."""
        while self._sent and self._sent[0][0] <= acked:
            _, size, whole = self._sent.popleft()
            self._ahead_bytes -= size
            if whole is not None:
                yield whole

    @property
    def ends(self) -> dict[int, AnyMessage | None]:
        """The parts that are not acknowledged, by number, and the message that ends with each."""
        return {number: whole for number, _, whole in self._sent}

    @property
    def unbegun(self) -> list[Cut]:
        """Those of which nothing was sent."""
        return [cut for cut in self._all if not cut.offset]

    def give_up(self, *, begun: bool) -> list[AnyMessage]:
        """Gives up all of them, or only those that have ``begun``."""
        given_up = [cut for cut in self._all if cut.offset or not begun]
        for cut in given_up:
            self.forget(cut)
        return [cut.message for cut in given_up]

    @property
    def _all(self) -> list[Cut]:
        return [*self._asked] if self.told is None else [self.told, *self._asked]


class _Half:
    """A message of which parts are missing."""

    __slots__ = ("body", "head", "left", "size")

    def __init__(self, head: AnyMessage) -> None:
        self.head = head
        self.body = BytesIO()  # grows with what comes, and gives its bytes away without a copy
        self.left = 0
        self.size = 0


class Arriving:
    """The messages of one sender of which parts have come, at most one of each kind."""

    __slots__ = ("_halves", "_limit")

    def __init__(self, message_bytes: int) -> None:
        self._limit = message_bytes
        self._halves: dict[bool, _Half] = {}

    def add(self, part: Part, size: int) -> tuple[AnyMessage, int] | None:
        """Takes a part that was a frame of ``size`` bytes; with the last one of a message gives
        that, and how many bytes its frames had.

        Raises:
            DecodeError: it is not the next part of anything, or of what may not be sent.
        """
        half = self._half(part)
        half.left = part.left
        half.size += size
        half.body.write(part.data)
        if part.left:
            return None
        del self._halves[part.asked]
        return replace(half.head, body=half.body.getvalue()), half.size

    def _half(self, part: Part) -> _Half:
        if not part.data:
            raise DecodeError("an empty part")
        half = self._halves.get(part.asked)
        if part.begins is None:
            if half is None:
                raise DecodeError("a part of no message")
            if part.left < 0 or part.left != half.left - len(part.data):
                raise DecodeError("a part that does not follow the one before")
        else:
            if half is not None:
                raise DecodeError("a part begins before the last message has ended")
            if is_asked(part.begins) is not part.asked or part.begins.body:
                raise DecodeError("a part begins no message")
            if part.left < 0 or part.left + len(part.data) > self._limit:
                raise DecodeError("an oversized message in parts")
            half = self._halves[part.asked] = _Half(part.begins)
        return half
