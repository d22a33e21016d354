"""Where the parts of an input are, and what a liar puts in their place.

A part is cut out, doubled, wrapped or replaced as a whole, so that most of what is made is well
formed around the lie and is read to the place where it matters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec.msgpack import Ext

Span = tuple[int, int]
MOST_PARTS = 400
_pack = msgspec.msgpack.encode


class Dialect(NamedTuple):
    """``parts`` finds the spans of an input; ``tokens`` are put in their place; ``wrap`` makes a
    part the inside of another one.
    """

    parts: Callable[[bytes], list[Span]]
    tokens: tuple[bytes, ...]
    wrap: Callable[[bytes, int], bytes]


# --- MessagePack ---

_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8,
          0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9,
          0xD8: 17}  # fmt: skip
_SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1),
          0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}  # fmt: skip
"""By the first byte: how many bytes of length follow, and how many of type."""
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def items(data: bytes, begin: int = 0) -> list[Span]:
    """Every item of MessagePack, outer ones before those inside; what is malformed ends it."""
    found: list[Span] = []
    place = begin
    while place < len(data) and len(found) < MOST_PARTS:
        end = _item(data, place, found, 0)
        if end is None:
            break
        place = end
    return found


def _item(data: bytes, place: int, found: list[Span], depth: int) -> int | None:
    if place >= len(data) or depth > 40 or len(found) >= MOST_PARTS:
        return None
    first, end, inside = data[place], place + 1, 0
    if 0x80 <= first <= 0x9F:
        inside = (first & 15) * (2 if first < 0x90 else 1)
    elif 0xA0 <= first <= 0xBF:
        end += first & 31
    elif first in _COUNTED:
        width, each = _COUNTED[first]
        inside = int.from_bytes(data[end : end + width], "big") * each
        end += width
    elif first in _SIZED:
        width, kind = _SIZED[first]
        end += width + kind + int.from_bytes(data[end : end + width], "big")
    else:
        end += _FIXED.get(first, 0)
    if end > len(data):
        return None
    mine = len(found)
    found.append((place, end))
    for _ in range(inside):
        after = _item(data, end, found, depth + 1)
        if after is None:
            return None
        end = after
    found[mine] = (place, end)
    return end


def wrapped(part: bytes, way: int) -> bytes:
    """A part in a list, many times in a list, as a key, as a value, in an extension, in bytes."""
    match way % 6:
        case 0:
            return b"\x91" + part
        case 1:
            return b"\x81" + part + b"\1"
        case 2:
            return b"\x81\1" + part
        case 3:
            return b"\xc9" + len(part).to_bytes(4, "big") + bytes([1 + way % 7]) + part
        case 4:
            times = 2 + way
            return b"\xdc" + times.to_bytes(2, "big") + part * times
        case _:
            return b"\xc6" + len(part).to_bytes(4, "big") + part


def _dated(*told: object) -> bytes:
    return _pack(Ext(4, _pack(told)))


LIES = (
    *(_pack(n) for n in (0, 1, -1, -33, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32, 2**53)),
    *(_pack(n) for n in (2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63))),
    *(_pack(n) for n in (0.0, -0.0, 1.5, 1e308, float("nan"), float("inf"), -float("inf"))),
    b"\xca\x7f\xc0\x00\x00",  # no number, in 32 bits
    b"\xc0", b"\xc1", b"\xc2", b"\xc3",
    b"\x80", b"\x90", b"\xa0", b"\xc4\0",
    *(_pack(t) for t in ("a", "x" * 64, "x" * 65, "\x1b[2J", "\0", "é🦊", "\u202e", "127.0.0.1")),
    *(_pack(t) for t in ("fe80::1%eth0", "::1", "10.0.0.2", "999.1.1.1", "unix:x", "here:x")),
    b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xa2\xc0\x80", b"\xa1\xc3",  # no UTF-8, a lone surrogate
    _pack(b""), _pack(b"\2" * 16), _pack(b"\1" * 16), _pack(bytes(15)), _pack(bytes(17)),
    b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xde\xff\xff", b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\1",
    b"\x91" * 70 + b"\xc0", b"\x81\1" * 70 + b"\xc0", b"\x91" * 1100 + b"\xc0",
    *(b"\x91" * n + b"\xc0" for n in (20, 140, 300, 700, 900, 930, 950, 960, 970, 980, 990)),
    *(b"\x81\1" * n + b"\xc0" for n in (140, 300, 440, 470, 490)),
    b"\x82\xa1a\1\xa1a\2", b"\x82\1\1\1\1", b"\x81\x91\1\2", b"\x81\x80\1", b"\x81\xd4\1\2\3",
    b"\xd4\1\x90", b"\xd4\5\0", b"\xd6\xff\0\0\0\0", b"\xd7\xff" + b"\xff" * 8,  # a timestamp
    b"\xc7\x0c\xff" + b"\xff" * 12,
    _pack(Ext(3, b"\x7f" * 1900)),  # more digits than Python converts
    *(_pack(Ext(code,
    inside)) for code in (0, 1, 2, 3, 4, 5, 6, 127, -1) for inside in (b"", b"\1")),
    _pack(Ext(2, _pack([1, 1.0, True]))), _pack(Ext(2, _pack([[1], {}]))),
    _pack(Ext(5, _pack([[1, 2], [1, 3]]))), _pack(Ext(5, _pack([[1]]))),
    _pack(Ext(3, b"\x80" * 40)),
    _dated("2024-01-01T12:00:00", 0, "", ""), _dated("2024-03-31T02:30:00", 1, "", "Europe/Berlin"),
    _dated("9999-12-31T23:59:59.999999", 9, "-86399999999", ""), _dated("0001-01-01", 0, "9" * 25,
    ""),
    _dated("2024-01-01", 0, "", "../etc/passwd"), _dated("2024-01-01", 0, "", "Mars/Olympus"),
    _dated("2024-01-01", 0, "", "Europe"), _dated("2024-W01-1", 0, "", "\0"), _dated("", -1, "x",
    ""),
    _dated("2024-01-01T00:00:00+24:00", 0, "", ""), _dated("2024-01-01", 0, "0", "UTC"),
)  # fmt: skip

MESSAGEPACK = Dialect(items, LIES, wrapped)
DATAGRAM = Dialect(lambda data: items(data, 3), LIES, wrapped)
"""Behind the magic and the version."""


# --- texts ---


def words(data: bytes) -> list[Span]:
    """Runs of letters and digits, and what stands between them."""
    found, begin = [], 0
    for place in range(1, len(data) + 1):
        if place == len(data) or _sort(data[place]) != _sort(data[place - 1]):
            found.append((begin, place))
            begin = place
    return found[:MOST_PARTS]


def _sort(byte: int) -> int:
    return 1 if chr(byte).isalnum() or byte > 127 else byte


WORDS = Dialect(
    words,
    (
        b"", b" ", b":", b"::", b"[", b"]", b"%", b"/", b"!", b",", b"-", b"0", b"-1", b"+1",
        b"1_0",
        b"65535", b"65536", b"99999999999999999999999999", b"1e5", b"1e999", b"nan", b"inf",
        b"-inf",
        b"127.0.0.1", b"::1", b"fe80::1%eth0", b"1.2.3.4/33", b"/0", b"10.0.0.0/8", b"\0", b"\n",
        b"\x1b[2J", "\u0663".encode(), "\u202e\u200d".encode(), "é🦊".encode(), b"\xed\xa0\x80",
        b"\xff", b'"', b"\\", b'{"a":', b"}", b"[[[[", b"null", b"NaN", b"x" * 300, b"x.", b"\t",
    ),
    lambda part, way: (b"[" + part + b"]", b'"' + part + b'"', b"!" + part)[way % 3],
)  # fmt: skip


# --- bytes behind lengths ---


def framed(data: bytes) -> list[Span]:
    """Four bytes of length, then so many bytes: each frame, and each length by itself."""
    found, begin = [], 0
    while begin + 4 <= len(data) and len(found) < MOST_PARTS:
        (length,) = struct.unpack_from(">I", data, begin)
        end = min(begin + 4 + length, len(data))
        found += [(begin, end), (begin, begin + 4)]
        begin = end
    return found


LENGTHS = tuple(
    length.to_bytes(4, "big")
    for length in (0, 1, 2, 3, 4, 5, 255, 256, 4096, 65535, 65536, 65537, 2**24, 2**31, 2**32 - 1)
)
FRAMED = Dialect(framed, LENGTHS, lambda part, way: len(part).to_bytes(4, "big") + part)


def entries(data: bytes) -> list[Span]:
    """One byte of length, then so many bytes, as in a TXT record."""
    found, begin = [], 0
    while begin < len(data) and len(found) < MOST_PARTS:
        end = min(begin + 1 + data[begin], len(data))
        found += [(begin, end), (begin + 1, end)]
        begin = end
    return found


def entry(text: bytes) -> bytes:
    """An entry of a TXT record."""
    return bytes([len(text)]) + text


TXT = Dialect(
    entries,
    (
        *map(entry, (
            b"", b"v", b"v=", b"v=1", b"key",
b"key=00ff00ff",
b"key=0",
b"v=2", b"cluster", b"cluster=", b"cluster=\xff", b"group",
            b"id=", b"id=" + b"0" * 32, b"id=" + b"g" * 32, b"id=0 " * 6, b"boot=0", b"boot=-1",
            b"boot=" + b"9" * 20, b"boot=" + b"9" * 240, b"boot=\xd9\xa3", b"version=1_0",
            b"version",
            b"digest=", b"digest=" + b"ab" * 33, b"udp=0", b"udp=65536", b"udp=1", b"ttl=256",
            b"ttl=1", b'e1=["tcp",{"port":1}]', b'e1=["tcp",{"port":1e400}]', b"e1=" + b"[" * 250,
            b'e1=["tcp",{"a":1,"a":2}]', b'e1=["\\ud800",{}]', b"e1", b"e1=null", b"e2=[]", b"=",
            b"==",
        )),
        b"\xff", b"=", b"0", b"9" * 20, b"\xff\xfe", b"[", b"{}", b'"\\u0000"',
    ),
    lambda part, way: entry(part[:255]),
)  # fmt: skip
