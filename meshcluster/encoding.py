"""Any value that can be sent as bytes, and back exactly as it was: to store it, or to sign it."""

from __future__ import annotations

from typing import Any

from .errors import DecodeError
from .wire.body import FORMS, decode, encode

_HEADS = {form: bytes([form]) for form in FORMS}


def dumps(value: object) -> bytes:
    """A value as bytes: anything that ``cluster.send`` takes.

    Raises:
        EncodeError: it holds something that would not come back as it was; the text names the
            place.
    """
    form, body = encode(value)
    return _HEADS[form] + body


def loads(data: bytes) -> Any:
    """The value that ``dumps`` made bytes of. Safe to use on bytes of strangers: it runs nothing. A
    dataclass or Struct comes as the dict of its fields.

    Raises:
        DecodeError: no such bytes.
    """
    if not data:
        raise DecodeError("no bytes, no value")
    return decode(data[0], data[1:])
