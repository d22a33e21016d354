"""Accepted links: told apart by routing ids, ended by what does not belong there."""

import asyncio
import socket

import pytest
import zmq

from meshcluster.protocols.zeromq.link import FRAMES, MESSAGE_BYTES

from .conftest import message, soon


@pytest.fixture
def dealer():
    """Plain ZeroMQ programs, which are no members."""
    context, made = zmq.Context(), []

    def dealer(accepting, **options):
        made.append(context.socket(zmq.DEALER))
        made[-1].setsockopt(zmq.LINGER, 0)
        for name, value in options.items():
            made[-1].setsockopt(getattr(zmq, name), value)
        made[-1].connect(f"tcp://127.0.0.1:{accepting.props['port']}")
        return made[-1]

    yield dealer
    for each in made:
        each.close(0)
    context.term()


async def test_links_do_not_mix(listen, connect):
    accepting = await listen(1)
    pairs = [await connect(accepting, unix=bool(n % 2)) for n in range(20)]
    for number in range(50):
        for index, (dialled, accepted) in enumerate(pairs):
            dialled.link.send([b"%d %d" % (index, number)])
            accepted.link.send([b"%d %d" % (index, number)])
    for index, ends in enumerate(pairs):
        for end in ends:
            got = [await soon(end.frames.get()) for _ in range(50)]
            assert got == [b"%d %d" % (index, number) for number in range(50)]


async def test_the_accepting_end_may_speak_first(connect):
    dialled, accepted = await connect()
    accepted.link.send([b"first"])
    assert await soon(dialled.frames.get()) == b"first"


async def test_who_does_not_read_pauses_his_link_and_nobody_elses(listen, connect, dealer):
    accepting = await listen(1)
    deaf = dealer(accepting, RCVHWM=1)
    deaf.send(FRAMES)
    slow = await soon(accepting.links.get())
    dialled, accepted = await connect(accepting)
    sent = 0
    while not slow.paused.is_set():
        slow.link.send([b"z" * 200_000])
        sent += 1
        await asyncio.sleep(0)
        assert sent < 500, "never paused"
    for number in range(100):
        accepted.link.send([b"%d" % number])
        assert await soon(dialled.frames.get()) == b"%d" % number
    got = [await asyncio.to_thread(deaf.recv_multipart) for _ in range(sent)]
    assert all(parts == [message(b"z" * 200_000)] for parts in got)
    await soon(slow.resumed.wait())


@pytest.mark.parametrize("parts", [[b"GET / HTTP/1.1"], [b"\x00", b"more"], [b""]], ids=str)
async def test_a_foreign_message_ends_the_link_as_a_fault(listen, dealer, parts):
    accepting = await listen(1)
    dealer(accepting).send_multipart(parts)
    end = await soon(accepting.links.get())
    await soon(end.lost.wait())
    assert end.fault
    assert "foreign message" in end.reason


async def test_a_foreign_greeting_ends_the_link_as_a_fault(listen):
    accepting = await listen(1)
    with socket.create_connection(("127.0.0.1", accepting.props["port"])) as other:
        other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        end = await soon(accepting.links.get())
    await soon(end.lost.wait())
    assert end.fault
    assert "no ZeroMQ handshake" in end.reason


async def test_a_frame_over_the_receivers_limit_is_a_fault(connect):
    dialled, accepted = await connect()
    accepted.limit_bytes = 10
    dialled.link.send([b"x" * 11])
    await soon(accepted.lost.wait())
    await soon(dialled.lost.wait())
    assert accepted.fault
    assert "oversized frame: 11 bytes is over 10" in accepted.reason


async def test_a_frame_over_the_largest_ends_the_connection_unread(listen, dealer):
    largest = b"x" * (MESSAGE_BYTES + 1)
    accepting = await listen(1, frame_bytes=len(largest))
    other = dealer(accepting, RECONNECT_IVL=-1)
    other.send(message(largest))
    end = await soon(accepting.links.get())
    end.limit_bytes = 2 * len(largest)
    assert await soon(end.frames.get()) == largest
    other.send(message(largest + b"x"))
    await soon(end.lost.wait())
    assert end.frames.empty()


async def test_a_connection_that_comes_again_is_a_new_link(listen, dealer):
    """libzmq connects again by itself, with the same routing id: no link goes on with that."""
    accepting = await listen(1)
    other = dealer(accepting, ROUTING_ID=b"same", RECONNECT_IVL=10)
    other.send(message(b"one"))
    first = await soon(accepting.links.get())
    assert await soon(first.frames.get()) == b"one"
    first.link.abort()
    second = await soon(accepting.links.get())
    other.send(message(b"two"))
    assert await soon(second.frames.get()) == b"two"
    assert first.lost.is_set()
    assert first.frames.empty()


async def test_closed_it_accepts_nobody_and_keeps_its_links(listen, connect, dealer):
    accepting = await listen(1)
    dialled, accepted = await connect(accepting)
    await accepting.handler.close()
    late = dealer(accepting, RECONNECT_IVL=-1)
    monitor = late.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
    dialled.link.send([b"still"])
    assert await soon(accepted.frames.get()) == b"still"
    assert await asyncio.to_thread(monitor.poll, 10_000)
    late.disable_monitor()
    monitor.close(0)
    assert accepting.links.empty()


async def test_a_closed_link_brings_all_that_was_sent(connect):
    dialled, accepted = await connect()
    accepted.link.send([b"y" * 100_000] * 30)
    accepted.link.close()
    assert [len(await soon(dialled.frames.get())) for _ in range(30)] == [100_000] * 30
    await soon(dialled.lost.wait())
    await soon(accepted.lost.wait())
    assert (dialled.reason, accepted.fault) == ("closed by the other end", False)
