"""Leaving: what runs may end, what comes is turned away, and what did not end is told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .runners import Caller

if TYPE_CHECKING:
    from .driver import Driver

BEING_LEFT = "the cluster is being left: nothing new can be sent or asked"

NAMED = 5
"""So many members are named in the log; there may be thousands."""

logger = logging.getLogger("meshcluster")


class Leaving:
    """The time between the call of ``leave`` and the goodbye. ``callers``: the hooks that wait for
    it, which it therefore does not wait for.
    """

    def __init__(self, driver: Driver, caller: Caller) -> None:
        self._driver = driver
        self.callers = [caller]
        self.ended = asyncio.Event()
        """Set by the driver when it is ``over``."""
        self._observed = False

    @property
    def over(self) -> bool:
        """Nothing is to be waited for any more."""
        return (
            self._hooks_ended
            and len(self._driver.asking.unanswered) <= self.callers.count(Caller.RESPONDER)
            and self._driver.node.idle
        )

    @property
    def _hooks_ended(self) -> bool:
        return self._observed or Caller.OBSERVER in self.callers

    def _observers_ended(self) -> None:
        self._observed = True
        self._driver.step()

    async def wait(self, seconds: float) -> None:
        """Returns when all has ended, or after ``seconds``, and tells then what has not."""
        self._driver.runner.finish(self._observers_ended)
        self._driver.step()
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            self._tell(seconds)

    def _tell(self, seconds: float) -> None:
        driver = self._driver
        open_ends = []
        if unanswered := driver.asking.unanswered:
            driver.node.counters.count("questions not answered when we left", len(unanswered))
            asked = _names([service.name for service in unanswered])
            open_ends.append(f"{len(unanswered)} questions not answered ({asked})")
        if not self._hooks_ended:
            driver.node.counters.count("hooks that had not ended when we left")
            open_ends.append("hooks that had not ended")
        if undelivered := driver.sender.undelivered:
            told = _names([service.name for service in undelivered])
            open_ends.append(f"messages that nobody acknowledged ({told})")
        if open_ends:
            logger.warning("left after %g s with %s", seconds, ", ".join(open_ends))


def _names(names: list[str]) -> str:
    few = sorted(set(names))
    return ", ".join(few[:NAMED]) + (", ..." if len(few) > NAMED else "")
