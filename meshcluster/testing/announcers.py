"""What every announcer promises, as tests: ours pass them, and another package's do with a few
lines in its own test file. They need pytest and pytest-asyncio::

    from meshcluster.testing.announcers import AnnouncerContract

    class TestMine(AnnouncerContract):
        name = "mine"
        hints = True        # where it brings hints and carries no datagrams

The announcer is found by its name, as members find it: through its package's entry point. All runs
with real sockets and files on this machine, at ``ttl=0``, without a network.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ..announcers import Announcer, Context, MulticastAnnouncer, close_announcers, load
from ..cluster import AsyncCluster
from ..config import DEFAULT_ADDRESS, ClusterConfig
from ..model import HERE, LOOPBACK, UNIX, Address, Endpoint
from ..runtime.realm import Realm
from ..wire import codec
from ..wire.frames import Beacon, Leave
from ..wire.txt import Record
from .contract import (
    FD_FOLDER,
    WAIT_SECONDS,
    descriptors,
    free_port,
    shared_descriptors,
    short_folder,
)

AGAIN_SECONDS = 0.1
"""A member announces itself again and again; here it does so this often."""

SOURCELESS = [(LOOPBACK, 99_999), (UNIX, 0), (UNIX + "0" * 16, 0), (HERE, 0), ("192.0.2.7", 9)]
"""Addresses that lead nowhere."""


@dataclass
class Ear:
    """What an announcer pushes into: keeps all of it. ``members`` are those known."""

    datagrams: asyncio.Queue[tuple[bytes, Address]] = field(default_factory=asyncio.Queue)
    hints: asyncio.Queue[tuple[tuple[bytes, int], Address]] = field(default_factory=asyncio.Queue)
    gone: asyncio.Queue[tuple[bytes, int]] = field(default_factory=asyncio.Queue)
    drops: list[str] = field(default_factory=list)
    members: list[tuple[bytes, Address]] = field(default_factory=list)

    def datagram_received(self, data: bytes, source: Address) -> None:
        """Keeps it."""
        self.datagrams.put_nowait((bytes(data), source))

    def datagram_refused(self, address: Address) -> None:
        """Here nobody asks."""

    def hinted(self, hint: Record | bytes, address: Address) -> None:
        """Keeps whose it is."""
        self.hints.put_nowait((whose(hint), address))

    def vanished(self, hint: Record | bytes) -> None:
        """Keeps whose it was."""
        self.gone.put_nowait(whose(hint))

    def dropped(self, reason: str) -> None:
        """Keeps the reason."""
        self.drops.append(reason)

    def known(self) -> Iterable[tuple[bytes, Address]]:
        """Who need not be looked for."""
        return self.members


def whose(hint: Record | bytes) -> tuple[bytes, int]:
    """The id and the run of the member that a hint is of."""
    told = codec.decode_datagram(hint) if isinstance(hint, bytes) else hint
    return told.id, told.boot


@dataclass
class Told:
    """A member as announcers have it: one of them, open and started, and what it brings."""

    context: Context
    announcer: Announcer
    ear: Ear

    @property
    def name(self) -> tuple[bytes, int]:
        """Its id and its run."""
        return self.context.member_id, 1

    def announce(self) -> None:
        """As its member would."""
        own = self.context
        endpoints = (Endpoint("tcp", {"port": 4000}),)
        beacon = Beacon(own.cluster, own.member_id, 1, 1, bytes(8), endpoints, 1, 1)
        self.announcer.announce(codec.encode_datagram(beacon))

    def say_goodbye(self) -> None:
        """As its member would."""
        leave = Leave(self.context.cluster, self.context.member_id, 1)
        self.announcer.announce(codec.encode_datagram(leave))


class _Mute(MulticastAnnouncer):
    """The member's own port without its beacons."""

    def announce(self, data: bytes) -> None:
        """Nothing."""


class _Alone(AsyncCluster):
    """A member that one announcer is all it has to be found by."""

    def __init__(self, make: Callable[[Context], Announcer], folder: Path) -> None:
        super().__init__()
        self._make_announcer = make
        self._folder = folder

    async def _open_announcers(self, config: ClusterConfig, realm: Realm) -> list[Announcer]:
        own = _Mute(config.address, config.port, config.ttl)
        await own.open()
        context = Context(
            cluster=config.cluster, group=f"{config.address}:{config.port}", ttl=0,
            member_id=self._id, port=own.port, runtime_dir=self._folder,
            addresses=lambda: (LOOPBACK,),
        )  # fmt: skip
        announcer = self._make_announcer(context)
        await announcer.open()
        return [own, announcer]


