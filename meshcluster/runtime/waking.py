"""How the loop hears that something was put into sessions: once for all, whoever puts."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from ..errors import NotJoined
from ..node.session import Session


class Waking:
    """Made in the loop. ``look`` is called there after a wake, and takes what was ``noticed``."""

    def __init__(self, look: Callable[[], None]) -> None:
        self.look = look
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.noticed: deque[Session] = deque()
        """The sessions that something was put into, each once: to be taken by ``look``."""
        self.asked = False
        """Somebody wants the loop to look, and it has not yet."""
        self.looks = False
        """The loop is at work and will look by itself, so that nobody in it needs to wake it."""

    @property
    def inside(self) -> bool:
        """Whether the caller is in the loop's thread."""
        return threading.get_ident() == self._thread

    def notice(self, session: Session) -> None:
        """Something was put into a session that was not ``awake`` (any thread)."""
        try:
            session.awake = True
            self.noticed.append(session)
            self.wake()
        except BaseException:  # Ctrl-C in this very moment must not silence the session for ever
            session.awake = self.asked = False
            raise

    def wake(self) -> None:
        """Has the loop look, once for all that is put until it gets to it (any thread).

        Raises:
            NotJoined: the loop is closed.
        """
        if self.asked:
            return
        self.asked = True
        if self.inside:
            if not self.looks:
                self._loop.call_soon(self.look)
            return
        try:
            self._loop.call_soon_threadsafe(self.look)
        except RuntimeError:
            raise NotJoined("the cluster was left") from None
