"""What a file says, read as what it must be: nothing in it is trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import ConfigError

T = TypeVar("T", bound=str)


class Reading:
    """A mapping as JSON has it. Each method reads one key and raises ``ConfigError`` where it is
    missing or not what it must be; the text names the place.

    Args:
        value: what should be the mapping.
        place: where it is, such as ``outcomes[3]``; "" at the top.
    """

    def __init__(self, value: Any, place: str) -> None:
        self._place = place
        if not isinstance(value, Mapping):
            raise ConfigError(f"{place or 'a report'} must be a mapping, not {_shown(value)}")
        self._value: Mapping[Any, Any] = value

    def wrong(self, key: str, wanted: str) -> ConfigError:
        """What to raise because of what a key has."""
        where = self._where(key)
        if key not in self._value:
            return ConfigError(f"{where} is missing: it must be {wanted}")
        return ConfigError(f"{where}={_shown(self._value[key])}: it must be {wanted}")

    def text(self, key: str) -> str:
        """A text."""
        value = self._value.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._list(key, "a list of texts")
        if not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts")
        return tuple(values)

    def one_of(self, key: str, known: Sequence[T]) -> T:
        """One of these texts."""
        value = self._value.get(key)
        for each in known:
            if isinstance(value, str) and value == each:
                return each
        raise self.wrong(key, f"one of {', '.join(known)}")

    def whole(self, key: str, least: int = 0) -> int:
        """A whole number."""
        value = self._value.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.wrong(key, f"a whole number of {least} or more")
        return value

    def status_or_none(self, key: str) -> int | None:
        """How a command ended: a whole number, negative for a signal; None where it says so, or
        nothing.
        """
        value = self._value.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(key, "a whole number")
        return value

    def seconds(self, key: str) -> float:
        """A number of seconds, 0 or more."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, "a number of seconds")
        if not 0 <= value < math.inf or value > MOST_SECONDS:
            raise self.wrong(key, "a number of seconds, 0 or more")
        return float(value)

    def seconds_or_none(self, key: str) -> float | None:
        """A number of seconds; None where it says so."""
        if key in self._value and self._value[key] is None:
            return None
        return self.seconds(key)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._value.get(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def mappings(self, key: str) -> Iterator[Reading]:
        """A list of mappings, one after the other."""
        for number, value in enumerate(self._list(key, "a list")):
            yield Reading(value, f"{self._where(key)}[{number}]")

    def _list(self, key: str, wanted: str) -> Sequence[Any]:
        value = self._value.get(key)
        if not isinstance(value, list | tuple):
            raise self.wrong(key, wanted)
        return value

    def _where(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key


def _shown(value: Any) -> str:
    """The beginning of what it is."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


MOST_SECONDS = 1e12
"""Since 1970, that is beyond the year 9999; no run takes longer either."""

SHOWN = 60
"""Characters of a wrong value in the text of an error."""
