"""Members' values as people and programs read them: text for a line, JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..lettering import is_seen

_compact = json.JSONEncoder(ensure_ascii=False).encode
"""One for all: ``json.dumps`` makes one at each call, which is most of what a short value takes."""

DECIMAL_BITS = 4096
"""Larger numbers are not written as decimals, which takes ever longer and is refused in the end."""


def plain(value: Any) -> Any:
    """A value that JSON can hold.

    Bytes become base64, a datetime its ISO form, tuples and sets lists, a float that is no number
    null, a number of over a thousand digits hexadecimal text, keys that are no texts their JSON.
    """
    if isinstance(value, int):
        return value if value.bit_length() <= DECIMAL_BITS else hex(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else _key(key): plain(each) for key, each in value.items()
        }
    if isinstance(value, set | frozenset):
        return sorted((plain(each) for each in value), key=dumped)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, str | float) else str(value)


def _key(key: Any) -> str:
    return str(plain(key)) if type(key) is int else dumped(key)


def dumped(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON in which nothing can disturb a terminal."""
    held = plain(value)
    made = json.dumps(held, ensure_ascii=False, indent=indent) if indent else _compact(held)
    return made if made.isprintable() else made.translate(_IN_JSON)


def parsed(text: str) -> Any:
    """What a text means as JSON; itself where it is none."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return text


def _no_number(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON, but Python's


def text_of(value: Any) -> str:
    """A value as text: a str as it is, bytes decoded as far as they are UTF-8, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return dumped(value)


class _InJson(dict[int, str]):
    """What each character is written as, by its number, for ``str.translate``: made when it is
    met; those below ``KEPT`` are kept, which are nearly all. Line ends are the document's own.
    """

    KEPT = 0x3100

    def __missing__(self, number: int) -> str:
        character = chr(number)
        if character != "\n" and not is_seen(character):
            character = json.dumps(character)[1:-1]
        if number < self.KEPT:
            self[number] = character
        return character


_IN_JSON = _InJson()