@pytest.mark.asyncio
class AnnouncerContract:
    """Subclass it with a ``name``; ``options`` are the announcer's part of ``announcer_options``.

    ``hints``: what it brings are hints. ``make`` may make the announcer in another way.
    """

    name: str
    options: Mapping[str, Any] = {}
    hints = False

    def make(self, context: Context) -> Announcer:
        """The announcer of a member."""
        return load(self.name, context)

    # --- what the tests are given ------------------------------------------------------------

    @pytest.fixture
    def own_folder(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A runtime directory for this test alone; its path is short, as sockets need it."""
        with short_folder() as folder:
            monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(folder))
            yield folder

    @pytest_asyncio.fixture
    async def told(self, own_folder: Path) -> AsyncIterator[Callable[..., Awaitable[Told]]]:
        """Opens and starts the announcer of a member; all are closed at the end."""
        opened: list[Told] = []
        port = free_port()

        async def told(number: int, *, cluster: str = "default", beacons: int = port) -> Told:
            context = Context(
                cluster=cluster, group=f"{DEFAULT_ADDRESS}:{beacons}", ttl=0, port=5000 + number,
                member_id=bytes([number] * 16), runtime_dir=own_folder,
                addresses=lambda: (LOOPBACK,), options=dict(self.options),
            )  # fmt: skip
            made = Told(context, self.make(context), Ear())
            opened.append(made)
            await made.announcer.open()
            made.announcer.start(made.ear)
            return made

        try:
            yield told
        finally:
            await close_announcers([each.announcer for each in opened])
            await asyncio.sleep(0)

    async def heard(self, by: Told, whom: Told) -> Address:
        """The address that ``by`` is brought with what ``whom`` announces; both do, again and
        again, as members.
        """
        found: asyncio.Queue[Any] = by.ear.hints if self.hints else by.ear.datagrams
        source: Address
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                by.announce()
                whom.announce()
                with contextlib.suppress(TimeoutError):
                    while True:
                        what, source = await asyncio.wait_for(found.get(), AGAIN_SECONDS)
                        if (what if self.hints else whose(what)) == whom.name:
                            return source

    # --- telling and hearing -----------------------------------------------------------------

    async def test_what_one_announces_is_brought_to_the_others(self, told):
        one, two, three = await told(1), await told(2), await told(3)
        two.announce()
        for other in (two, three):
            await self.heard(other, one)
        await self.heard(one, two)

    async def test_the_address_that_is_brought_leads_to_the_member(self, told):
        one, two = await told(1), await told(2)
        source = await self.heard(two, one)
        if self.hints:
            assert source == (LOOPBACK, one.context.port)
            return
        assert two.announcer.reaches(source) is True
        two.announcer.send(b"who are you", source)
        back = await arrived(one, b"who are you")
        assert one.announcer.reaches(back) is True
        one.announcer.send(b"I am one", back)
        assert await arrived(two, b"I am one") == source

    async def test_meshes_with_other_groups_or_names_do_not_hear_of_each_other(self, told):
        one, same = await told(1), await told(2)
        others = [await told(3, beacons=free_port())]
        if self.hints:  # datagrams of another name are the member's to refuse
            others.append(await told(4, cluster="other"))
        for other in others:
            other.announce()
            other.announce()
        await self.heard(same, one)
        await self.heard(one, same)
        strangers = {each.name for each in others}
        for each in (one, same):
            brought = [whose(data) for data, _ in emptied(each.ear.datagrams)]
            brought += [name for name, _ in emptied(each.ear.hints)]
            assert not strangers.intersection(brought)

    async def test_a_goodbye_is_brought(self, told):
        one, two = await told(1), await told(2)
        await self.heard(two, one)
        one.say_goodbye()
        one.announcer.close()
        async with asyncio.timeout(WAIT_SECONDS):
            if self.hints:
                assert await two.ear.gone.get() == one.name
                return
            while True:
                data, _ = await two.ear.datagrams.get()
                if isinstance(codec.decode_datagram(data), Leave):
                    return

    # --- bounds ------------------------------------------------------------------------------

    async def test_what_it_cannot_do_is_lost_without_an_error(self, told):
        one = await told(1)
        for address in SOURCELESS:
            assert one.announcer.reaches(address) in (True, False)
            assert not (self.hints and one.announcer.reaches(address))
            one.announcer.send(b"lost", address)
            one.announcer.send(b"x" * 1200, address)

    async def test_before_start_and_after_close_nothing_happens(self, own_folder):
        group = f"{DEFAULT_ADDRESS}:{free_port()}"
        context = Context("default", group, bytes(16), 0, 5000, own_folder, options=self.options)
        one = Told(context, self.make(context), Ear())
        one.announcer.close()
        await one.announcer.open()
        one.announce()
        one.announcer.start(one.ear)
        await close_announcers([one.announcer])
        one.announcer.close()
        one.announce()
        one.announcer.send(b"too late", (UNIX + "0" * 16, 0))
        await asyncio.sleep(0)
        for brought in (one.ear.datagrams, one.ear.hints, one.ear.gone):
            assert brought.empty()

    @pytest.mark.skipif(not FD_FOLDER.is_dir(), reason="no /proc")
    async def test_what_it_holds_is_told_to_forked_children_and_let_go_of_at_the_end(self, told):
        before = shared_descriptors()
        one, two = await told(1), await told(2)
        await self.heard(two, one)
        opened = shared_descriptors() - before
        assert descriptors(one.announcer, two.announcer) >= {
            each for each in opened if is_socket(each)
        }
        await close_announcers([one.announcer, two.announcer])
        assert shared_descriptors() <= before

    @pytest.mark.skipif(not FD_FOLDER.is_dir(), reason="no /proc")
    async def test_at_ttl_0_nothing_outside_this_host_can_reach_it(self, told):
        before = shared_descriptors()
        one = await told(1)
        two = await told(2)
        await self.heard(two, one)
        assert outward(shared_descriptors() - before) == []

    # --- members -----------------------------------------------------------------------------

    async def test_members_that_it_is_all_they_have_meet_talk_and_part(self, own_folder):
        port = free_port()
        async with AsyncExitStack() as stack:
            one, two = _Alone(self.make, own_folder), _Alone(self.make, own_folder)
            for name, cluster in (("one", one), ("two", two)):
                stack.push_async_callback(cluster.leave)
                await cluster.join(name=name, port=port, heartbeat_seconds=AGAIN_SECONDS)
            lost: asyncio.Queue[Any] = asyncio.Queue()
            two.hook("service.lost")(lost.put_nowait)
            for cluster in (one, two):
                (other,) = await cluster.wait_for_services(timeout=WAIT_SECONDS)
                assert other.local
            heard: asyncio.Queue[Any] = asyncio.Queue()
            two.hook("event")(heard.put_nowait)
            await one.send("hello", resolve="two")
            message = await asyncio.wait_for(heard.get(), WAIT_SECONDS)
            assert (message.data, message.service.name) == ("hello", "one")
            await one.leave()
            assert (await asyncio.wait_for(lost.get(), WAIT_SECONDS)).name == "one"


def emptied(queue: asyncio.Queue[Any]) -> list[Any]:
    """What is in it, taken out."""
    return [queue.get_nowait() for _ in range(queue.qsize())]


async def arrived(at: Told, data: bytes) -> Address:
    """Where a datagram came from, once it is there; what else came is passed over."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            found, source = await at.ear.datagrams.get()
            if found == data:
                return source


def is_socket(descriptor: int) -> bool:
    """Whether it is one of a socket."""
    return (FD_FOLDER / str(descriptor)).readlink().name.startswith("socket:")


def outward(descriptors: Iterable[int]) -> list[Any]:
    """The names of those sockets among them that something outside this host could send to."""
    found = []
    for descriptor in filter(is_socket, descriptors):
        with socket.socket(fileno=os.dup(descriptor)) as held:
            if held.family not in (socket.AF_INET, socket.AF_INET6) or not held.getsockname()[1]:
                continue
            ip = ipaddress.ip_address(held.getsockname()[0])
            device = held.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
            if not ip.is_loopback and not ip.is_multicast and device.rstrip(b"\0") != b"lo":
                found.append(held.getsockname())
    return found
