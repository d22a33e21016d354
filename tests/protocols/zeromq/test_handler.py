"""ZeroMQ: a port and a path of its own, refused where nobody listens, no thread left."""

import asyncio
import os
import queue
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import zmq

import meshcluster
from meshcluster import ConfigError, Endpoint

from .conftest import soon


def unwanted(link):
    return None


def bound_addresses(port):
    connections = psutil.Process().net_connections("tcp")
    return {c.laddr.ip for c in connections if c.laddr.port == port and c.status == "LISTEN"}


@pytest.mark.parametrize(("host_only", "address"), [(True, "127.0.0.1"), (False, "0.0.0.0")])
async def test_at_ttl_0_it_binds_loopback_only(listen, host_only, address):
    accepting = await listen(host_only=host_only)
    assert bound_addresses(accepting.props["port"]) == {address}


async def test_at_ttl_0_it_binds_loopback_whatever_host_says(listen):
    accepting = await listen(host="0.0.0.0")
    assert bound_addresses(accepting.props["port"]) == {"127.0.0.1"}


async def test_a_fixed_port_that_is_busy_is_named(listen):
    first = await listen(1)
    port = first.props["port"]
    with pytest.raises(ConfigError, match=rf"'zeromq'.*'port': {port}.*in use"):
        await listen(2, port=port)
    await first.handler.close()
    assert (await listen(3, port=port)).props["port"] == port


@pytest.mark.parametrize(
    "options", [{"speed": 11}, {"port": 70000}, {"port": True}, {"host": 5}, {"plain": 1}], ids=str
)
def test_what_is_set_wrong_is_named(make, options):
    (name,) = options
    with pytest.raises(ConfigError, match=name):
        make(**options)


async def test_members_of_one_user_on_one_host_talk_by_a_unix_socket(connect):
    dialled, accepted = await connect(unix=True)
    assert dialled.link.local
    assert accepted.link.local
    dialled.link.send([b"near"])
    assert await soon(accepted.frames.get()) == b"near"


async def test_others_talk_by_tcp(connect):
    dialled, accepted = await connect()
    assert (dialled.link.local, accepted.link.local) == (False, False)
    assert (dialled.link.remote, accepted.link.remote) == ("127.0.0.1", "127.0.0.1")


async def test_a_live_path_is_never_taken(listen, connect):
    """libzmq by itself would take it from under the one who listens there."""
    first = await listen(1)
    with pytest.raises(ConfigError, match="belongs to a live process"):
        await listen(1)
    await connect(first, unix=True)


async def test_closing_removes_the_path_and_its_lock(listen, runtime_dir):
    accepting = await listen()
    assert [path.suffix for path in sorted(runtime_dir.glob("*/*"))] == [".lock", ".sock"]
    await accepting.handler.close()
    assert list(runtime_dir.glob("*/*")) == []


@pytest.mark.parametrize(
    "props",
    [{}, {"port": 0}, {"port": "80"}, {"port": 80, "name": "../x"}, {"port": 80, "name": 7}],
    ids=str,
)
async def test_malformed_endpoints_are_not_dialled(make, props):
    with pytest.raises(ConnectionError, match="malformed"):
        await make().dial("127.0.0.1", Endpoint("zeromq", props), unwanted)


@pytest.mark.parametrize("unix", [True, False])
async def test_where_nobody_listens_any_more_refuses(listen, make, unix):
    accepting = await listen()
    await accepting.handler.close()
    endpoint = accepting.endpoint if unix else accepting.by_tcp
    with pytest.raises(ConnectionRefusedError):
        await make(2).dial("127.0.0.1", endpoint, unwanted)


async def test_a_dial_that_is_given_up_leaves_nothing(make, listen):
    """The fixtures see what is left."""
    accepting = await listen(1)
    dial = asyncio.create_task(make(2).dial("127.0.0.1", accepting.by_tcp, unwanted))
    await asyncio.sleep(0)
    dial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dial


