"""What a member's mDNS record says of it: a TXT of ``key=value`` texts, all in one packet.

A record is what a beacon is, for those whom no beacon reaches: who, which run, what there is to
fetch, where to ask. Caches keep records, so one may be old: it is a hint and nothing more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from ..errors import DecodeError
from ..model import Endpoint
from . import codec
from .frames import Beacon

TXT_VERSION = "1"
ENTRY_BYTES = 255
"""A TXT entry is no longer, by RFC 6763."""

TXT_BYTES = 1000
"""All entries together, so that the records of a member fit one packet. Endpoints beyond are left
out: a probe's answer tells them."""

KEY_ID_BYTES = 4

CLUSTER_BYTES = 128
"""A longer name of a mesh is told by its hash."""

TXT_ENDPOINTS = 16
_DIGITS = 20  # of the largest boot number

_endpoints = msgspec.json.Decoder(Endpoint)


class Record(msgspec.Struct, frozen=True):
    """What a record says. ``cluster`` is the ``cluster_word`` of the mesh's name and ``group``
    where its beacons are sent: whom beacons keep apart, records do. ``port`` is the member's own
    UDP port, where it answers probes; ``ttl`` how far it wants to be known.

    A member that seals what it says tells no more here than ``group``, ``id``, ``boot``, ``port``,
    ``ttl`` and the ``key_id`` of its key: all of it stands on its datagrams anyway.
    """

    cluster: str
    group: str
    id: bytes
    boot: int
    details_version: int
    digest: bytes
    endpoints: tuple[Endpoint, ...]
    port: int
    ttl: int
    key_id: bytes = b""


def cluster_word(cluster: str) -> str:
    """The name of a mesh as records tell it."""
    data = cluster.encode()
    if len(data) <= CLUSTER_BYTES:
        return cluster
    return "#" + hashlib.blake2b(data, digest_size=16).hexdigest()


def record_of(beacon: Beacon, group: str, *, port: int, ttl: int) -> Record:
    """The record that tells what a beacon does."""
    return Record(
        cluster_word(beacon.cluster), group, beacon.id, beacon.boot, beacon.details_version,
        beacon.digest, beacon.endpoints, port, ttl,
    )  # fmt: skip


def sealed_record(
    member_id: bytes, boot: int, key_id: bytes, group: str, *, port: int, ttl: int
) -> Record:
    """The record of a member that seals what it says."""
    return Record("", group, member_id, boot, 0, b"", (), port, ttl, key_id)


def encode_txt(record: Record) -> dict[str, str]:
    """A record to the entries of its TXT, in order."""
    if record.key_id:
        return {
            "v": TXT_VERSION,
            "key": record.key_id.hex(),
            "group": record.group,
            "id": record.id.hex(),
            "boot": str(record.boot),
            "udp": str(record.port),
            "ttl": str(record.ttl),
        }
    entries = {
        "v": TXT_VERSION,
        "cluster": record.cluster,
        "group": record.group,
        "id": record.id.hex(),
        "boot": str(record.boot),
        "version": str(record.details_version),
        "digest": record.digest.hex(),
        "udp": str(record.port),
        "ttl": str(record.ttl),
    }
    room = TXT_BYTES - sum(len(key) + len(value.encode()) + 2 for key, value in entries.items())
    for number, endpoint in enumerate(record.endpoints[:TXT_ENDPOINTS], 1):
        key, value = f"e{number}", msgspec.json.encode(endpoint).decode()
        size = len(key) + len(value.encode()) + 2
        if size > min(room, ENTRY_BYTES + 1):
            break
        room -= size
        entries[key] = value
    return entries


def decode_txt(entries: Mapping[bytes, bytes | None]) -> Record:
    """The entries of a TXT to what they say; those of other names are not looked at.

    Raises:
        DecodeError: another version, or malformed; the text up to its colon is the reason under
            which it is counted.
    """
    if entries.get(b"v") != TXT_VERSION.encode():
        raise DecodeError("of an unknown version")
    try:
        record = _sealed(entries) if b"key" in entries else _plain(entries)
    except (KeyError, ValueError, msgspec.DecodeError, RecursionError) as error:
        raise DecodeError(f"malformed: {error!r}") from None
    if len(record.id) != 16 or not record.port:
        raise DecodeError("malformed: no id or no port")
    codec.check_identity(record.id, record.boot)
    return record


def _sealed(entries: Mapping[bytes, bytes | None]) -> Record:
    key_id = _hex(entries[b"key"], KEY_ID_BYTES)
    if len(key_id) != KEY_ID_BYTES:
        raise ValueError("no id of a key")
    return sealed_record(
        _hex(entries[b"id"], 16),
        _number(entries[b"boot"], 2**64),
        key_id,
        (entries[b"group"] or b"").decode(),
        port=_number(entries[b"udp"], 65536),
        ttl=_number(entries[b"ttl"], 256),
    )


def _plain(entries: Mapping[bytes, bytes | None]) -> Record:
    return Record(
        cluster=(entries[b"cluster"] or b"").decode(),
        group=(entries[b"group"] or b"").decode(),
        id=_hex(entries[b"id"], 16),
        boot=_number(entries[b"boot"], 2**64),
        details_version=_number(entries[b"version"], 2**63),
        digest=_hex(entries[b"digest"], 32),
        endpoints=tuple(_listed_endpoints(entries)),
        port=_number(entries[b"udp"], 65536),
        ttl=_number(entries[b"ttl"], 256),
    )


def _listed_endpoints(entries: Mapping[bytes, bytes | None]) -> list[Endpoint]:
    found = []
    for number in range(1, TXT_ENDPOINTS + 1):
        entry = entries.get(f"e{number}".encode())
        if entry is None:
            break
        found.append(_endpoints.decode(entry))
    return found


def _hex(entry: bytes | None, most: int) -> bytes:
    if entry is None or len(entry) > 2 * most:
        raise ValueError("no hexadecimal number of that length")
    return bytes.fromhex(entry.decode("ascii"))


def _number(entry: bytes | None, beyond: int) -> int:
    if entry is None or not entry.isdigit() or len(entry) > _DIGITS or int(entry) >= beyond:
        raise ValueError("no number in its range")
    return int(entry)
