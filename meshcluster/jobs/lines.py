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
        found = [_text(part) for line in whole for part in _parts(line)]
        *full, self._rest = _parts(rest)
        return [*found, *map(_text, full)]

    def end(self) -> list[str]:
        """The last line, where it has no end."""
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _parts(line: bytes) -> list[bytes]:
    parts = []
    while len(line) > LONGEST_BYTES:
        cut = LONGEST_BYTES
        while cut > LONGEST_BYTES - 4 and line[cut] & 0xC0 == 0x80:  # inside a letter of UTF-8
            cut -= 1
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line]


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "backslashreplace")
