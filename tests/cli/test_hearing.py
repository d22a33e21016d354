"""Listening to a group: what we send comes back, and whoever else is there is told apart."""

import sys

import pytest

import meshcluster
from meshcluster.announcers.groups import LOOPBACK_WAY
from meshcluster.cli.checks import GOOD, NOTE
from meshcluster.cli.hearing import Heard, Listening, Question, others, understood
from meshcluster.cli.keys import keys
from meshcluster.cli.options import Settings
from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.model import Identity
from meshcluster.runtime.host import runtime_dir
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.security.sealing import Seal
from meshcluster.wire.codec import encode_datagram
from meshcluster.wire.frames import Beacon, Leave, ProbeReply

linux = pytest.mark.skipif(sys.platform != "linux", reason="multicast on loopback is Linux's")


def beacon(cluster, member_id=bytes(16)):
    return encode_datagram(Beacon(cluster, member_id, 1, 1, b"", ()))


def heard(*datagrams):
    return [Heard(data, "10.0.0.9", True) for data in datagrams]


@linux
def test_our_own_datagram_comes_back(beacon_port):
    listening = Listening([LOOPBACK_WAY], DEFAULT_ADDRESS, beacon_port, 0)
    hearing = listening.run(b"anything", 10.0, until_own=True)
    assert hearing.troubles == {LOOPBACK_WAY: ""}
    assert hearing.heard == []


@linux
def test_a_member_answers_our_question_and_does_not_keep_us(beacon_port):
    question = Question("default", keys(Settings(), runtime_dir())[1])
    with meshcluster.join(port=beacon_port, name="there") as there:
        listening = Listening([LOOPBACK_WAY], DEFAULT_ADDRESS, beacon_port, 0)
        hearing = listening.run(question.to_group(), 1.0)
        assert there.services == ()
    replies = [found for each in hearing.heard if (found := question.reply(each.data))]
    assert {reply.details.name for reply in replies} == {"there"}
    assert not any(each.to_group for each in hearing.heard if question.reply(each.data))


def test_a_reply_to_somebody_else_is_not_ours():
    question = Question("default")
    other = ProbeReply("default", bytes(16), 1, 7, 0, None, True)
    assert question.reply(encode_datagram(other)) is None
    assert question.reply(b"noise") is None
    assert understood(question.to_one()).cluster == "default"


def test_members_are_counted_once_and_other_meshes_noted():
    one, two = bytes(16), bytes([1]) * 16
    datagrams = heard(beacon("a", one), beacon("a", one), beacon("a", two), beacon("b", one))
    ours, other = others(datagrams, Question("a"))
    assert (ours.subject, ours.state, ours.text) == ("cluster 'a'", GOOD, "2 members")
    assert (other.subject, other.state) == ("cluster 'b'", NOTE)
    assert other.text == "1 member of another mesh on this port"


def test_observers_and_who_has_left_are_no_members():
    left = encode_datagram(Leave("a", bytes(16), 1))
    (nobody,) = others(heard(Question("a").to_group(), Question("a").to_one(), left), Question("a"))
    assert nobody.text == "no members heard"


def test_where_nobody_is_heard_the_next_step_is_to_look_at_a_peer():
    (nobody,) = others([], Question("a"))
    assert (nobody.state, nobody.text) == (NOTE, "no members heard")
    assert "--peer" in nobody.next


def test_other_versions_and_strangers_are_noted():
    _, strangers, later = others(heard(b"mc\x05...", b"GET / HTTP/1.1"), Question("a"))
    assert "version 5" in later.text
    assert "upgrade" in later.next
    assert "not ours, from 10.0.0.9" in strangers.text
    assert "--port" in strangers.next


RING = Keyring([Key.of_bytes(bytes(32), "a")], is_secret=True)
WRONG = Keyring([Key.of_bytes(bytes([1]) * 32, "a")], is_secret=True)


def test_with_a_secret_it_asks_and_understands_what_is_sealed():
    asking, answering, stranger = Question("a", RING), Question("a", RING), Question("a", WRONG)
    assert understood(asking.to_one()) is None
    assert answering.understood(asking.to_one()).cluster == "a"
    assert stranger.understood(asking.to_group()) is None
    assert asking.understood(Question("a").to_one()) is None  # in the open
    assert asking.to_one() != asking.to_one()  # no number is used twice


@pytest.mark.parametrize("said", [Question("a"), Question("a", WRONG)])
def test_who_has_another_secret_or_none_is_told_of(said):
    ring = said.keyring
    me = Identity(b"m" * 16, 1, "n", "h")
    beacon = encode_datagram(Beacon("a", me.id, 1, 1, bytes(8), ()))
    data = beacon if ring is None else Seal(me).seal(ring.first, beacon)
    nobody, other = others(heard(data), Question("a", RING))
    assert "no members" in nobody.text
    assert (other.subject, other.state) == ("secret", "broken")
    assert ("another secret" in other.text) == (ring is not None)
    assert other.next
    (ours,) = others(heard(data), said)
    assert ours.text == "1 member"