def threads():
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
async def test_links_that_come_and_go_leave_no_descriptor_and_closing_no_thread(listen, make):
    before = threads()
    accepting, client = await listen(1), make(2)
    opened = []

    async def come_and_go(endpoint):
        ends = []

        def accept(link):
            ends.append(accepting.__class__.accept(client_side, link))
            return ends[0]

        await client.dial("127.0.0.1", endpoint, accept)
        far = await soon(accepting.links.get())
        ends[0].link.send([b"x"])
        ends[0].link.close()
        await soon(ends[0].lost.wait())
        await soon(far.lost.wait())
        assert far.frames.get_nowait() == b"x"

    client_side = type(accepting)(client)
    for number in range(500):
        await come_and_go(accepting.endpoint if number % 2 else accepting.by_tcp)
        if number % 100 == 50:
            opened.append(len(os.listdir("/proc/self/fd")))
    assert max(opened) - min(opened) <= 8, opened
    await accepting.handler.close()
    await client.close()
    assert threads() == before


CHILD = """
import asyncio, sys
from pathlib import Path
from meshcluster.protocols import Context
from meshcluster.protocols.zeromq import ZeromqHandler

class Receiver:
    limit_bytes = 1000
    def __init__(self, link): ...
    def frames_received(self, frames): ...
    def link_lost(self, reason, *, fault=False): ...

async def main():
    context = Context("default", bytes([9] * 16), True, Path(sys.argv[1]))
    props = await ZeromqHandler(context).listen(Receiver)
    print(props["port"], props["name"], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize("unix", [True, False])
async def test_a_killed_process_ends_its_links_and_then_refuses(make, listen, runtime_dir, unix):
    command = [sys.executable, "-c", CHILD, runtime_dir]
    process = await asyncio.to_thread(subprocess.Popen, command, stdout=subprocess.PIPE, text=True)
    port, name = (await asyncio.to_thread(process.stdout.readline)).split()
    endpoint = Endpoint("zeromq", {"port": int(port), **({"name": name} if unix else {})})
    here = await listen(1)
    client = make(2)
    await client.dial("127.0.0.1", endpoint, here.accept)
    end = await soon(here.links.get())
    process.send_signal(signal.SIGKILL)
    await soon(end.lost.wait())
    assert end.reason
    assert not end.fault
    process.wait()
    process.stdout.close()
    with pytest.raises(ConnectionRefusedError):
        await client.dial("127.0.0.1", endpoint, unwanted)
    await here.handler.close()
    await client.close()
    # The next one to claim a path there sweeps it away.
    await listen(3)
    assert len(list(runtime_dir.glob("*/*.sock"))) == 1


async def test_without_a_loop_that_watches_descriptors_it_says_so(make, monkeypatch):
    class ProactorEventLoop:
        pass

    monkeypatch.setattr(asyncio, "get_running_loop", ProactorEventLoop)
    with pytest.raises(OSError, match="SelectorEventLoop"):
        await make().listen(unwanted)
    monkeypatch.undo()


async def test_a_foreign_server_ends_the_link_with_its_reason(make, listen):
    """A port of somebody else's, that says something and is silent then."""
    here = await listen(1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = Endpoint("zeromq", {"port": server.getsockname()[1]})
        await make(2).dial("127.0.0.1", endpoint, here.accept)
        end = await soon(here.links.get())
        other, _ = await asyncio.to_thread(server.accept)
        with other:
            other.send(b"220 mail.example.org ESMTP\r\n")
        await soon(end.lost.wait())
    assert "ZeroMQ handshake" in end.reason


def test_blocking_members_talk_by_it_in_loops_of_their_own(beacon_port):
    """Which are uvloop's where that is installed."""
    heard = queue.Queue()
    with (
        meshcluster.join(["a"], port=beacon_port, protocols=["zeromq"]) as one,
        meshcluster.join(["b"], port=beacon_port, protocols=["zeromq"]) as other,
    ):
        other.hook("event")(heard.put)
        one.wait_for_services(resolve="b")
        for number in range(1000):
            one.send(number, resolve="b")
        messages = [heard.get(timeout=10) for _ in range(1000)]
    assert [message.data for message in messages] == list(range(1000))
    assert messages[0].protocol == "zeromq"


def test_it_is_offered_by_who_names_it_since_to_load_it_takes_time():
    from meshcluster.protocols.registry import DEFAULT, known_schemes

    assert "zeromq" not in DEFAULT
    assert "zeromq" in known_schemes()
    assert zmq.zmq_version_info() >= (4, 3)
