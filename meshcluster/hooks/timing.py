"""Notes the interceptors that are slow: they run inside the member and hold it up.

The clock is handed in; a registry without one measures nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from .chain import Function, name_of

SLOW_SECONDS = 0.05
"""Longer than this, the loop stands still while other members wait for it."""

MAX_NAMES = 1024
"""Functions counted by name; further ones are counted together."""

logger = logging.getLogger("meshcluster.hooks")


class Timing:
    """Runs functions and counts the slow ones by name. ``lock`` guards the counts: ``send`` hooks
    run in many threads.
    """

    def __init__(
        self, clock: Callable[[], float], lock: AbstractContextManager[object] | None = None
    ) -> None:
        self._clock = clock
        self._lock = lock or nullcontext()
        self._counts: dict[str, int] = {}

    def call(self, function: Function, argument: object) -> Any:
        """What the function returns or raises; two looks at the clock."""
        begun = self._clock()
        try:
            return function(argument)
        finally:
            seconds = self._clock() - begun
            if seconds > SLOW_SECONDS:
                self._note(name_of(function), seconds)

    def _note(self, name: str, seconds: float) -> None:
        with self._lock:
            if name not in self._counts and len(self._counts) >= MAX_NAMES:
                name = "further hooks"
            count = self._counts[name] = self._counts.get(name, 0) + 1
        if count == 1:
            logger.warning(
                "%s took %.0f ms; what runs inside the member should take less than %.0f ms "
                "(further times are only counted, in slow_hooks)",
                name, seconds * 1000, SLOW_SECONDS * 1000,
            )  # fmt: skip

    def as_dict(self) -> dict[str, int]:
        """How often each was slow, sorted by name. A copy."""
        with self._lock:
            return dict(sorted(self._counts.items()))
