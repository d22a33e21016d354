"""Looking on behalf of others: a member that is not answered has a few others ask as well."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from random import Random

from ..model import Address
from ..wire.frames import ProbeRequest
from .membership import Peer

RELAYED = 256
"""Questions on behalf of others kept at a time; older ones are forgotten."""


class Relays:
    """Who wants to know what. ``ask`` asks a member with a number, ``sight`` tells somebody at an
    address that a member is alive, with the number that was told with the request.
    """

    def __init__(
        self, random: Random, ask: Callable[[Peer, int], None],
        sight: Callable[[Peer, int, Address], None],
    ) -> None:  # fmt: skip
        self._random = random
        self._ask = ask
        self._sight = sight
        self._open: OrderedDict[int, tuple[Address, bytes, int]] = OrderedDict()

    def asked(self, request: ProbeRequest, peer: Peer, by: Peer) -> None:
        """Another member wants us to look for one."""
        if peer.number > request.number:
            self._sight(peer, 0, by.address)
            return
        nonce = self._random.getrandbits(63) | 1
        self._open[nonce] = (by.address, peer.key, request.nonce)
        if len(self._open) > RELAYED:
            self._open.popitem(last=False)
        self._ask(peer, nonce)

    def answered(self, nonce: int, peer: Peer) -> bool:
        """Whether an answer is to a question of another member, which is told."""
        address, subject, theirs = self._open.pop(nonce, (("", 0), b"", 0))
        if subject == peer.key:
            self._sight(peer, theirs, address)
        return subject == peer.key

    def __len__(self) -> int:
        return len(self._open)
