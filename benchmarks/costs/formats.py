"""What other encodings make of a message: JSON, protobuf and bpacket, by their own rules.

Only lengths are wanted, and each rule takes a few lines, so nothing need be installed for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Field = int | str | bytes | bool | Sequence[str]
"""What a message holds under a name."""


def as_json(fields: Mapping[str, Field]) -> bytes:
    """Without a space, and with a line's end that ends it; bytes as text, which they are here."""
    plain = {k: v.decode() if isinstance(v, bytes) else v for k, v in fields.items()}
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def as_protobuf(fields: Mapping[str, Field]) -> bytes:
    """proto3, fields numbered in order, behind the length that a stream needs. Zeros and empty
    values are left out; a list of texts is a repeated field.
    """
    body = b"".join(_proto(number, value) for number, value in enumerate(fields.values(), 1))
    return varint(len(body)) + body


def _proto(number: int, value: Field) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value) if value else b""
    if isinstance(value, str | bytes):
        raw = _bytes(value)
        return varint(number << 3 | 2) + varint(len(raw)) + raw if raw else b""
    return b"".join(varint(number << 3 | 2) + varint(len(each)) + _bytes(each) for each in value)


def as_bpacket(fields: Mapping[int, Field]) -> bytes:
    """As tcl-cluster frames it: ``C0 8D``, the length, fields by the numbers of its template,
    ``00 00``.
    """
    body = b"".join(varint(number) + _bpacket(value) for number, value in fields.items())
    return b"\xc0\x8d" + varint(len(body)) + body + b"\0\0"


def _bpacket(value: Field) -> bytes:
    if isinstance(value, bool):
        return bytes([value])
    if isinstance(value, int):
        return varint(value)
    if isinstance(value, str | bytes):
        return varint(len(_bytes(value))) + _bytes(value)
    return varint(len(value)) + b"".join(_bpacket(each) for each in value)


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first: the same in protobuf and in bpacket."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
