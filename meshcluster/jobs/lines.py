"""``Lines``: the lines of what comes in pieces."""

from __future__ import annotations

LONGEST_BYTES = 1 << 16
"""A longer line is given in parts."""


class Lines:
    """Takes the bytes of one stream, gives its lines as text without their ends."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > LONGEST_BYTES:
            whole.append(rest[:LONGEST_BYTES])
            rest = rest[LONGEST_BYTES:]
        self._rest = rest
        return [_text(line) for line in whole]

    def end(self) -> list[str]:
        """The last line, where it has no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "backslashreplace")
