"""Guests: plain ZeroMQ programs that say something and get an answer, and are never members."""

import asyncio

import pytest
import zmq

import meshcluster
from meshcluster import ConfigError, NoRoute, NoServices

from .conftest import soon

PLAIN = {"zeromq": {"plain": True}}


@pytest.fixture
def guest():
    """`guest(port)` is a plain program with one REQ socket; `kind` may be another one."""
    context, made = zmq.Context(), []

    def guest(port, kind=zmq.REQ):
        made.append(context.socket(kind))
        made[-1].setsockopt(zmq.LINGER, 0)
        made[-1].setsockopt(zmq.RCVTIMEO, 10_000)
        made[-1].connect(f"tcp://127.0.0.1:{port}")
        return made[-1]

    yield guest
    for each in made:
        each.close(0)
    context.term()


@pytest.fixture
def member(beacon_port):
    with meshcluster.join(
        ["host"], port=beacon_port, protocols=["unix", "zeromq"], protocol_options=PLAIN
    ) as member:
        yield member


@pytest.fixture
def port(member, beacon_port):
    """Where guests are welcome, as other members see it."""
    with meshcluster.join(port=beacon_port) as other:
        (host,) = other.wait_for_services(resolve="host")
    return host.endpoints[1].props["plain"]


def test_a_guest_gets_what_the_hook_returns(member, port, guest):
    @member.hook("guest")
    def answer(message):
        return b"got " + message.data

    program = guest(port)
    for number in range(10):
        program.send(b"%d" % number)
        assert program.recv_multipart() == [b"ok", b"got %d" % number]


def test_a_guest_is_no_member_and_no_query_or_event_hook_hears_it(member, port, guest):
    others, seen = [], []
    member.hook("event")(others.append)
    member.hook("query")(others.append)

    @member.hook("guest")
    def answer(message):
        seen.append(message)
        return "text"

    program = guest(port)
    program.send(b"hello")
    assert program.recv_multipart() == [b"ok", b"text"]
    (message,) = seen
    assert (message.service.name, message.service.address) == ("guest", "127.0.0.1")
    assert message.protocol == "zeromq"
    assert message.service not in member.services
    assert others == []
    with pytest.raises((NoRoute, NoServices)):
        member.send("x", services=[message.service])


def test_a_dealer_may_send_without_the_empty_part_and_need_not_read(member, port, guest):
    @member.hook("guest")
    def answer(message):
        return message.data

    program = guest(port, zmq.DEALER)
    program.send_multipart([b"plain"])
    assert program.recv_multipart() == [b"ok", b"plain"]
    program.send_multipart([b"", b"like REQ"])
    assert program.recv_multipart() == [b"", b"ok", b"like REQ"]
    for _ in range(1000):
        program.send(b"unread")


def test_the_status_says_why_there_is_no_answer(member, port, guest):
    program = guest(port)
    program.send(b"anybody?")
    assert program.recv_multipart() == [b"none", b""]

    @member.hook("guest")
    def answer(message):
        if message.data == b"list":
            return [1, 2]
        raise ValueError("not this")

    program.send(b"this")
    assert program.recv_multipart() == [b"error", b"ValueError: not this"]
    program.send(b"list")
    status, why = program.recv_multipart()
    assert (status, b"bytes or text" in why) == (b"error", True)
    program.send_multipart([b"two", b"parts"])
    assert program.recv_multipart() == [b"error", b"one part is expected"]


def test_a_guest_that_speaks_as_members_do_is_a_guest(member, port, guest):
    """What opens a link on the members' port is a message like any other here."""
    from meshcluster.wire import codec

    heard = []
    member.hook("guest")(lambda message: heard.append(message.data) or b"")
    program = guest(port, zmq.DEALER)
    program.send_multipart([codec.preface()])
    assert program.recv_multipart() == [b"ok", b""]
    assert heard == [codec.preface()]
    assert not [reason for reason in member.dropped if reason.startswith("links")]


async def test_an_async_hook_answers(beacon_port, guest):
    cluster = meshcluster.AsyncCluster()

    @cluster.hook("guest")
    async def answer(message):
        await asyncio.sleep(0)
        return b"later"

    async with cluster.join(port=beacon_port, protocols=["zeromq"], protocol_options=PLAIN):
        (endpoint,) = cluster.joined.node.details.endpoints
        program = guest(endpoint.props["plain"])
        program.send(b"?")
        got = await soon(asyncio.to_thread(program.recv_multipart))
    assert got == [b"ok", b"later"]


async def test_too_many_at_once_are_told_to_come_again(make, guest):
    answers = []
    handler = make(ask=lambda remote, body, answer: answers.append(answer), plain=True)
    props = await handler.listen(lambda link: None)
    program = guest(props["plain"], zmq.DEALER)
    program.setsockopt(zmq.SNDHWM, 0)
    for _ in range(257):
        program.send(b"?")
    got = await soon(asyncio.to_thread(program.recv_multipart))
    assert got == [b"busy", b""]
    assert len(answers) == 256
    answers[0](b"ok", b"one")
    assert await soon(asyncio.to_thread(program.recv_multipart)) == [b"ok", b"one"]


def test_without_asking_for_it_there_are_no_guests(beacon_port):
    with (
        meshcluster.join(["host"], port=beacon_port, protocols=["zeromq"]),
        meshcluster.join(port=beacon_port) as other,
    ):
        (host,) = other.wait_for_services(resolve="host")
        (props,) = [each.props for each in host.endpoints if each.scheme == "zeromq"]
    assert "plain" not in props


def test_where_members_prove_who_they_are_there_are_no_guests(make):
    with pytest.raises(ConfigError, match="a mesh with a secret has none"):
        make(plain=True, ask=None)


async def test_their_port_can_be_chosen(make):
    handler = make(ask=lambda *_: None, plain=True)
    port = (await handler.listen(lambda link: None))["plain"]
    with pytest.raises(ConfigError, match=rf"'plain_port': {port}.*in use"):
        await make(2, ask=lambda *_: None, plain=True, plain_port=port).listen(lambda link: None)
