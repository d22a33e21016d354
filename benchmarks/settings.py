"""How long and how often is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The same for all parts."""

    repeats: int = 5
    seconds: float = 1.0
    uvloop: bool = True
    idle_seconds: float = 60.0
    """How long those who do nothing are watched, all windows together."""
    peers: tuple[str, ...] = ()
    """Whom ``peers``, ``calls``, ``queues`` and ``ssh`` measure; nobody named is everybody."""
