"""The members as users see them: all in the order of their discovery, or by the words they have.

Changed in the loop, one member at a time, so that a change costs the same in a mesh of ten and of
ten thousand; read from any thread. A reader copies a table in one step of the interpreter, which no
change can come between, and nothing is copied again until something changes.
"""

from __future__ import annotations

from itertools import count

from .. import resolver as resolving
from ..model import Service

Having = Service | dict[int, Service]
"""Who has a word. Most are one member's (names, ids), and need no table."""

Resolved = dict[str | tuple[str, ...], tuple[Service, ...]]

RESOLVED = 1024
"""Answers kept between two changes."""


class Directory:
    """Members by number (in the order of discovery), by key and by word."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._members: dict[int, Service] = {}
        self._having: dict[str, Having] = {}
        self._next = count()
        self.resolved: Resolved = {}
        """What ``resolve`` found since the last change. Each change makes another one."""
        self._all: tuple[Resolved, tuple[Service, ...]] = self.resolved, ()
        """All of them, and since which change."""

    def __len__(self) -> int:
        return len(self._members)

    # --- changes, in the loop ------------------------------------------------------------------

    def put(self, service: Service) -> None:
        """A member was discovered, or says something new of itself."""
        number = self._numbers.get(service.key)
        if number is None:
            number = self._numbers[service.key] = next(self._next)
            before: frozenset[str] = frozenset()
        else:
            before = self._members[number].listed_words()
        words = service.listed_words()
        for word in before - words:
            self._take_out(word, number)
        self._members[number] = service
        for word in words:
            self._put_in(word, number, service)
        self._changed()

    def remove(self, service: Service) -> None:
        """A member is gone."""
        number = self._numbers.pop(service.key, None)
        if number is not None:
            for word in self._members.pop(number).listed_words():
                self._take_out(word, number)
            self._changed()

    def _put_in(self, word: str, number: int, service: Service) -> None:
        having = self._having.get(word)
        if isinstance(having, dict):
            having[number] = service
        elif having is None or having.key == service.key:
            self._having[word] = service
        else:
            self._having[word] = {self._numbers[having.key]: having, number: service}

    def _take_out(self, word: str, number: int) -> None:
        having = self._having[word]
        if isinstance(having, dict):
            del having[number]
        if not isinstance(having, dict) or not having:
            del self._having[word]

    def _changed(self) -> None:
        self.resolved = {}  # last: what was found in between is thrown away

    # --- looking, from any thread --------------------------------------------------------------

    @property
    def services(self) -> tuple[Service, ...]:
        """All, in the order of their discovery."""
        since, everybody = self._all
        resolved = self.resolved  # before what is copied
        if since is not resolved:
            everybody = tuple(self._members.copy().values())
            self._all = resolved, everybody
        return everybody

    def resolve(self, words: resolving.Words | None) -> tuple[Service, ...]:
        """Those that have every word.

        Raises:
            ConfigError: see ``resolver.words_of``.
        """
        key = words if isinstance(words, str) else resolving.words_of(words)
        resolved = self.resolved
        found = resolved.get(key)
        if found is None:
            found = self._find((key,) if isinstance(key, str) else key)
            if len(resolved) < RESOLVED:
                resolved[key] = found
        return found

    def _find(self, words: tuple[str, ...]) -> tuple[Service, ...]:
        if not words:
            return self.services
        tables = [self._having.get(word) for word in words]
        fewest = min(tables, key=_size)
        if fewest is None:
            return ()
        if not isinstance(fewest, dict):
            return resolving.resolve((fewest,), words)
        found = fewest.copy()
        in_order = [found[number] for number in sorted(found)]
        return tuple(in_order) if len(words) == 1 else resolving.resolve(in_order, words)


def _size(having: Having | None) -> int:
    if having is None:
        return 0
    return len(having) if isinstance(having, dict) else 1
