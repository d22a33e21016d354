"""A record says in one packet what a beacon says; what strangers publish is refused by reason."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.model import Endpoint
from meshcluster.wire.frames import Beacon
from meshcluster.wire.txt import (
    ENTRY_BYTES,
    TXT_BYTES,
    cluster_word,
    decode_txt,
    encode_txt,
    record_of,
    sealed_record,
)  # fmt: skip

GROUP = "239.255.77.67:27677"
TCP = Endpoint("tcp", {"port": 4000})


def record(cluster="default", endpoints=(TCP,)):
    beacon = Beacon(cluster, bytes(range(16)), 2**64 - 1, 7, b"12345678", tuple(endpoints))
    return record_of(beacon, GROUP, port=5000, ttl=1)


def travelled(record):
    """What arrives of a record: its entries as bytes."""
    return {key.encode(): value.encode() for key, value in encode_txt(record).items()}


def test_what_a_record_says_arrives():
    assert decode_txt(travelled(record())) == record()


def test_who_seals_tells_no_more_than_its_datagrams_do():
    sealed = sealed_record(bytes(range(16)), 2**64 - 1, b"keyi", GROUP, port=5000, ttl=1)
    assert decode_txt(travelled(sealed)) == sealed
    said = {"key": "6b657969", "group": GROUP, "id": bytes(range(16)).hex(), "udp": "5000"}
    assert encode_txt(sealed) == {"v": "1", "boot": str(2**64 - 1), "ttl": "1", **said}


@pytest.mark.parametrize("key", [b"", None, b"xyz", b"00" * 5, b"0"])
def test_a_key_that_is_none_is_refused(key):
    entries = travelled(sealed_record(bytes(16), 1, b"keyi", GROUP, port=5000, ttl=1))
    with pytest.raises(DecodeError, match="malformed"):
        decode_txt({**entries, b"key": key})


def test_it_can_be_read_by_people():
    assert encode_txt(record())["e1"] == '["tcp",{"port":4000}]'


def test_all_entries_fit_one_packet_whatever_there_is_to_say():
    long = [Endpoint("tcp", {"host": "x" * 150, "port": port}) for port in range(50)]
    entries = travelled(record("\N{GRINNING FACE}" * 64, long))
    sizes = [len(key) + 1 + len(value) for key, value in entries.items()]
    assert max(sizes) <= ENTRY_BYTES
    assert sum(sizes) + len(sizes) <= TXT_BYTES
    found = decode_txt(entries)
    assert found.cluster == cluster_word("\N{GRINNING FACE}" * 64)
    assert 0 < len(found.endpoints) < 50
    assert found.endpoints == tuple(long[: len(found.endpoints)])


def test_an_endpoint_too_long_for_an_entry_is_left_out():
    huge = Endpoint("tcp", {"host": "x" * 300})
    assert decode_txt(travelled(record(endpoints=[huge]))).endpoints == ()


def test_entries_of_other_names_are_not_looked_at():
    assert decode_txt({**travelled(record()), b"more": None, b"": b"\xff"}) == record()


@pytest.mark.parametrize("entries", [{}, {b"v": b"2"}, {b"v": None}])
def test_another_version_is_told_apart(entries):
    with pytest.raises(DecodeError, match=r"^of an unknown version"):
        decode_txt(entries)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"id", b"00"), (b"id", b"00" * 17), (b"id", b"zz" * 16), (b"id", None), (b"id", b"\xff"),
        (b"boot", b"-1"), (b"boot", b"9" * 5000), (b"boot", b"18446744073709551616"),
        (b"boot", b""), (b"version", b"x"), (b"digest", b"0"), (b"digest", b"00" * 33),
        (b"udp", b"0"), (b"udp", b"65536"), (b"ttl", b"256"), (b"cluster", b"\xff"),
        (b"e1", b""), (b"e1", b"{}"), (b"e1", b"[" * 250), (b"e1", b'["tcp",{"port":1.5}]'),
        (b"e1", b"\xff"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(key, value):
    with pytest.raises(DecodeError, match=r"^malformed: "):
        decode_txt({**travelled(record()), key: value})


@pytest.mark.parametrize("key", [key for key in travelled(record()) if key not in (b"v", b"e1")])
def test_what_is_missing_is_refused(key):
    entries = travelled(record())
    del entries[key]
    with pytest.raises(DecodeError, match=r"^malformed: "):
        decode_txt(entries)
