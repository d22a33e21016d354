"""Memory links: between members of one process, also in different threads."""

import asyncio
import queue
import threading

import pytest

import meshcluster
from meshcluster import ConfigError, Endpoint
from meshcluster.protocols import Context
from meshcluster.protocols.memory import MemoryHandler


class Receiver:
    """Keeps what a link pushes into it, for any thread to look at."""

    limit_bytes = 1_000_000

    def __init__(self, link):
        self.link = link
        self.thread = threading.current_thread()
        self.frames = queue.Queue()
        self.lost = queue.Queue()

    def frames_received(self, frames):
        assert threading.current_thread() is self.thread
        for frame in frames:
            self.frames.put(bytes(frame))

    def link_lost(self, reason, *, fault=False):
        assert threading.current_thread() is self.thread
        self.lost.put(reason)


@pytest.fixture
def handler(tmp_path):
    return lambda **options: MemoryHandler(Context("default", bytes(16), True, tmp_path, options))


@pytest.fixture
def other_loop():
    """An event loop that runs in a thread of its own, until ``end`` is called."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def end():
        if not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    loop.end = end
    yield loop
    end()


async def connect_to(loop, handler):
    """A link from this loop to a listener in another: both receivers."""
    accepted = queue.Queue()

    def accept(link):
        receiver = Receiver(link)
        accepted.put(receiver)
        return receiver

    server = handler()
    listening = asyncio.run_coroutine_threadsafe(server.listen(accept), loop)
    props = await asyncio.wrap_future(listening)
    await handler().dial("", Endpoint("memory", props), accept)
    await server.close()
    receivers = [await asyncio.to_thread(accepted.get, timeout=10) for _ in range(2)]
    return sorted(receivers, key=lambda each: each.thread is not threading.current_thread())


def take(items):
    return asyncio.to_thread(items.get, timeout=10)


async def test_frames_go_both_ways_between_loops_in_their_order(handler, other_loop):
    near, far = await connect_to(other_loop, handler)
    near.link.send([b"%d" % n for n in range(100)])
    assert [await take(far.frames) for _ in range(100)] == [b"%d" % n for n in range(100)]
    other_loop.call_soon_threadsafe(far.link.send, [b"back"])
    assert await take(near.frames) == b"back"
    near.link.close()
    await take(far.lost)
    await take(near.lost)


async def test_a_link_ends_when_the_other_loop_is_gone(handler, other_loop):
    near, _ = await connect_to(other_loop, handler)
    other_loop.end()
    near.link.send([b"to nobody"])
    assert await take(near.lost)


async def test_a_listener_whose_loop_is_closed_refuses(handler, other_loop):
    server = handler()
    listening = asyncio.run_coroutine_threadsafe(server.listen(Receiver), other_loop)
    props = await asyncio.wrap_future(listening)
    other_loop.end()
    with pytest.raises(ConnectionRefusedError):
        await handler().dial("", Endpoint("memory", props), Receiver)
    await server.close()


async def test_a_name_of_another_process_refuses(handler):
    with pytest.raises(ConnectionRefusedError):
        await handler().dial("", Endpoint("memory", {"name": "elsewhere"}), Receiver)


async def test_in_a_forked_child_its_name_is_of_another_process(handler):
    props = await handler().listen(Receiver)
    inherited = handler()
    inherited._name = props["name"]
    inherited.forked()
    with pytest.raises(ConnectionRefusedError):
        await handler().dial("", Endpoint("memory", props), Receiver)


def test_it_has_no_options(handler):
    with pytest.raises(ConfigError, match="no options"):
        handler(size=1)


def test_two_blocking_clusters_talk_by_memory(beacon_port):
    heard = queue.Queue()
    with (
        meshcluster.join(["a"], port=beacon_port, protocols=["memory"]) as one,
        meshcluster.join(["b"], port=beacon_port, protocols=["memory"]) as other,
    ):
        other.hook("event")(heard.put)
        one.wait_for_services(resolve="b")
        one.send("inside", resolve="b")
        message = heard.get(timeout=10)
    assert (message.data, message.protocol) == ("inside", "memory")
