"""What a program is told to do, as one JSON argument."""

from __future__ import annotations

from dataclasses import dataclass

PYTHON, BLOCKING, AWAITED, SOCKETS = "python", "blocking", "awaited", "sockets"
"""Kinds: a bare interpreter, our two faces, and a socket that is written to for each message."""

BYTES, AS_DICT, AS_TYPE = "bytes", "as a dict", "as a dataclass"
"""Values: 64 bytes, or a dataclass that the receiver reads in one of two ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One program's part."""

    role: str
    """The module of this package that plays it."""
    kind: str
    port: int
    """The mesh's own, for its beacons."""
    folder: str
    """The measurement's own."""
    mdns: bool = False
    rate: int = 0
    """Messages a second."""
    value: str = BYTES
    seconds: float = 1.0
    uvloop: bool = True
    """Whether uvloop may be used."""
