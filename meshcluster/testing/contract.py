"""What every protocol handler promises, as tests: ours pass them, and a third party's do with five
lines in its own test file. They need pytest and pytest-asyncio::

    from meshcluster.testing.contract import ProtocolContract

    class TestMine(ProtocolContract):
        scheme = "mine"

The handler is found by its scheme, as members find it: through its package's entry point. All runs
over real sockets on this machine, without a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ..cluster import AsyncCluster
from ..model import LOOPBACK, Endpoint
from ..protocols import Context, load
from ..protocols.base import Buffer, Link, LinkReceiver, Props, ProtocolHandler
from ..wire import codec
from ..wire.split import Split

LARGE_BYTES = 200_000
WAIT_SECONDS = 20.0

FD_FOLDER = Path("/proc/self/fd")

GARBAGE = {
    "foreign": [b"GET / HTTP/1.1\r\n\r\n"],
    "malformed": [codec.preface(), b"\xc1"],
    "oversized": [codec.preface(), b"x" * LARGE_BYTES],
}
"""What a stranger may send over a link."""


def _left_out(props: Props, name: str) -> Props:
    return {key: value for key, value in props.items() if key != name}


def _of_another_kind(props: Props, name: str) -> Props:
    return {**props, name: 7 if isinstance(props[name], str) else "7"}


def _out_of_range(props: Props, name: str) -> Props:
    return {**props, name: "\0/../" * 999 if isinstance(props[name], str) else 2**63}


def _below(props: Props, name: str) -> Props:
    return {**props, name: "" if isinstance(props[name], str) else -1}


LIES = [_left_out, _of_another_kind, _out_of_range, _below]
"""What a peer may say of an endpoint instead of what its handler returned."""

Connect = Callable[..., Awaitable[Sequence["End"]]]
Join = Callable[..., Awaitable[AsyncCluster]]


class End:
    """One end of a link: keeps what the link pushes into it."""

    def __init__(self, link: Link, *, limit_bytes: int = 64 * 1024 * 1024) -> None:
        self.link = link
        self.limit_bytes = limit_bytes
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost = asyncio.Event()
        self.times_lost = 0
        self.fault = False

    def frames_received(self, frames: Sequence[Buffer | Split]) -> None:
        """Keeps copies: a link may use its buffer again."""
        for frame in frames:
            self.frames.put_nowait(bytes(frame))

    def pause_sending(self) -> None:
        """Nothing here sends so much that it matters."""

    def resume_sending(self) -> None:
        """See ``pause_sending``."""

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        """Notes how often, and whose fault it was."""
        assert isinstance(reason, str)
        assert reason
        self.fault = fault
        self.times_lost += 1
        self.lost.set()

    async def take(self, count: int) -> list[bytes]:
        """The next frames."""
        async with asyncio.timeout(WAIT_SECONDS):
            return [await self.frames.get() for _ in range(count)]

    async def wait_lost(self) -> None:
        """Until the link has ended."""
        await asyncio.wait_for(self.lost.wait(), WAIT_SECONDS)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for one test, with a path as short as sockets need it."""
    folder = tempfile.mkdtemp(prefix="mc-", dir=None if os.name == "nt" else "/tmp")
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A UDP port that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port: int = free.getsockname()[1]
    return port


def descriptors(*holders: object) -> set[int]:
    """What they say they hold."""
    none: tuple[int, ...] = ()
    return {each for holder in holders for each in getattr(holder, "descriptors", lambda: none)()}


def shared_descriptors() -> set[int]:
    """By number, those by which others notice that this process lives: sockets and files. A
    library's own eventfds are seen by nobody else.
    """
    found = set()
    for name in os.listdir(FD_FOLDER):
        with contextlib.suppress(OSError):  # the one that lists them
            if not os.readlink(FD_FOLDER / name).startswith("anon_inode:"):
                found.add(int(name))
    return found


