"""Keys that were chosen to have the same hash: a table of them takes time with their square.

Texts and bytes are hashed with a secret of the process, numbers of 64 bits have few doubles; but
tuples of small numbers and large numbers collide as often as one likes. A megabyte of those would
keep a process busy for a minute, in one call that nothing can interrupt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ..errors import DecodeError

LOOKED_AT_BYTES = 64 * 1024
"""Looking takes about as long as decoding; shorter values take a fifth of a second at worst."""

FEW = 256
"""So many colliding keys harm nobody."""

_ARRAYS = bytes([*range(0x90, 0xA0), 0xDC, 0xDD])
_HEADERS = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""By the first byte: bytes of the count, and items for each."""

_whole = msgspec.msgpack.Decoder(msgspec.Raw).decode
_apart = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_Leaf = bool | int | float | str | None
_flat = msgspec.msgpack.Decoder(list[_Leaf] | dict[_Leaf, _Leaf]).decode
_decode = msgspec.msgpack.Decoder().decode


def check_keys(data: bytes | bytearray | memoryview, *, above_bytes: int = LOOKED_AT_BYTES) -> None:
    """Refuses MessagePack with a map whose keys are arrays that collide, before it is decoded.

    Raises:
        DecodeError: there is one; or it is malformed, where it was looked into.
        msgspec.DecodeError: likewise.
    """
    if len(data) <= above_bytes:
        return
    if not _has_arrays(memoryview(data)):
        return
    _whole(data)  # what is malformed, or nested for ever, ends here: below is a copy for each map
    found = [memoryview(data)]
    while found:
        each = found.pop()
        begin, count, width = _header(each)
        if count * width > len(each):
            raise DecodeError("truncated")
        if not count or _is_flat(each):
            continue
        keys = []
        items = _apart(each) if width == 1 else _items(each[begin:], count * width)
        for number, part in enumerate(items):
            view = memoryview(part)
            if 0x80 <= view[0] <= 0x9F or view[0] in _HEADERS:
                found.append(view)
                if width == 2 and not number % 2:
                    keys.append(view)
        if len(keys) > FEW and collide(map(_key, keys)):
            raise DecodeError("keys that collide")


def _has_arrays(data: memoryview) -> bool:
    """Whether there may be more than a few; looked at in slices, since each is a copy."""
    seen = 0
    for begin in range(0, len(data), LOOKED_AT_BYTES):
        part = bytes(data[begin : begin + LOOKED_AT_BYTES])
        seen += len(part) - len(part.translate(None, _ARRAYS))
        if seen > FEW:
            return True
    return False


def _is_flat(container: memoryview) -> bool:
    """Whether there are only leaves in it, its keys included; most containers are such."""
    try:
        _flat(container)
    except msgspec.ValidationError:
        return False
    return True


def _items(data: memoryview, count: int) -> list[msgspec.Raw]:
    return _apart(b"\xdd" + count.to_bytes(4, "big") + data)


def _key(data: memoryview) -> object:
    """As a key it is hashable, or refused."""
    (key,) = _decode(b"\x81" + data + b"\xc0")
    return key


def collide(keys: Iterable[object]) -> bool:
    """Whether more than a few of these have one and the same hash.

    Raises:
        TypeError: one cannot be a key.
    """
    return max(Counter(map(hash, keys)).values(), default=0) > FEW


def _header(data: memoryview) -> tuple[int, int, int]:
    """Where the items of a container begin, how many there are, and how many items each is."""
    first = data[0]
    if first in _HEADERS:
        size, width = _HEADERS[first]
        return 1 + size, int.from_bytes(data[1 : 1 + size], "big"), width
    if 0x80 <= first <= 0x9F:
        return 1, first & 15, 2 if first < 0x90 else 1
    return 1, 0, 1
