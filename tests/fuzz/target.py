"""What is fed, with what, and what it may say to that."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshcluster.errors import DecodeError

from .dialects import Dialect

Take = Callable[[bytes], object]
"""Reads one input; raises what the target may raise, or ``AssertionError`` when what it read is
not what it may be.
"""


_VALUES = re.compile(r"'.*'|\"[^\"]*\"|0x\w+|-?\d+", re.DOTALL)


def counted(text: str) -> str:
    """The reason that members count under: what stands before the colon."""
    return text.partition(":")[0]


def told(text: str) -> str:
    """What people read, without the values in it."""
    return _VALUES.sub("..", text)[:50].partition(":")[0]


@dataclass(frozen=True)
class Target:
    """One parser. ``open`` makes one that has seen nothing yet.

    ``costs``: CI feeds it one input where it feeds cheap ones so many; whole members are fed so
    much less at any time.
    """

    name: str
    about: str
    open: Callable[[], Take]
    seeds: Callable[[], Sequence[bytes]]
    dialect: Dialect
    refuses: tuple[type[Exception], ...] = (DecodeError,)
    reason: Callable[[str], str] = told
    limit_bytes: int = 1200
    costs: int = 1

    @property
    def stateful(self) -> bool:
        """It remembers what it was fed, and refuses nothing: it is a whole member."""
        return not self.refuses
