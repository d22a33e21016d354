"""Tells when interfaces, their links or their addresses change, so that nobody needs a restart.

On Linux the kernel says so (rtnetlink, which needs no rights). Elsewhere whoever is told looks now
and then whether anything has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterable

SETTLE_SECONDS = 0.05
"""An interface that comes up says several things in a row: they are told together."""

POLL_SECONDS = 2.0
"""Between two looks where the system does not tell."""

_ROUTE = 0
_LINKS, _ADDRESSES_V4, _ADDRESSES_V6 = 0x1, 0x10, 0x100
_READ_BYTES = 65536


class InterfaceWatch:
    """Calls ``changed`` in the event loop when something may have changed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """From now on nothing is missed: ``start`` tells of what has changed since. To be called
        before whoever is told looks for the first time.
        """
        self._socket = _netlink()

    def start(self) -> None:
        """Begins to tell."""
        self._loop = asyncio.get_running_loop()
        if self._socket is not None:
            self._loop.add_reader(self._socket, self._told)
        else:
            self._later(POLL_SECONDS)

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of."""
        return [] if self._socket is None else [self._socket.fileno()]

    def close(self) -> None:
        """Stops. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._socket)
            self._socket.close()
        self._loop = self._timer = self._socket = None

    def _told(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # more was said than fits: something has changed
            self._socket.recv(_READ_BYTES)
        if self._timer is None:
            self._later(SETTLE_SECONDS)

    def _later(self, seconds: float) -> None:
        if self._loop is not None:
            self._timer = self._loop.call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._socket is None:
            self._later(POLL_SECONDS)
        self._changed()


def _netlink() -> socket.socket | None:
    """A socket on which the kernel tells of changes, or None where there is none."""
    if sys.platform != "linux":
        return None
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _ROUTE)
    try:
        made.bind((0, _LINKS | _ADDRESSES_V4 | _ADDRESSES_V6))
    except OSError:  # a sandbox may forbid it
        made.close()
        return None
    return made
