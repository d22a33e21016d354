"""What the other end of a socket says of memory that both have: places, credit, offers."""

from __future__ import annotations

import os
from collections.abc import Callable

from meshcluster.protocols import memfd
from meshcluster.protocols.ring import Ring
from meshcluster.wire import notices
from meshcluster.wire.codec import encode_frame
from meshcluster.wire.frames import Ack, Batch, Event, Events, Part, Question
from meshcluster.wire.split import decode_any
from meshcluster.wire.splitter import HEADER, Splitter

from ..dialects import FRAMED, LENGTHS, Dialect, items
from ..target import Target, counted

LIMIT = 4096
PLACES = (0, 1, LIMIT, memfd.RING_BYTES - 1, 2**32 - 1)
WORDS = tuple(place.to_bytes(4, "big") for place in PLACES)


def reader() -> Callable[[bytes], object]:
    """Reads streams of frames and notices, with the same memory each time."""
    said: list[bytes] = []
    theirs, ours = Ring(os.getpid(), said.append), Ring(os.getpid(), said.append)
    theirs.place(bytes(LIMIT))  # which offers memory
    ours.take(memoryview(said.pop()), LIMIT)
    theirs.take(memoryview(said.pop()), LIMIT)  # which closes what it was offered by

    def take(data: bytes) -> object:
        splitter, found = Splitter(LIMIT), []
        splitter.noticed = ours.take
        splitter.buffer()[: len(data)] = data
        count = len(data)
        try:
            while frames := splitter.advance(count):
                for frame in frames:
                    found.append(decode_any(frame))
                    assert len(frame) <= 2 * LIMIT
                count = 0
        finally:
            if ours.owed:
                ours.credit()
        return found

    return take


def _place(frame: Events | Batch | Part, *lengths: int, offset: int = 0) -> bytes:
    return notices.place(sum(lengths), offset, lengths, encode_frame(frame))


def _frame(frame: Ack | Events) -> bytes:
    data = encode_frame(frame)
    return HEADER.pack(len(data)) + data


SAID = (
    _place(Events(1, 0, 0, [Event(0, 1, b"")]), 1000),
    _place(Events(1, 0, 0, [Event(0, 1, b""), Event(0, 1, b"s"), Event(1, 2, b"")]), 7, 9),
    _place(Batch(2, 1, 0, [Question(5, 0, 1, b"")]), LIMIT, offset=memfd.RING_BYTES - LIMIT),
    _place(Part(3, 1, 0, False, Event(0, 1, b""), 5, b""), 300),
    notices.place(40, 0), notices.credit(1), notices.answer(opened=True),
    notices.answer(opened=False), notices.offer(3, memfd.RING_BYTES, bytes(16)),
    _frame(Ack(1, 2)),
    _frame(Ack(1, 2)) + _place(Events(1, 0, 0, [Event(0, 1, b"")]), 10) + _frame(Ack(3, 4)),
)  # fmt: skip


def _parts(data: bytes) -> list[tuple[int, int]]:
    head = data.find(b"\x95")  # where a frame begins
    return [*((begin, begin + 4) for begin in range(0, min(len(data), 24), 4)), *items(data, head)]


TARGETS = (
    Target(
        "shared", "a stream with notices of memory that both ends have",
        reader, lambda: SAID, Dialect(_parts, (*LENGTHS, *WORDS), FRAMED.wrap),
        reason=counted, costs=8,
    ),
)  # fmt: skip
