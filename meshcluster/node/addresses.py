"""Who is where: the peers that answer at an address, or are asked there; or have a name."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .membership import Peer


class Addresses:
    """Peers by address (or name). Most are those of one, which needs no list."""

    def __init__(self) -> None:
        self._at: dict[Hashable, Peer | list[Peer]] = {}

    def add(self, peer: Peer, address: Hashable) -> None:
        """A peer is there. It may be in already."""
        there = self._at.get(address)
        if there is None:
            self._at[address] = peer
        elif isinstance(there, list):
            if peer not in there:
                there.append(peer)
        elif there is not peer:
            self._at[address] = [there, peer]

    def remove(self, peer: Peer, address: Hashable) -> None:
        """It is there no more. It may be out already."""
        there = self._at.get(address)
        if there is peer:
            del self._at[address]
        elif isinstance(there, list) and peer in there:
            there.remove(peer)
            if not there:
                del self._at[address]

    def at(self, address: Hashable) -> tuple[Peer, ...]:
        """Who is there."""
        there = self._at.get(address)
        if there is None:
            return ()
        return tuple(there) if isinstance(there, list) else (there,)

    def __len__(self) -> int:
        return len(self._at)
