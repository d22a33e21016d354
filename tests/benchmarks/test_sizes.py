"""Sizes are those of what really travels, and of what others would make of it."""

import os
import socket
import struct

import psutil
import pytest

from benchmarks.costs.formats import as_bpacket, as_json, as_protobuf, varint
from benchmarks.parts import PARTS, sizes
from benchmarks.settings import Settings
from meshcluster import AsyncCluster

QUESTIONS = 50
SENT = struct.Struct("120xQQ")
"""Where Linux says in TCP_INFO how many bytes the other end has, and how many came."""


def by_kind():
    (table,) = PARTS["sizes"](Settings())
    return {row.name: row for row in table.rows}


def test_a_varint_takes_seven_bits_a_byte():
    assert (varint(0), varint(127), varint(300)) == (b"\0", b"\x7f", b"\xac\x02")


def test_protobuf_leaves_out_what_is_empty_and_says_its_length():
    assert as_protobuf({"a": 150, "b": 0, "c": b"hi"}) == b"\x07\x08\x96\x01\x1a\x02hi"


def test_protobuf_is_as_long_as_its_own_library_makes_it():
    wrappers = pytest.importorskip("google.protobuf.wrappers_pb2")
    for value in (b"", b"x", bytes(300)):
        made = wrappers.BytesValue(value=value).SerializeToString()
        assert as_protobuf({"value": value}) == varint(len(made)) + made


def test_bpacket_is_what_tcl_cluster_sends():
    heartbeat = {
        4: "ZXRame3e", 3: "02:fc:00:00:aa:01", 1: 1, 2: 0, 7: ("t", "c"), 5: 0,
    }  # fmt: skip
    assert len(as_bpacket(heartbeat)) == 46
    assert as_bpacket({}) == b"\xc0\x8d\0\0\0"


def test_json_has_no_space():
    assert as_json({"a": 1, "b": b"x"}) == b'{"a":1,"b":"x"}\n'


@pytest.mark.parametrize("kind", [sizes.QUERIES, sizes.RESPONSES])
def test_queries_and_responses_are_smaller_than_all_that_says_who_speaks(kind):
    row = by_kind()[kind]
    others = [row.also[head] for head in ("JSON, alone", "protobuf, alone", "bpacket")]
    assert row.median < min(others)
    assert row.goal == min(row.also.values())


def carried():
    """How many bytes our one link has carried each way, told at one of its ends."""
    connections = psutil.Process().net_connections("tcp")
    number = next(each.fd for each in connections if each.status == psutil.CONN_ESTABLISHED)
    with socket.socket(fileno=os.dup(number)) as end:
        return SENT.unpack(end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SENT.size))


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the system counts no bytes")
async def test_a_link_carries_what_the_table_says(beacon_port):
    settings = {"cluster": "sizes", "port": beacon_port, "protocols": ["tcp"]}
    answering = AsyncCluster()
    answering.hook("query")(lambda question: sizes.ANSWER)
    async with answering.join(**settings), AsyncCluster().join(**settings) as asking:
        services = await asking.wait_for_services()
        await asking.query(sizes.DATA, services=services)
        before = carried()
        for _ in range(QUESTIONS):
            await asking.query(sizes.DATA, services=services)
        after = carried()
    rows = by_kind()
    frames = [rows[kind].median + sizes.TAG_BYTES for kind in (sizes.QUERIES, sizes.RESPONSES)]
    each = sorted((now - then) / QUESTIONS for then, now in zip(before, after, strict=True))
    assert each == pytest.approx(sorted(frames), abs=8)  # numbers are smaller, some go alone