@pytest.mark.asyncio
class ProtocolContract:
    """Subclass it with a ``scheme``; ``options`` are the handler's part of ``protocol_options``.

    ``holds_listener`` is False where a handler does not tell the descriptors it listens with.
    """

    scheme: str
    options: Mapping[str, Any] = {}
    holds_listener = True

    # --- what the tests are given ------------------------------------------------------------

    @pytest.fixture
    def own_folder(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A runtime directory for this test alone; its path is short, as sockets need it."""
        with short_folder() as folder:
            monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(folder))
            yield folder

    @pytest_asyncio.fixture
    async def handlers(self, own_folder: Path) -> AsyncIterator[list[ProtocolHandler]]:
        """Two, as two members have them; closed at the end."""
        options = dict(self.options)
        contexts = [Context("default", bytes([n] * 16), True, own_folder, options) for n in (1, 2)]
        made = [load(self.scheme, context) for context in contexts]
        yield made
        for handler in made:
            await handler.close()
        await asyncio.sleep(0)

    @pytest_asyncio.fixture
    async def connect(self, handlers: list[ProtocolHandler]) -> AsyncIterator[Connect]:
        """Opens a link; gives its dialled and its accepted end, lost when the test is over."""
        ends: list[End] = []

        async def connect(**settings: Any) -> Sequence[End]:
            pair = await linked(*handlers, **settings)
            ends.extend(pair)
            return pair

        yield connect
        for end in ends:
            end.link.abort()
        for end in ends:
            await end.wait_lost()

    @pytest_asyncio.fixture
    async def join(self, own_folder: Path) -> AsyncIterator[Join]:
        """Joins members that speak this protocol alone; all leave at the end."""
        port = free_port()

        async def join(*tags: str) -> AsyncCluster:
            options = {self.scheme: dict(self.options)}
            cluster = AsyncCluster()
            stack.push_async_callback(cluster.leave)
            return await cluster.join(
                tags, port=port, protocols=[self.scheme], protocol_options=options
            )

        async with AsyncExitStack() as stack:
            yield join

    # --- a handler ---------------------------------------------------------------------------

    async def test_what_is_advertised_can_travel(self, handlers):
        props = await handlers[0].listen(lambda link: None)
        assert all(isinstance(k, str) and isinstance(v, str | int) for k, v in props.items())
        assert handlers[0].scheme == self.scheme

    async def test_a_dial_to_nobody_is_refused(self, handlers):
        server, client = handlers
        props = await server.listen(lambda link: None)
        await server.close()
        with pytest.raises(ConnectionRefusedError):
            await client.dial(LOOPBACK, Endpoint(self.scheme, props), lambda link: None)

    @pytest.mark.parametrize("lie", LIES)
    async def test_a_dial_to_what_a_hostile_peer_advertises_is_refused(self, handlers, lie):
        """It opens a link after all, where what was changed is no matter, or ends in an OSError:
        what a peer says of its endpoints may be anything that can travel.
        """
        props = await handlers[0].listen(lambda link: None)
        changed = [lie(props, name) for name in props]
        for told in [{}, *changed] if lie is _left_out else changed:
            with contextlib.suppress(OSError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await handlers[1].dial(LOOPBACK, Endpoint(self.scheme, told), lambda link: None)
                assert told, "an endpoint that tells nothing cannot be dialled"

    async def test_a_link_that_is_not_wanted_ends(self, handlers):
        ends: list[End] = []

        def welcome(link):
            ends.append(End(link))
            return ends[0]

        props = await handlers[0].listen(lambda link: None)
        await handlers[1].dial(LOOPBACK, Endpoint(self.scheme, props), welcome)
        await ends[0].wait_lost()

    async def test_it_can_listen_again_after_it_was_closed(self, handlers):
        await handlers[0].listen(lambda link: None)
        await handlers[0].close()
        dialled, accepted = await linked(*handlers)
        dialled.link.send([b"again"])
        assert await accepted.take(1) == [b"again"]
        for end in (dialled, accepted):
            end.link.abort()
            await end.wait_lost()

    # --- a link ------------------------------------------------------------------------------

    async def test_both_ends_say_alike_whether_they_can_leave_this_machine(self, connect, handlers):
        dialled, accepted = await connect()
        assert dialled.link.local is accepted.link.local
        assert accepted.link.local or not handlers[0].local_only
        assert accepted.link.remote == ("" if accepted.link.local else LOOPBACK)

    async def test_a_large_frame_arrives_whole(self, connect):
        dialled, accepted = await connect()
        dialled.link.send([b"\x01" * LARGE_BYTES])
        assert await accepted.take(1) == [b"\x01" * LARGE_BYTES]

    async def test_an_empty_frame_arrives(self, connect):
        dialled, accepted = await connect()
        dialled.link.send([b"", b"after"])
        assert await accepted.take(2) == [b"", b"after"]

    async def test_a_thousand_frames_keep_their_order(self, connect):
        dialled, accepted = await connect()
        frames = [b"%d" % n * (n % 50) for n in range(1000)]
        for start in range(0, 1000, 7):
            dialled.link.send(frames[start : start + 7])
        assert await accepted.take(1000) == frames

    async def test_frames_go_both_ways_at_once(self, connect):
        dialled, accepted = await connect()
        for number in range(50):
            large = number % 5 == 0
            dialled.link.send([b"there %d" % number] + [b"x" * LARGE_BYTES] * large)
            accepted.link.send([b"back %d" % number] + [b"y" * LARGE_BYTES] * large)
        for end, word in ((accepted, b"there "), (dialled, b"back ")):
            small = [frame for frame in await end.take(60) if len(frame) < 100]
            assert small == [word + b"%d" % number for number in range(50)]

    async def test_close_delivers_what_was_sent_before(self, connect):
        dialled, accepted = await connect()
        dialled.link.send([b"z" * LARGE_BYTES] * 20 + [b"last"])
        dialled.link.close()
        assert (await accepted.take(21))[-1] == b"last"
        await accepted.wait_lost()

    @pytest.mark.parametrize("how", ["close", "abort"])
    @pytest.mark.parametrize("who", [0, 1])
    async def test_an_end_is_told_once_to_both(self, connect, how, who):
        ends = await connect()
        getattr(ends[who].link, how)()
        for end in ends:
            await end.wait_lost()
        for end in ends:
            end.link.close()
            end.link.abort()
        for _ in range(10):
            await asyncio.sleep(0)
        assert [end.times_lost for end in ends] == [1, 1]

    async def test_sending_after_the_end_is_no_error(self, connect):
        ends = await connect()
        ends[0].link.abort()
        for end in ends:
            await end.wait_lost()
        for end in ends:
            end.link.send([b"too late"])

    async def test_links_outlive_the_end_of_listening(self, connect, handlers):
        dialled, accepted = await connect()
        await handlers[0].close()
        dialled.link.send([b"still"])
        assert await accepted.take(1) == [b"still"]

    async def test_a_frame_over_the_receivers_limit_ends_the_link(self, connect):
        dialled, accepted = await connect(limit_bytes=1000)
        dialled.link.send([b"x" * 1000])
        assert await accepted.take(1) == [b"x" * 1000]
        dialled.link.send([b"x" * 1001])
        for end in (accepted, dialled):
            await end.wait_lost()
        assert accepted.frames.empty()
        assert (accepted.fault, dialled.fault) == (True, False)

    @pytest.mark.skipif(not FD_FOLDER.is_dir(), reason="no /proc")
    async def test_all_that_a_forked_child_must_let_go_of_is_told(self, connect, handlers):
        before = shared_descriptors()
        dialled, accepted = await connect()
        opened = shared_descriptors() - before
        told = descriptors(handlers[0], dialled.link, accepted.link)
        assert told <= opened
        if self.holds_listener:
            assert told == opened
        await handlers[0].close()
        assert {n for n in descriptors(handlers[0]) if n >= 0} <= shared_descriptors()

    # --- members -----------------------------------------------------------------------------

    async def test_two_members_talk_by_it(self, join):
        one, other = await join("one"), await join("other")
        heard: asyncio.Queue[Any] = asyncio.Queue()
        other.hook("event")(heard.put_nowait)
        await one.wait_for_services()
        await one.send("hello", resolve="other")
        message = await asyncio.wait_for(heard.get(), WAIT_SECONDS)
        assert (message.data, message.protocol) == ("hello", self.scheme)

    async def test_two_members_send_large_messages_at_once_before_they_are_linked(self, join):
        one, other = await join("one"), await join("other")
        heard: asyncio.Queue[Any] = asyncio.Queue()
        for cluster in (one, other):
            cluster.hook("event")(heard.put_nowait)
            await cluster.wait_for_services()
        await one.broadcast(b"1" * LARGE_BYTES)
        await other.broadcast(b"2" * LARGE_BYTES)
        async with asyncio.timeout(WAIT_SECONDS):
            bodies = {(await heard.get()).data, (await heard.get()).data}
        assert bodies == {b"1" * LARGE_BYTES, b"2" * LARGE_BYTES}

    async def test_links_that_break_lose_double_and_reorder_nothing(self, join):
        one, other = await join("one"), await join("other")
        heard: asyncio.Queue[Any] = asyncio.Queue()
        other.hook("event")(heard.put_nowait)
        await one.wait_for_services()
        await other.wait_for_services()
        for number in range(300):
            await one.send(number, resolve="other")
            if number % 20 == 0:
                await asyncio.sleep(0.01)
                for end in list(one.joined._ends.values()):
                    end.link.abort()
        async with asyncio.timeout(WAIT_SECONDS):
            assert [(await heard.get()).data for _ in range(300)] == list(range(300))

    @pytest.mark.parametrize("garbage", GARBAGE)
    async def test_a_strangers_garbage_ends_the_link_and_is_counted(
        self, join, handlers, garbage, caplog
    ):
        member, finder = await join("member"), await join("finder")
        (service,) = await finder.wait_for_services(resolve="member")
        for _ in range(3):
            ends: list[End] = []

            def welcome(link, ends=ends):
                ends.append(End(link))
                return ends[0]

            await handlers[1].dial(LOOPBACK, service.endpoints[0], welcome)
            ends[0].link.send(GARBAGE[garbage])
            await ends[0].wait_lost()
        counts = [n for reason, n in member.dropped.items() if reason.startswith("links: ")]
        assert counts == [3]
        warnings = [r for r in caplog.records if r.levelname == "WARNING"]
        assert len(warnings) == 1, "reported once, then only counted"


async def linked(
    server: ProtocolHandler, client: ProtocolHandler, **settings: Any
) -> Sequence[End]:
    """Opens a link; gives its dialled and its accepted end."""
    accepted: asyncio.Future[End] = asyncio.get_running_loop().create_future()
    dialled: list[End] = []

    def accept(link: Link) -> LinkReceiver:
        end = End(link, **settings)
        accepted.set_result(end)
        return end

    def welcome(link: Link) -> LinkReceiver:
        dialled.append(End(link))
        return dialled[-1]

    props = await server.listen(accept)
    await client.dial(LOOPBACK, Endpoint(server.scheme, props), welcome)
    assert len(dialled) == 1, "accept is called for a link before dial returns"
    return dialled[0], await asyncio.wait_for(accepted, WAIT_SECONDS)
