"""What every protocol handler promises, ours and a third party's alike."""

import asyncio
import os
import sys

import pytest

from meshcluster import AsyncCluster, Endpoint
from meshcluster.protocols import Context, StreamLink, load
from meshcluster.wire import codec

LARGE = 200_000


class WhisperHandler:
    """All that a third party writes: TCP under another name."""

    scheme = "whisper"
    local_only = False

    def __init__(self, context):
        self.server = None

    async def listen(self, accept):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: StreamLink(accept), "127.0.0.1", 0)
        return {"at": self.server.sockets[0].getsockname()[1]}

    async def dial(self, address, endpoint, accept):
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: StreamLink(accept), address, endpoint.props["at"])

    async def close(self):
        if self.server is not None:
            self.server.close()


@pytest.fixture(autouse=True)
def whisper_installed(tmp_path, monkeypatch):
    """The third party's package, as pip would leave it: its entry point names the class above."""
    info = tmp_path / "whisper-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: whisper\nVersion: 1.0\n")
    point = f"[meshcluster.protocols]\nwhisper = {__name__}:WhisperHandler\n"
    (info / "entry_points.txt").write_text(point)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(
    params=[
        pytest.param("unix", marks=pytest.mark.skipif(sys.platform == "win32", reason="no UNIX")),
        "tcp",
        "zeromq",
        "memory",
        "whisper",
    ]
)
def scheme(request):
    return request.param


class End:
    """One end of a link: keeps what the link pushes into it."""

    def __init__(self, link, *, limit_bytes=64 * 1024 * 1024):
        self.link = link
        self.limit_bytes = limit_bytes
        self.frames = asyncio.Queue()
        self.lost = asyncio.Event()
        self.times_lost = 0

    def frames_received(self, frames):
        for frame in frames:
            self.frames.put_nowait(bytes(frame))

    def pause_sending(self):
        pass

    def resume_sending(self):
        pass

    def link_lost(self, reason, *, fault=False):
        assert isinstance(reason, str)
        assert reason
        self.fault = fault
        self.times_lost += 1
        self.lost.set()

    async def take(self, count):
        async with asyncio.timeout(20):
            return [await self.frames.get() for _ in range(count)]


@pytest.fixture
async def handlers(scheme, runtime_dir):
    """Two handlers of a scheme, as two members have them; closed at the end."""
    contexts = [Context("default", bytes([n] * 16), True, runtime_dir) for n in (1, 2)]
    made = [load(scheme, context) for context in contexts]
    yield made
    for handler in made:
        await handler.close()
    await asyncio.sleep(0)


@pytest.fixture
async def connect(handlers):
    """Opens a link; gives its dialled and its accepted end, lost when the test is over."""
    server, client = handlers
    ends = []

    async def connect(**settings):
        accepted = asyncio.get_running_loop().create_future()
        dialled = []

        def accept(link):
            end = End(link, **settings)
            accepted.set_result(end)
            return end

        def welcome(link):
            dialled.append(End(link))
            return dialled[-1]

        props = await server.listen(accept)
        await client.dial("127.0.0.1", Endpoint(server.scheme, props), welcome)
        assert len(dialled) == 1, "accept is called for a link before dial returns"
        ends.extend([dialled[0], await asyncio.wait_for(accepted, 10)])
        return ends

    yield connect
    for end in ends:
        end.link.abort()
    async with asyncio.timeout(10):
        for end in ends:
            await end.lost.wait()


async def test_what_is_advertised_can_travel(handlers):
    props = await handlers[0].listen(lambda link: None)
    assert all(isinstance(k, str) and isinstance(v, str | int) for k, v in props.items())
    assert Endpoint(handlers[0].scheme, props).scheme == handlers[0].scheme


async def test_both_ends_say_alike_whether_they_can_leave_this_machine(connect, handlers):
    dialled, accepted = await connect()
    assert dialled.link.local is accepted.link.local
    assert accepted.link.local or not handlers[0].local_only
    assert accepted.link.remote == ("" if accepted.link.local else "127.0.0.1")


async def test_a_large_frame_arrives_whole(connect):
    dialled, accepted = await connect()
    dialled.link.send([b"\x01" * LARGE])
    assert await accepted.take(1) == [b"\x01" * LARGE]


async def test_an_empty_frame_arrives(connect):
    dialled, accepted = await connect()
    dialled.link.send([b"", b"after"])
    assert await accepted.take(2) == [b"", b"after"]


async def test_a_thousand_frames_keep_their_order(connect):
    dialled, accepted = await connect()
    frames = [b"%d" % n * (n % 50) for n in range(1000)]
    for start in range(0, 1000, 7):
        dialled.link.send(frames[start : start + 7])
    assert await accepted.take(1000) == frames


async def test_frames_go_both_ways_at_once(connect):
    dialled, accepted = await connect()
    for number in range(50):
        dialled.link.send([b"there %d" % number] + [b"x" * LARGE] * (number % 5 == 0))
        accepted.link.send([b"back %d" % number] + [b"y" * LARGE] * (number % 5 == 0))
    for end, word in ((accepted, b"there "), (dialled, b"back ")):
        small = [frame for frame in await end.take(60) if len(frame) < 100]
        assert small == [word + b"%d" % number for number in range(50)]


