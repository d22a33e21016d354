"""Who is where: the peers that answer at an address, or are asked there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import Address

if TYPE_CHECKING:
    from .membership import Peer


class Addresses:
    """Peers by address. Most addresses are those of one, which needs no list."""

    def __init__(self) -> None:
        self._at: dict[Address, Peer | list[Peer]] = {}

    def add(self, peer: Peer, address: Address) -> None:
        """A peer is there. It may be in already."""
        there = self._at.get(address)
        if there is None:
            self._at[address] = peer
        elif isinstance(there, list):
            if peer not in there:
                there.append(peer)
        elif there is not peer:
            self._at[address] = [there, peer]

    def remove(self, peer: Peer, address: Address) -> None:
        """It is there no more. It may be out already."""
        there = self._at.get(address)
        if there is peer:
            del self._at[address]
        elif isinstance(there, list) and peer in there:
            there.remove(peer)
            if not there:
                del self._at[address]

    def at(self, address: Address) -> tuple[Peer, ...]:
        """Who is there."""
        there = self._at.get(address)
        if there is None:
            return ()
        return tuple(there) if isinstance(there, list) else (there,)

    def __len__(self) -> int:
        return len(self._at)
