"""A record makes its member one to be asked; it proves nothing, and ends nothing."""

from meshcluster.model import Endpoint
from meshcluster.node import effects as fx
from meshcluster.testing import Bench, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import Leave, Probe, Solicit
from meshcluster.wire.txt import cluster_word, record_of


def record(member, **changes):
    """The record of a member on the bench."""
    beacon = member.node._own.beacon(1)
    found = record_of(beacon, "group", port=member.address[1], ttl=1)
    return type(found)(**{f: changes.get(f, getattr(found, f)) for f in found.__struct_fields__})


def probes(bench):
    """Where it sent probes since the last look."""
    sent = bench.take(fx.SendDatagram)
    return [e.address for e in sent if isinstance(codec.decode_datagram(e.data), Probe)]


def test_a_hint_is_asked_and_an_answer_makes_two_members():
    one, other = Bench(1), Bench(2)
    one.node.hints.heard(record(other), other.address, 0.0)
    assert one.known == []
    (probe,) = one.datagrams()
    other.hear(one, probe, 0.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 0.0)
    assert one.known == ["n2"]
    (ack,) = one.datagrams()
    other.hear(one, ack, 0.0)
    assert other.known == ["n1"]


def test_a_record_whose_member_is_dead_is_forgotten():
    one, other = Bench(1), Bench(2)
    one.node.hints.heard(record(other), other.address, 0.0)
    for tenth in range(1, 50):
        one.node.advance(tenth / 10)
    assert one.node.peers.get(other.node.identity.key) is None


def test_a_record_does_not_keep_a_member_alive():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    lost = []
    for tenth in range(1, 80):
        one.node.hints.heard(record(other), other.address, tenth / 10)
        one.node.advance(tenth / 10)
        lost += one.take(fx.ServiceGone)
    assert len(lost) == 1


def test_the_record_of_a_member_moves_it_nowhere():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    one.node.hints.heard(record(other), ("10.0.0.99", 9), 0.0)
    assert probes(one) == []
    one.node.hints.heard(record(other, digest=b"new"), ("10.0.0.99", 9), 0.0)
    assert probes(one) == [other.address]


def test_a_record_taken_back_has_its_member_asked_not_lost():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    one.node.hints.vanished(record(other), 0.0)
    assert probes(one) == [other.address]
    assert one.known == ["n2"]
    one.node.hints.vanished(record(other, id=bytes(16)), 0.0)  # of a stranger: nothing


def test_the_bytes_that_a_member_announced_are_a_hint_as_well():
    one, other = Bench(1), Bench(2)
    beacon = codec.encode_datagram(other.node._own.beacon(1))
    one.node.hints.heard(beacon, other.address, 0.0)
    assert (one.known, probes(one)) == ([], [other.address])
    one = Bench(1)
    introduce(one, other)
    one.node.take_effects()
    one.node.hints.heard(beacon, other.address, 1.0)
    assert probes(one) == []
    one.node.hints.vanished(beacon, 1.0)
    assert (one.known, probes(one)) == (["n2"], [other.address])


def test_a_goodbye_that_is_found_has_its_member_asked():
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    me = other.node.identity
    goodbye = codec.encode_datagram(Leave("default", me.id, me.boot))
    one.node.hints.heard(goodbye, ("10.0.0.99", 9), 0.0)
    assert (one.known, probes(one)) == (["n2"], [other.address])


def test_bytes_that_are_no_announcement_are_counted():
    one, other = Bench(1), Bench(2)
    me = other.node.identity
    solicit = codec.encode_datagram(Solicit("default", me.id, me.boot, 1, 1, b"", True))
    for found in (b"\xc1", b"x" * 1201, solicit):
        one.node.hints.heard(found, other.address, 0.0)
        one.node.hints.vanished(found, 0.0)
    assert probes(one) == []
    assert sorted(one.dropped.values()) == [2, 2, 2]
    assert {"hints: oversized", "hints: of no member"} < one.dropped.keys()


def test_our_own_record_and_those_of_other_meshes_are_left_alone():
    one, other = Bench(1), Bench(2, cluster="other")
    one.node.hints.heard(record(one), one.address, 0.0)
    one.node.hints.heard(record(other), other.address, 0.0)
    assert probes(one) == []
    assert one.dropped == {"hints: of another cluster, or another secret": 1}
    assert record(other).cluster == cluster_word("other")


def test_at_ttl_0_only_this_host_is_asked():
    one, other = Bench(1, ttl=0), Bench(2, ttl=0)
    one.node.hints.heard(record(other), other.address, 0.0)
    assert probes(one) == []
    assert one.dropped == {"hints: from outside the scope": 1}
    one.node.hints.heard(record(other), ("127.0.0.1", 7), 0.0)
    assert probes(one) == [("127.0.0.1", 7)]


def test_details_too_large_for_a_datagram_come_by_the_endpoints_of_the_record():
    one, other = Bench(1), Bench(2, props={"much": "x" * 2000}, endpoints=[Endpoint("tcp", {})])
    one.node.hints.heard(record(other), other.address, 0.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 0.0)
    (reply,) = other.datagrams()
    assert reply.large
    one.hear(other, reply, 0.0)
    (dial,) = one.take(fx.DialEndpoint)
    assert dial.endpoint.scheme == "tcp"


def test_strangers_fill_the_table_to_its_limit():
    one, other = Bench(1), Bench(2)
    limit = one.node.config.limits.candidates
    for boot in range(1, limit + 3):
        one.node.hints.heard(record(other, boot=boot), other.address, 0.0)
    # In a mesh that looks large only a few are asked at all; nobody is taken beyond the limit.
    assert one.node.peers.strangers <= limit
