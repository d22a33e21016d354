"""What is still joined when the interpreter ends leaves then.

One entry in ``atexit`` for all: CPython keeps the slot of an entry that is taken out again.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import cache

_leaving: dict[Callable[[], None], None] = {}


def add(leave: Callable[[], None]) -> None:
    """Calls ``leave`` at the end, last added first; once, however often it is added."""
    _register()
    _leaving[leave] = None


def discard(leave: Callable[[], None]) -> None:
    """Does not, after all."""
    _leaving.pop(leave, None)


@cache
def _register() -> None:
    atexit.register(_leave_all)


def _leave_all() -> None:
    for leave in reversed(tuple(_leaving)):
        leave()