async def test_close_delivers_what_was_sent_before(connect):
    dialled, accepted = await connect()
    dialled.link.send([b"z" * LARGE] * 20 + [b"last"])
    dialled.link.close()
    assert (await accepted.take(21))[-1] == b"last"
    await asyncio.wait_for(accepted.lost.wait(), 10)


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("who", [0, 1])
async def test_an_end_is_told_once_to_both(connect, how, who):
    ends = await connect()
    getattr(ends[who].link, how)()
    async with asyncio.timeout(10):
        for end in ends:
            await end.lost.wait()
    for end in ends:
        end.link.close()
        end.link.abort()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [end.times_lost for end in ends] == [1, 1]


async def test_sending_after_the_end_is_no_error(connect):
    ends = await connect()
    ends[0].link.abort()
    async with asyncio.timeout(10):
        for end in ends:
            await end.lost.wait()
    for end in ends:
        end.link.send([b"too late"])


async def test_a_link_that_is_not_wanted_ends(handlers):
    ends = []

    def welcome(link):
        ends.append(End(link))
        return ends[0]

    props = await handlers[0].listen(lambda link: None)
    await handlers[1].dial("127.0.0.1", Endpoint(handlers[0].scheme, props), welcome)
    await asyncio.wait_for(ends[0].lost.wait(), 10)


async def test_a_dial_to_nobody_is_refused(handlers):
    server, client = handlers
    props = await server.listen(lambda link: None)
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await client.dial("127.0.0.1", Endpoint(server.scheme, props), lambda link: None)


async def test_links_outlive_the_end_of_listening(connect, handlers):
    dialled, accepted = await connect()
    await handlers[0].close()
    dialled.link.send([b"still"])
    assert await accepted.take(1) == [b"still"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
async def test_all_that_a_forked_child_must_let_go_of_is_told(connect, handlers):
    before = shared_descriptors()
    dialled, accepted = await connect()
    opened = shared_descriptors() - before
    told = [descriptors(holder) for holder in (handlers[0], dialled.link, accepted.link)]
    if isinstance(handlers[0], WhisperHandler):  # it need not tell; its links do
        told[0] = {handlers[0].server.sockets[0].fileno()}
    assert set().union(*told) == opened
    await handlers[0].close()
    assert {n for n in descriptors(handlers[0]) if n >= 0} <= shared_descriptors()


def descriptors(holder):
    return set(getattr(holder, "descriptors", tuple)())


def shared_descriptors():
    """By number, those by which others notice that a process lives: sockets and files. A library's
    own eventfds (libzmq has some) are seen by nobody else."""
    found = set()
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # the listing's own
            continue
        if not target.startswith("anon_inode:"):
            found.add(number)
    return found


async def test_a_frame_over_the_receivers_limit_ends_the_link(connect):
    dialled, accepted = await connect(limit_bytes=1000)
    dialled.link.send([b"x" * 1000])
    assert await accepted.take(1) == [b"x" * 1000]
    dialled.link.send([b"x" * 1001])
    async with asyncio.timeout(10):
        await accepted.lost.wait()
        await dialled.lost.wait()
    assert accepted.frames.empty()
    assert (accepted.fault, dialled.fault) == (True, False)


# --- the same with a member at the other end ----------------------------------------------


@pytest.fixture
async def join(beacon_port, scheme):
    """Joins members that speak the one scheme; all leave at the end."""
    clusters = []

    async def join(*tags):
        clusters.append(AsyncCluster())
        return await clusters[-1].join(tags, port=beacon_port, protocols=[scheme])

    yield join
    for cluster in clusters:
        await cluster.leave()


async def test_two_members_talk_by_it(join, scheme):
    one, other = await join("one"), await join("other")
    heard = asyncio.Queue()
    other.hook("event")(heard.put_nowait)
    await one.wait_for_services()
    await one.send("hello", resolve="other")
    message = await asyncio.wait_for(heard.get(), 10)
    assert (message.data, message.protocol) == ("hello", scheme)


async def test_two_members_send_large_messages_at_once_before_they_are_linked(join):
    one, other = await join("one"), await join("other")
    heard = asyncio.Queue()
    for cluster in (one, other):
        cluster.hook("event")(heard.put_nowait)
        await cluster.wait_for_services()
    await one.broadcast(b"1" * LARGE)
    await other.broadcast(b"2" * LARGE)
    async with asyncio.timeout(10):
        bodies = {(await heard.get()).data, (await heard.get()).data}
    assert bodies == {b"1" * LARGE, b"2" * LARGE}


@pytest.mark.parametrize(
    "frames",
    [[b"GET / HTTP/1.1\r\n\r\n"], [codec.preface(), b"\xc1"], [codec.preface(), b"x" * LARGE]],
    ids=["foreign", "malformed", "oversized"],
)
async def test_a_strangers_garbage_ends_the_link_and_is_counted(join, handlers, frames, caplog):
    member, finder = await join("member"), await join("finder")
    ends = []

    def welcome(link):
        ends.append(End(link))
        return ends[-1]

    (service,) = await finder.wait_for_services(resolve="member")
    for _ in range(3):
        await handlers[1].dial("127.0.0.1", service.endpoints[0], welcome)
        ends[-1].link.send(frames)
        await asyncio.wait_for(ends[-1].lost.wait(), 10)
    counts = [n for reason, n in member.dropped.items() if reason.startswith("links: ")]
    assert counts == [3]
    warnings = [r for r in caplog.records if r.levelname == "WARNING"]
    assert len(warnings) == 1, "reported once, then only counted"
