"""Seeds are looked up here, each round anew: names on threads of their own, addresses at once.

Not by the event loop's own means: its threads would be the host program's, and a name service that
hangs would hold up the end of the program.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from ..config import is_ip
from ..errors import NotJoined
from ..model import Address
from ..node.effects import LookUp
from .workers import Workers

LOOKUP_THREADS = 2


class Lookups:
    """``found`` is told where seeds are and ``failed`` why one is nowhere, both in the event loop,
    which ``call_soon`` enters from any thread.
    """

    def __init__(
        self, found: Callable[[list[Address]], None], failed: Callable[[str, str], None],
        call_soon: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        self._found = found
        self._failed = failed
        self._call_soon = call_soon
        self._workers: Workers | None = None
        self._asked: set[Address] = set()
        """Names that the system has not answered yet: they are not asked for twice."""
        self._closed = False

    def begin(self, effect: LookUp) -> None:
        """Looks up all seeds of a round."""
        addresses = [seed for seed in effect.seeds if is_ip(seed[0])]
        if addresses:
            self._found(addresses)
        for seed in effect.seeds:
            if seed not in addresses and seed not in self._asked:
                self._asked.add(seed)
                self._workers = self._workers or Workers("meshcluster-seeds", LOOKUP_THREADS)
                self._workers.put(self._look_up, seed)

    def close(self) -> None:
        """Whatever is still found is not told."""
        self._closed = True
        if self._workers is not None:
            self._workers.close(0.0)

    def _look_up(self, seed: Address) -> None:
        """On a thread: asks the system, which may take long."""
        addresses: list[Address] = []
        trouble = "it has no address"
        with suppress(NotJoined):
            if self._closed:
                return
            try:
                for *_, address in socket.getaddrinfo(*seed, type=socket.SOCK_DGRAM):
                    addresses.append((str(address[0]), int(address[1])))
            except (OSError, UnicodeError) as error:
                trouble = str(error)
            self._call_soon(lambda: self._answered(seed, addresses, trouble))

    def _answered(self, seed: Address, addresses: list[Address], trouble: str) -> None:
        self._asked.discard(seed)
        if self._closed:
            return
        if addresses:
            self._found(addresses)
        else:
            self._failed(seed[0], trouble)
