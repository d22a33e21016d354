"""Listening sockets before libzmq has them: nobody has connected yet, so nothing is loaded.

A member at rest costs no library, no thread and no memory for a protocol that nobody uses with it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence


class Waiting:
    """Bound, listening sockets, for members and for guests. ``called`` is called once, in the loop,
    when somebody connects to one of them.

    Whoever connects waits in the system's queue until they are taken.
    """

    def __init__(
        self, bound: Sequence[socket.socket], welcome: Sequence[socket.socket],
        called: Callable[[], None],
    ) -> None:  # fmt: skip
        self._bound, self._welcome = bound, welcome
        self._called = called
        self._loop = asyncio.get_running_loop()
        self._watched = self.descriptors()
        for each in self._watched:
            self._loop.add_reader(each, self._came)

    def _came(self) -> None:
        self._ignore()
        self._called()

    def _ignore(self) -> None:
        watched, self._watched = self._watched, []
        for each in watched:
            self._loop.remove_reader(each)

    def descriptors(self) -> list[int]:
        """The sockets, until they are taken."""
        return [each.fileno() for each in (*self._bound, *self._welcome)]

    def take(self) -> tuple[Sequence[socket.socket], Sequence[socket.socket]]:
        """The sockets for members and those for guests; the caller's from now on."""
        self._ignore()
        taken = self._bound, self._welcome
        self._bound, self._welcome = (), ()
        return taken

    def close(self) -> None:
        """Closes those that were not taken."""
        for group in self.take():
            for each in group:
                each.close()
