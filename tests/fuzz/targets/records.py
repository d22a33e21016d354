"""mDNS: a TXT as it came in a packet."""

from __future__ import annotations

from meshcluster.wire.txt import Record, decode_txt, encode_txt, record_of, sealed_record

from ..dialects import TXT, entry
from ..target import Target, counted
from .wire import DIGEST, ENDPOINTS, ID, f

TRUE = f.Beacon("default", ID, 1, 3, DIGEST, ENDPOINTS)


def read(data: bytes) -> object:
    """Cut into entries as RFC 6763 says (the first of a name counts); what it says is told."""
    found: dict[bytes, bytes | None] = {}
    place = 0
    while place < len(data):
        end = place + 1 + data[place]
        key, equals, value = data[place + 1 : end].partition(b"=")
        found.setdefault(key, value if equals else None)
        place = end
    record = decode_txt(found)
    told = encode_txt(record)
    assert (
        sum(2 + len(key) + len(value.encode()) for key, value in told.items()) <= len(data) + 2000
    )
    return record


GROUP = "239.255.77.67:27677"


def of(beacon: f.Beacon) -> bytes:
    return packed(record_of(beacon, GROUP, port=4000, ttl=1))


def packed(record: Record) -> bytes:
    return b"".join(entry(f"{key}={value}".encode()) for key, value in encode_txt(record).items())


def seeds() -> list[bytes]:
    long = f.Beacon("x" * 500, ID, 2**64 - 1, 0, b"", ENDPOINTS * 4)
    sealed = packed(sealed_record(ID, 1, b"keys", GROUP, port=4000, ttl=1))
    plain = [of(TRUE), of(long), of(f.Beacon("", ID, 0, 0, b"", ()))]
    return [sealed, *plain, entry(b"v=1"), entry(b"v=2"), b""]


TARGETS = (
    Target(
        "txt", "`decode_txt`: an mDNS record's TXT", lambda: read, seeds, TXT, reason=counted,
        limit_bytes=1300,
    ),
)  # fmt: skip
