"""ZeroMQ: a port and a path of its own, refused where nobody listens, no thread left."""

import asyncio
import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import meshcluster
from meshcluster import ConfigError, Endpoint
from meshcluster.protocols.zeromq import handler as handler_module

from .conftest import soon


def unwanted(link):
    return None


def bound_addresses(port):
    connections = psutil.Process().net_connections("tcp")
    return {c.laddr.ip for c in connections if c.laddr.port == port and c.status == "LISTEN"}


@pytest.mark.parametrize(
    ("host_only", "addresses"), [(True, {"127.0.0.1"}), (False, {"0.0.0.0", "::"})]
)
async def test_at_ttl_0_it_binds_loopback_only(listen, host_only, addresses):
    accepting = await listen(host_only=host_only)
    assert bound_addresses(accepting.props["port"]) == addresses


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


# --- loaded late ------------------------------------------------------------------------------

AT_REST = """
import sys, time, meshcluster
from meshcluster.cli import main as command

port = int(sys.argv[1])
with meshcluster.join(["one"], port=port) as one, meshcluster.join(["two"], port=port) as two:
    (service,) = one.wait_for_services()
    offered = [each.scheme for each in service.endpoints]
    assert offered == ["unix", "tcp", "zeromq", "udp"], offered
    two.hook("query")(lambda question: question.protocol)
    assert one.query().wait() == {service: "unix"}
    assert command.run(["members", "--port", str(port)]) == 0
    time.sleep(1)  # a member at rest does nothing later either
    assert "zmq" not in sys.modules
    assert one.query(protocols=["zeromq"]).wait() == {service: "zeromq"}
    assert "zmq" in sys.modules
"""


@pytest.mark.process
def test_it_is_offered_by_default_and_loaded_when_it_is_used(beacon_port):
    """Neither joining nor being there costs pyzmq, nor does looking on; a question right after
    joining that names it is answered by it.
    """
    command = [sys.executable, "-c", AT_REST, str(beacon_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc")
async def test_listening_alone_has_no_thread(listen):
    before = threads()
    accepting = await listen(1)
    assert threads() == before
    here = await listen(2)
    await here.handler.dial("127.0.0.1", accepting.by_tcp, here.accept)
    ends = [await soon(each.links.get()) for each in (here, accepting)]
    assert threads() > before
    ends[0].link.abort()
    for each in ends:
        await soon(each.lost.wait())


async def test_leaving_while_it_is_loaded_neither_waits_nor_leaves_anything(listen, monkeypatch):
    begun = asyncio.Event()

    async def for_ever(name):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(handler_module, "imported", for_ever)
    accepting = await listen(1)
    with socket.create_connection(("127.0.0.1", accepting.props["port"])):
        await soon(begun.wait())
        await soon(accepting.handler.close())
    assert bound_addresses(accepting.props["port"]) == set()


async def test_where_pyzmq_cannot_be_loaded_that_is_said_once(listen, make, monkeypatch, caplog):
    async def broken(name):
        raise ImportError("no libzmq for this machine")

    monkeypatch.setattr(handler_module, "imported", broken)
    accepting = await listen(1)
    with pytest.raises(OSError, match="pyzmq cannot be loaded: no libzmq"):
        await make(2).dial("127.0.0.1", accepting.by_tcp, unwanted)
    for again in (False, True):
        if again:  # as when others tell that it does not open
            await accepting.handler.close()
            accepting.props = await accepting.handler.listen(accepting.accept)
        with contextlib.suppress(ConnectionError):
            other = socket.create_connection(("127.0.0.1", accepting.props["port"]))
            with other:
                assert await asyncio.to_thread(other.recv, 1) == b""
    (record,) = caplog.records
    assert "no libzmq" in record.getMessage()
    assert "Others are not affected" in record.getMessage()


async def test_without_pyzmq_it_is_left_out_unless_it_was_asked_for(
    beacon_port, monkeypatch, caplog
):
    monkeypatch.setattr(handler_module.importlib.util, "find_spec", lambda name: None)
    async with meshcluster.AsyncCluster().join(port=beacon_port) as cluster:
        offered = [each.scheme for each in cluster.joined.node.details.endpoints]
    assert offered == ["unix", "tcp", "udp"]
    (record,) = caplog.records
    assert "'zeromq' cannot be used here: pyzmq is not installed" in record.getMessage()
    for asked in ({"protocols": ["tcp", "zeromq"]}, {"protocol_options": {"zeromq": {"port": 0}}}):
        with pytest.raises(ConfigError, match="pyzmq is not installed"):
            await meshcluster.AsyncCluster().join(port=beacon_port, **asked)


async def test_a_dead_process_is_seen_without_loading_anything(listen, make, monkeypatch):
    accepting = await listen(1)
    claim = accepting.handler._claim
    os.close(claim._lock)  # as the end of its process does
    claim._lock = -1

    async def never(name):
        pytest.fail("loaded")

    monkeypatch.setattr(handler_module, "imported", never)
    with pytest.raises(ConnectionRefusedError):
        await make(2).dial("127.0.0.1", accepting.endpoint, unwanted)
    claim.path.unlink()
    claim.path.with_suffix(".lock").unlink()


# --- opened anew ------------------------------------------------------------------------------


async def test_a_fixed_port_is_opened_anew_while_links_live(listen, connect, make):
    """libzmq cannot give the port up without ending them: it goes on accepting there."""
    first = await listen(9)
    port = first.props["port"]
    await first.handler.close()
    accepting = await listen(1, port=port)
    dialled, accepted = await connect(accepting)
    await accepting.handler.close()
    props = await accepting.handler.listen(accepting.accept)
    assert props == accepting.props
    dialled.link.send([b"still"])
    assert await soon(accepted.frames.get()) == b"still"
    for unix in (True, False):
        newer, newest = await connect(accepting, unix=unix)
        newer.link.send([b"new"])
        assert await soon(newest.frames.get()) == b"new"


async def test_a_fixed_port_is_opened_anew_while_we_have_dialled_others(listen, connect):
    """libzmq closes the old listener in a thread of its own, in its own time."""
    here, accepting = await listen(8), await listen(9)
    port = accepting.props["port"]
    await accepting.handler.close()
    accepting = await listen(1, port=port)
    await accepting.handler.dial("127.0.0.1", here.by_tcp, accepting.accept)
    ours = await soon(accepting.links.get())
    for _ in range(20):
        dialled, accepted = await connect(accepting)
        dialled.link.abort()
        await soon(accepted.lost.wait())
        await accepting.handler.close()
        assert (await accepting.handler.listen(accepting.accept))["port"] == port
    ours.link.abort()
    await soon(ours.lost.wait())


async def test_links_by_ipv6(listen, make):
    here, accepting = await listen(2), await listen(1, host_only=False, host="::1")
    assert bound_addresses(accepting.props["port"]) == {"::1"}
    await here.handler.dial("::1", accepting.by_tcp, here.accept)
    dialled, accepted = await soon(here.links.get()), await soon(accepting.links.get())
    assert (dialled.link.remote, accepted.link.remote) == ("::1", "::1")
    dialled.link.send([b"six"])
    assert await soon(accepted.frames.get()) == b"six"
    dialled.link.abort()
    await soon(accepted.lost.wait())
    await soon(dialled.lost.wait())
    await accepting.handler.close()
    with pytest.raises(ConnectionRefusedError):
        await here.handler.dial("::1", accepting.by_tcp, unwanted)
