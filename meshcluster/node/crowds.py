"""Who waits to be proven, by source: where there is no room for more, the crowded make it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Crowd(Generic[K]):
    """Keys in the order in which they came, each from a source (an IP address, or "" for here)."""

    def __init__(self) -> None:
        self._sources: dict[str, dict[K, None]] = {}
        self._source_of: dict[K, str] = {}

    def add(self, key: K, source: str) -> None:
        """One more waits. It may be in already: then it stays where it is."""
        if self._source_of.setdefault(key, source) == source:
            self._sources.setdefault(source, {})[key] = None

    def remove(self, key: K) -> None:
        """It waits no more. It may be out already."""
        source = self._source_of.pop(key, None)
        if source is not None:
            keys = self._sources[source]
            del keys[key]
            if not keys:
                del self._sources[source]

    def gives_way(self) -> K:
        """The oldest of the source that has the most: a flood from some sources puts out its own.

        Raises:
            ValueError: nobody waits.
        """
        most = max(len(keys) for keys in self._sources.values())
        crowded = next(keys for keys in self._sources.values() if len(keys) == most)
        return next(iter(crowded))

    def __len__(self) -> int:
        return len(self._source_of)

    def __contains__(self, key: K) -> bool:
        return key in self._source_of
