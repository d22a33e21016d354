"""What travels between a caller and its worker: a line that says what, and so many bytes.

    KIND NUMBER LENGTH [MICROSECONDS]\n
    LENGTH bytes

All that any language needs to be a worker is to read a line and some bytes. NUMBER is the task's,
as decimal digits, or 0; docs/ssh.md has each kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

# From the caller.
RUN = b"run"
CALL = b"call"
EACH = b"each"
CANCEL = b"cancel"
RECALL = b"recall"
PING = b"ping"
LIMIT = b"limit"
BYE = b"bye"
# From the worker.
HELLO = b"meshcluster-worker"
DONE = b"done"
PART = b"part"
RAISED = b"raised"
CANCELLED = b"cancelled"
UNBEGUN = b"unbegun"
OUT = b"out"
ERR = b"err"
PONG = b"pong"

PROTOCOL = 1
LINE_BYTES = 64
"""No line of a frame is longer."""
BODY_BYTES = 1 << 30
"""No body is longer: 1 GiB."""


class FramingError(ValueError):
    """Bytes that no caller and no worker sends: whoever wrote them is not to be heard further."""


class Frame(NamedTuple):
    """One that came."""

    kind: bytes
    number: int
    body: bytes
    micros: int
    """How long the task took, where the worker says so; else 0."""


def frame(kind: bytes, number: int = 0, body: bytes = b"", micros: int = 0) -> bytes:
    """One as bytes."""
    if micros:
        return b"%s %d %d %d\n%s" % (kind, number, len(body), micros, body)
    return b"%s %d %d\n%s" % (kind, number, len(body), body)


class Splitter:
    """Cuts what comes into frames. ``body_bytes`` is the longest body taken."""

    def __init__(self, body_bytes: int = BODY_BYTES) -> None:
        self._body_bytes = body_bytes
        self._rest = bytearray()
        self._wanted = 0
        """So many bytes are needed before there is anything new to see."""

    @property
    def rest(self) -> bytes:
        """What came and is no whole frame yet."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole by now.

        Raises:
            FramingError: what came is no frame.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, self._wanted = 0, 0
        while at < len(data):
            end = data.find(b"\n", at, at + LINE_BYTES)
            if end < 0:
                if len(data) - at >= LINE_BYTES:
                    raise FramingError(f"no frame: {bytes(data[at : at + LINE_BYTES])!r}")
                break
            kind, number, length, micros = self._line(data[at:end])
            body_end = end + 1 + length
            if body_end > len(data):
                self._wanted = body_end - at
                break
            yield Frame(kind, number, data[end + 1 : body_end], micros)
            at = body_end
        self._rest += data[at:]

    def _line(self, line: bytes) -> tuple[bytes, int, int, int]:
        words = line.split(b" ")
        if not 3 <= len(words) <= 4 or not all(word.isdigit() for word in words[1:]):
            raise FramingError(f"no frame: {line!r}")
        number, length = int(words[1]), int(words[2])
        if length > self._body_bytes:
            raise FramingError(f"{length} bytes at once, of {self._body_bytes} allowed")
        return words[0], number, length, int(words[3]) if len(words) == 4 else 0
