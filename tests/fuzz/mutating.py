"""Makes hostile inputs of good ones: a million in a few seconds, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .dialects import Dialect, Span

BATCH = 64
"""Bases a batch; of each ``CHILDREN`` inputs are made."""

CHILDREN = 4
REPEATS = 200


class Mutator:
    """Mutates inputs of a ``pool``, which may be added to.

    A base is changed by its parts first; its children by bytes after that, where no part can be
    told any more.
    """

    def __init__(
        self, random: Random, pool: Sequence[bytes], dialect: Dialect, limit_bytes: int
    ) -> None:
        self._chance = random.random
        self._dialect = dialect
        self._limit = limit_bytes
        self._pool: list[tuple[bytes, list[Span]]] = []
        for data in pool:
            self.add(data)

    def add(self, data: bytes) -> None:
        """Another base."""
        self._pool.append((data, self._dialect.parts(data)))

    def batch(self) -> list[bytes]:
        """The next inputs."""
        limit, made = self._limit, []
        for _ in range(BATCH):
            base = self._by_parts()
            if len(base) > limit:
                base = base[:limit]
            made.append(base)
            for _ in range(CHILDREN - 1):
                child = self._by_bytes(base)
                made.append(child if len(child) <= limit else child[:limit])
        return made

    def _any(self) -> tuple[bytes, list[Span]]:
        return self._pool[int(self._chance() * len(self._pool))]

    def _token(self) -> bytes:
        tokens = self._dialect.tokens
        return tokens[int(self._chance() * len(tokens))]

    def _by_parts(self) -> bytes:
        data, spans = self._any()
        if not spans:
            return self._by_bytes(data)
        chance = self._chance
        begin, end = spans[int(chance() * len(spans))]
        part, way = data[begin:end], int(chance() * 10)
        if way < 3:
            part = self._token()
        elif way < 5:
            other, others = self._any()
            if others:
                first, last = others[int(chance() * len(others))]
                part = other[first:last]
        elif way == 5:
            part += part
        elif way == 6:
            part = b""
        elif way == 7:
            part = self._dialect.wrap(part, int(chance() * 35))
        elif way == 8:  # two parts change places
            first, last = spans[int(chance() * len(spans))]
            if end <= first:
                return b"".join(
                    (data[:begin], data[first:last], data[end:first], part, data[last:])
                )
        elif chance() < 0.1:
            part *= 1 + int(chance() * REPEATS)
        else:
            return data  # its children are damaged from the whole
        return data[:begin] + part + data[end:]

    def _by_bytes(self, data: bytes) -> bytes:
        chance = self._chance
        way, place = chance() * 10, int(chance() * len(data))
        if way < 3 and data:
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(chance() * 8)
            return bytes(damaged)
        if way < 5 and data:
            damaged = bytearray(data)
            damaged[place] = int(chance() * 256)
            return bytes(damaged)
        if way < 6:
            return data[:place]
        if way < 7:
            return data[:place] + data[place + 1 + int(chance() * 4) :]
        if way < 8:
            return data[:place] + self._token() + data[place:]
        if way < 9:
            other = self._any()[0]
            return data[:place] + other[int(chance() * len(other)) :]
        return data[:place] + bytes([int(chance() * 256)]) + data[place:]
