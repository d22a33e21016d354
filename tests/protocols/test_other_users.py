"""UNIX sockets that another user could reach after all: who is at the other end is looked at.

A directory that was opened to others by mistake stands for every way to get there.
"""

import asyncio
import sys
from pathlib import Path

import pytest

from meshcluster import Endpoint
from meshcluster.protocols import Context
from meshcluster.protocols.registry import load
from meshcluster.protocols.zeromq.link import FRAMES

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no peer credentials"),
]

CALLER = """
import socket
become(12345)
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect(sys.argv[1])
    said = b""
    try:
        while came := caller.recv(4096):
            said += came
    except ConnectionResetError:
        pass
    tell(said.hex())
"""

LISTENER = """
import socket
path = sys.argv[1]
become(12345)
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(path)
    os.chmod(path, 0o777)
    listener.listen()
    tell("listens")
    called, _ = listener.accept()
    with called:
        said = b""
        try:
            while came := called.recv(4096):
                said += came
        except ConnectionResetError:
            pass
        tell(said.hex())
"""

ZEROMQ_LISTENER = """
import zmq
path = sys.argv[1]
become(12345)
with zmq.Context() as context, context.socket(zmq.ROUTER) as listener:
    listener.bind("ipc://" + path)
    os.chmod(path, 0o777)
    watched = listener.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    tell("listens")
    watched.recv_multipart()
    said = b""
    while listener.poll(0):
        said += b"".join(listener.recv_multipart()[1:])
    listener.disable_monitor()
    watched.close()
    tell(said.hex())
"""


class Receiver:
    """Writes at once, as a member does, and says how its link ended."""

    limit_bytes = 1000

    def __init__(self, link):
        self.link = link
        self.frames = []
        self.lost = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(link.send, [b"a secret of ours"])

    def frames_received(self, frames):
        self.frames += map(bytes, frames)

    def pause_sending(self):
        pass

    def resume_sending(self):
        pass

    def link_lost(self, reason, *, fault=False):
        self.lost.set_result((reason, fault))


@pytest.fixture(params=["unix", "zeromq"])
def scheme(request):
    return request.param


@pytest.fixture
async def handler(scheme, runtime_dir):
    """A handler that listens; `handler.links` are the links it accepted or dialled."""
    runtime_dir.chmod(0o755)
    made = load(scheme, Context("default", b"1" * 16, True, runtime_dir))
    made.links = asyncio.Queue()

    def accept(link):
        receiver = Receiver(link)
        made.links.put_nowait(receiver)
        return receiver

    made.accept = accept
    made.props = await made.listen(accept)
    for path in runtime_dir.rglob("*"):
        path.chmod(0o777)
    yield made
    await made.close()
    await asyncio.sleep(0)


def soon(awaitable):
    return asyncio.wait_for(awaitable, 20)


def socket_of(runtime_dir) -> Path:
    (path,) = runtime_dir.glob("*/*.sock")
    return path


async def heard(talker):
    return await asyncio.to_thread(talker.hear)


REFUSED = ("another user is at the other end: uid 12345", True)


async def test_who_calls_as_another_user_hears_nothing(handler, runtime_dir, stranger):
    caller = stranger(CALLER, socket_of(runtime_dir))
    receiver = await soon(handler.links.get())
    assert await soon(receiver.lost) == REFUSED
    assert receiver.link.same_user is False
    assert b"secret" not in bytes.fromhex(await heard(caller))  # libzmq greets anybody


async def test_a_groups_directory_lets_its_users_in(handler, runtime_dir, stranger):
    socket_of(runtime_dir).parent.chmod(0o2777)
    stranger(CALLER, socket_of(runtime_dir))
    receiver = await soon(handler.links.get())
    await asyncio.sleep(0)
    assert not receiver.lost.done()
    assert receiver.link.same_user is False
    receiver.link.abort()
    await soon(receiver.lost)


async def test_nobody_is_told_anything_who_listens_as_another_user(
    handler, scheme, runtime_dir, stranger
):
    name = f"{b'2'.hex() * 8}.sock"
    path = socket_of(runtime_dir).with_name(name)
    listener = stranger(LISTENER if scheme == "unix" else ZEROMQ_LISTENER, path)
    assert await heard(listener) == "listens"
    props = dict(handler.props)
    props["name"] = f"{path.parent.name}/{name}" if scheme == "unix" else path.stem
    await soon(handler.dial("127.0.0.1", Endpoint(scheme, props), handler.accept))
    receiver = await soon(handler.links.get())
    assert await soon(receiver.lost) == REFUSED
    assert await heard(listener) in ("", FRAMES.hex())  # which says that more will come


async def test_that_it_is_our_own_user_is_proven_at_both_ends(handler, scheme, runtime_dir):
    await soon(handler.dial("127.0.0.1", Endpoint(scheme, handler.props), handler.accept))
    ends = [await soon(handler.links.get()) for _ in range(2)]
    assert [end.link.same_user for end in ends] == [True, True]
    ends[0].link.abort()
    for end in ends:
        assert await soon(end.lost)


async def test_by_tcp_nothing_is_proven(runtime_dir):
    made = load("tcp", Context("default", b"1" * 16, True, runtime_dir))
    links = asyncio.Queue()

    def accept(link):
        links.put_nowait(receiver := Receiver(link))
        return receiver

    endpoint = Endpoint("tcp", await made.listen(accept))
    await made.dial("127.0.0.1", endpoint, accept)
    ends = [await soon(links.get()) for _ in range(2)]
    assert [end.link.same_user for end in ends] == [False, False]
    ends[0].link.abort()
    for end in ends:
        await soon(end.lost)
    await made.close()
    await asyncio.sleep(0)
