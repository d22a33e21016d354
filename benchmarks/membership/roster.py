"""All members of a played mesh by their numbers, so that a set of them is one integer."""

from __future__ import annotations

from meshcluster.model import Identity
from meshcluster.node.membership import Peer
from meshcluster.wire import codec
from meshcluster.wire.frames import Details, Entry


class Roster:
    """Who there is. Of a set (a *mask*), bit n says whether member n is in it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.addresses: list[str] = []
        self._numbers: dict[bytes, int] = {}
        self._prints: list[int] = []
        self._latest = 0, 0
        self.everybody = 0

    def add(self, identity: Identity, address: str, details: Details) -> int:
        """Takes one in; its number."""
        number = len(self.entries)
        self.entries.append(Entry(identity.id, identity.boot, address, details))
        self.addresses.append(address)
        self._numbers[identity.key] = number
        peer = Peer(identity.id, identity.boot, (address, details.port), 0.0)
        peer.digest = codec.digest(details)
        self._prints.append(peer.fingerprint)
        self.everybody |= 1 << number
        return number

    def __len__(self) -> int:
        return len(self.entries)

    def number(self, key: bytes) -> int:
        """Whose key that is."""
        return self._numbers[key]

    def mask(self, keys: list[bytes]) -> int:
        """The set of those with these keys."""
        marks = bytearray(len(self) // 8 + 1)
        for key in keys:
            number = self._numbers[key]
            marks[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(marks, "little")

    def fingerprint(self, mask: int) -> int:
        """What a real member with this view says of it."""
        known, found = self._latest
        if mask != known:
            for number in numbers(mask ^ known):
                found ^= self._prints[number]
            self._latest = mask, found
        return found

    def ring(self) -> list[int]:
        """All in the order of their keys."""
        return [self._numbers[key] for key in sorted(self._numbers)]


def numbers(mask: int) -> list[int]:
    """Who is in a set."""
    return [number for number, bit in enumerate(reversed(f"{mask:b}")) if bit == "1"]
