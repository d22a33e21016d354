"""Listening to a group: what we send comes back, and whoever else is there is told apart."""

import sys

import pytest

import meshcluster
from meshcluster.announcers.groups import LOOPBACK_WAY
from meshcluster.cli.checks import GOOD, NOTE
from meshcluster.cli.hearing import Heard, Listening, Question, others, understood
from meshcluster.config import DEFAULT_ADDRESS
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
    question = Question("default")
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
    ours, other = others(datagrams, "a")
    assert (ours.subject, ours.state, ours.text) == ("cluster 'a'", GOOD, "2 members")
    assert (other.subject, other.state) == ("cluster 'b'", NOTE)
    assert other.text == "1 member of another mesh on this port"


def test_observers_and_who_has_left_are_no_members():
    left = encode_datagram(Leave("a", bytes(16), 1))
    (nobody,) = others(heard(Question("a").to_group(), Question("a").to_one(), left), "a")
    assert nobody.text == "no members heard"


def test_where_nobody_is_heard_the_next_step_is_to_look_at_a_peer():
    (nobody,) = others([], "a")
    assert (nobody.state, nobody.text) == (NOTE, "no members heard")
    assert "--peer" in nobody.next


def test_other_versions_and_strangers_are_noted():
    _, strangers, later = others(heard(b"mc\x05...", b"GET / HTTP/1.1"), "a")
    assert "version 5" in later.text
    assert "upgrade" in later.next
    assert "not ours, from 10.0.0.9" in strangers.text
    assert "--port" in strangers.next
