"""Another package's announcer, whose mistakes are its own: reported by its name, counted, and no
trouble of the member's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..config import is_ip
from ..errors import ConfigError, PluginError
from ..model import HERE, Address
from ..wire.txt import Record
from .base import Announcer, AnnouncerReceiver

logger = logging.getLogger("meshcluster.announcers")

OPEN_SECONDS = 5.0
"""No join waits longer for one."""

CLOSE_SECONDS = 1.0
"""No leave waits longer for one."""


class GuardedAnnouncer:
    """An ``Announcer`` that keeps what ``Announcer`` promises, whatever ``inner`` does.

    Made with the callable that makes it. Between its member and itself it also stands as the
    ``AnnouncerReceiver``: what is no datagram or no address goes no further, and after ``close``
    nothing does.
    """

    port = 0

    def __init__(self, name: str, make: Callable[[], Announcer]) -> None:
        self.name = name
        self._make = make
        self._inner: Any = None
        self._receiver: AnnouncerReceiver | None = None
        self._reported = False

    async def open(self) -> None:
        """Makes and opens it.

        Raises:
            ConfigError: as it says.
            PluginError: it broke, or took too long.
        """
        try:
            self._inner = self._make()
            async with asyncio.timeout(OPEN_SECONDS):
                await self._inner.open()
        except (ConfigError, PluginError):
            raise
        except Exception as error:  # a third party may raise anything
            text = f"announcer {self.name!r} cannot be opened: {error!r}"
            raise PluginError(text) from error

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to receive."""
        self._receiver = receiver
        self._call("start", self)

    def announce(self, data: bytes) -> None:
        """As it does."""
        self._call("announce", data)

    def reaches(self, address: Address) -> bool:
        """As it says, of the names that it brings: IP addresses have other ways."""
        return address[0].startswith(HERE) and self._call("reaches", address) is True

    def send(self, data: bytes, address: Address) -> None:
        """As it does."""
        self._call("send", data, address)

    def descriptors(self) -> Iterable[int]:
        """As it says."""
        return getattr(self._inner, "descriptors", tuple)()

    def forked(self) -> None:
        """As it does."""
        self._receiver = None
        getattr(self._inner, "forked", tuple)()

    def close(self) -> None:
        """As it does."""
        if self._inner is not None:
            self._call("close")
        self._receiver = None

    async def wait_closed(self) -> None:
        """As it does, for a moment."""
        wait = getattr(self._inner, "wait_closed", None)
        if wait is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await wait()
        except Exception as error:
            self._broke("wait_closed", error)

    def _call(self, name: str, *arguments: object) -> object:
        try:
            return getattr(self._inner, name)(*arguments)
        except Exception as error:
            self._broke(name, error)
            return None

    def _broke(self, name: str, error: Exception) -> None:
        self.dropped("broke")
        if not self._reported:
            self._reported = True
            logger.warning(
                "announcer %r broke in %s (further times are only counted); the other ways to be "
                "found are not affected", self.name, name, exc_info=error,
            )  # fmt: skip

    # --- what it brings ----------------------------------------------------------------------

    def datagram_received(self, data: bytes, source: Address) -> bool | None:
        """Hands on a datagram."""
        if self._receiver is None or not self._is_good(data, source):
            return None
        return self._receiver.datagram_received(bytes(data), source)

    def datagram_refused(self, address: Address) -> None:
        """Hands on a refusal."""
        if self._receiver is not None and self._is_good(b"", address):
            self._receiver.datagram_refused(address)

    def hinted(self, hint: Record | bytes, address: Address) -> None:
        """Hands on a hint."""
        if self._receiver is not None and self._is_good(hint, address):
            self._receiver.hinted(hint, address)

    def vanished(self, hint: Record | bytes) -> None:
        """Hands on that one was taken back."""
        if self._receiver is not None and self._is_good(hint, ("127.0.0.1", 0)):
            self._receiver.vanished(hint)

    def dropped(self, reason: str) -> None:
        """Counts under its name."""
        if self._receiver is not None:
            self._receiver.dropped(f"announcer {self.name}: {reason}")

    def known(self) -> Iterable[tuple[bytes, Address]]:
        """Who need not be looked for."""
        return () if self._receiver is None else self._receiver.known()

    def _is_good(self, data: object, address: object) -> bool:
        good = isinstance(data, bytes | bytearray | memoryview | Record) and _is_address(address)
        if not good:
            self.dropped("brought no datagram or no address")
        return good


def _is_address(address: object) -> bool:
    """Whether something is an address that others than ours may bring."""
    if not isinstance(address, tuple) or len(address) != 2:
        return False
    host, port = address
    if not isinstance(host, str) or not isinstance(port, int) or not 0 <= port < 65536:
        return False
    return host.startswith(HERE) or is_ip(host)
