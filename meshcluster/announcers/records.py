"""The mDNS records that were seen, and when each is a reason to ask its member who it is.

A record outlives its member by up to an hour in caches, so those who do not answer are asked ever
less often; those who are known are not asked at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from ..model import Address
from ..wire.txt import Record

SEEN_RECORDS = 1024
"""Names that anybody on the network may make up; further ones are dropped and counted."""

ADDRESSES = 8
"""Of one record; the first ones."""

FIRST_RETRY_SECONDS = 2.0
LAST_RETRY_SECONDS = 30.0
"""Between two hints of one record whose member stays unknown: doubled from first to last."""


@dataclass(slots=True)
class Sighting:
    """One record. ``due``: when it is a hint (again) while its member is unknown."""

    record: Record
    addresses: tuple[str, ...]
    fresh: bool = True
    """Nobody was told of it since it changed."""
    tries: int = 0
    due: float = -inf


class Records:
    """Records by their instance name, bounded."""

    def __init__(self) -> None:
        self._seen: dict[str, Sighting] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def saw(self, name: str, record: Record, addresses: Sequence[str]) -> bool:
        """Takes a record, new or changed; False when the table is full."""
        kept = tuple(addresses[:ADDRESSES])
        known = self._seen.get(name)
        if known is None and len(self._seen) >= SEEN_RECORDS:
            return False
        if known is None or (known.record, known.addresses) != (record, kept):
            self._seen[name] = Sighting(record, kept)
        return True

    def removed(self, name: str) -> Record | None:
        """A record was taken back, or is too old; gives what it said."""
        sighting = self._seen.pop(name, None)
        return sighting.record if sighting else None

    def due(self, known: Collection[bytes], now: float) -> Iterator[tuple[Record, Address]]:
        """The hints to be given now, each with one of its addresses, another one each time.

        ``known``: the ids of the members.
        """
        for sighting in self._seen.values():
            if sighting.fresh or sighting.record.id not in known:
                if not sighting.fresh and now < sighting.due:
                    continue
                ip = sighting.addresses[sighting.tries % len(sighting.addresses)]
                wait = FIRST_RETRY_SECONDS * 2 ** min(sighting.tries // len(sighting.addresses), 8)
                sighting.due = now + min(wait, LAST_RETRY_SECONDS)
                sighting.fresh = False
                sighting.tries += 1
                yield sighting.record, (ip, sighting.record.port)
            else:
                sighting.tries, sighting.due = 0, now  # when it is lost, it is looked for at once
