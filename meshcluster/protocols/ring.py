"""Large frames between two processes of one user: written into memory that both map.

Each direction has a ring of its own, made by its sender when the first large frame goes, so links
without large frames cost nothing. On the socket goes the frame's place, in its turn among other
frames; the receiver copies the bytes out, hands them on as any frame, and gives credit with what it
sends next. While there is no ring yet, or no room in it, a frame goes by the socket.

The memory holds nothing but frames. What is said of it is said on the socket and checked; what
lies in it may change while it is read, so it is copied before anybody looks at it.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from enum import Enum, auto

from ..errors import DecodeError
from ..wire import notices
from ..wire.room import Room
from ..wire.split import SPLIT_BYTES, Split
from . import memfd

LARGE_BYTES = SPLIT_BYTES
"""Shorter frames go by the socket, joined with others."""


class _Out(Enum):
    NONE = auto()
    OFFERED = auto()
    OPEN = auto()
    REFUSED = auto()


class Ring:
    """Both directions of one link. ``write`` sends bytes on the socket at once."""

    def __init__(self, pid: int, write: Callable[[bytes], object]) -> None:
        self._pid = pid
        self._write = write
        self._state = _Out.NONE
        self._memory: memfd.Memory | None = None
        self._room = Room(memfd.RING_BYTES)
        self._theirs: mmap.mmap | None = None
        self._view = memoryview(b"")
        self.owed = 0
        """Frames copied out for which no credit was given."""
        self._owed_bytes = 0

    # --- out ---------------------------------------------------------------------------------

    def place(self, frame: bytes | Split) -> bytes | None:
        """Writes a frame, or the body of one, into the ring; gives the notice that goes in its
        stead. None: it has to go by the socket.
        """
        if self._state is not _Out.OPEN:
            if self._state is _Out.NONE:
                self._offer()
            return None
        bodies: Sequence[bytes]
        bodies, head = (frame.bodies, frame.head) if isinstance(frame, Split) else ((frame,), b"")
        lengths = [len(body) for body in bodies]
        size = sum(lengths)
        begin = self._room.take(size)
        if begin is None:
            return None
        assert self._memory is not None
        view, offset = self._memory.view, begin
        for body, length in zip(bodies, lengths, strict=True):
            view[offset : offset + length] = body
            offset += length
        return notices.place(size, begin, lengths if head else (), head)

    def _offer(self) -> None:
        self._state = _Out.REFUSED
        if not memfd.AVAILABLE:
            return
        try:
            self._memory = memory = memfd.Memory()
        except (OSError, ValueError):  # no memory, no descriptor: as where there is none
            return
        self._state = _Out.OFFERED
        self._write(notices.offer(memory.descriptor, memfd.RING_BYTES, memory.token))

    def _answered(self, opened: int) -> None:
        memory = self._memory
        if self._state is not _Out.OFFERED or memory is None:
            raise DecodeError("an answer to no offer")
        if opened:
            memory.close()
            self._state = _Out.OPEN
        else:
            self._state = _Out.REFUSED
            self._memory = None
            memory.unmap()

    # --- in ----------------------------------------------------------------------------------

    def take(self, notice: memoryview, limit_bytes: int) -> bytes | Split | None:
        """Takes a notice; gives the frame that it brings, if any.

        Raises:
            DecodeError: the other end may not say that.
        """
        kind, number = notices.read(notice)
        if kind == notices.PLACE:
            return self._placed(notice, number, limit_bytes)
        if kind == notices.CREDIT:
            self._room.give_back(number)
        elif kind == notices.ANSWER:
            self._answered(number)
        else:
            self._offered(notices.read_offer(notice))
        return None

    def _placed(self, notice: memoryview, size: int, limit_bytes: int) -> bytes | Split:
        offset, lengths, head = notices.read_place(notice)
        if not 0 < size <= limit_bytes:
            raise DecodeError(f"oversized frame: {size} bytes is over {limit_bytes}")
        if offset + size > len(self._view):
            raise DecodeError("a frame outside of the memory that is shared")
        if bool(lengths) != bool(head) or (lengths and sum(lengths) != size):
            raise DecodeError("bodies that are not what their frame has")
        self.owed += 1
        self._owed_bytes += size
        if self._owed_bytes > len(self._view):
            raise DecodeError("more frames than the memory holds that is shared")
        view, bodies = self._view, list[bytes]()
        for length in lengths or (size,):
            bodies.append(bytes(view[offset : offset + length]))
            offset += length
        return Split(head, bodies) if head else bodies[0]

    def _offered(self, offer: notices.Offer) -> None:
        if self._theirs is not None:
            raise DecodeError("a second offer of memory")
        self._theirs = memfd.opened(self._pid, offer)
        if self._theirs is not None:
            self._view = memoryview(self._theirs)
        self._write(notices.answer(opened=self._theirs is not None))

    @property
    def credit_urgent(self) -> bool:
        """So much is owed that it should not wait for something that goes back."""
        return self._owed_bytes > len(self._view) // 4

    def credit(self) -> bytes:
        """The notice for all that is owed."""
        count, self.owed, self._owed_bytes = self.owed, 0, 0
        return notices.credit(count)

    # --- the end -----------------------------------------------------------------------------

    def descriptor(self) -> int:
        """The one that waits to be opened, or -1."""
        return -1 if self._memory is None else self._memory.descriptor

    def close(self) -> None:
        """Lets go of both memories."""
        memory, self._memory = self._memory, None
        theirs, self._theirs = self._theirs, None
        self._state = _Out.REFUSED
        if memory is not None:
            memory.unmap()
        self._view.release()
        self._view = memoryview(b"")
        if theirs is not None:
            theirs.close()
