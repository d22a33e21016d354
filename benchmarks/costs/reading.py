"""A small dataclass, as programs send it."""

from __future__ import annotations

from dataclasses import dataclass

BODY = bytes(range(64))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a thermometer says."""

    place: str
    number: int
    degrees: float
    steady: bool
