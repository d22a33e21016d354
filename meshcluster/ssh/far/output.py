"""``Output``: stands for a worker's ``sys.stdout`` or ``sys.stderr``, and gives lines away."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Callable

LINE_BYTES = 1 << 16
"""A line is given when it ends, or is so long."""


class _Lines(io.RawIOBase):
    def __init__(self, give: Callable[[bytes], None]) -> None:
        self._give = give
        self._owner = os.getpid()
        self.rest = bytearray()
        """What was written of a line that has not ended."""
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        if os.getpid() != self._owner:  # forked: it must not write among our frames
            return os.write(2, data)
        with self._lock:
            self.rest += data
            end = self.rest.rfind(b"\n") + 1
            if not end and len(self.rest) >= LINE_BYTES:
                end = len(self.rest)
            self._hand_over(end)
        return len(data)

    def flush(self) -> None:
        if os.getpid() == self._owner:
            with self._lock:
                self._hand_over(len(self.rest))

    def _hand_over(self, end: int) -> None:
        if end:
            data = bytes(self.rest[:end])
            del self.rest[:end]
            self._give(data)


class _Bytes(io.BufferedWriter):
    """Holds nothing back, so that what is printed is where it was printed."""

    def write(self, data: Any) -> int:
        return self.raw.write(data) or 0

    def flush(self) -> None:
        self.raw.flush()

    def close(self) -> None:
        self.flush()


class Output(io.TextIOWrapper):
    """A text file; ``give`` gets whole lines as bytes, as soon as they end; and what is left of one
    when it is flushed. It is never closed: the next task prints there, too. Programs that are given
    it write to the process's own standard error.
    """

    def __init__(self, give: Callable[[bytes], None]) -> None:
        self._lines = _Lines(give)
        super().__init__(_Bytes(self._lines), "utf-8", "backslashreplace", write_through=True)

    def fileno(self) -> int:
        """Of the standard error."""
        return 2

    def close(self) -> None:
        """Gives what is left of a line."""
        self.flush()

    def give_rest(self) -> None:
        """Gives what is left of a line, if anything is: most tasks print nothing."""
        if self._lines.rest:
            self.flush()
