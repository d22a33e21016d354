"""``AsyncCluster``: a member of the mesh, in the event loop of its caller."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from math import inf
from random import Random, SystemRandom
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .announcers import Announcer, close_announcers, open_announcers
from .channels import Channels
from .config import (
    DEFAULT_ADDRESS,
    DEFAULT_PORT,
    ClusterConfig,
    check_offered,
    check_timeout,
    distinct,
)  # fmt: skip
from .errors import ClusterError, ConfigError, ForkedClusterError, NotJoined
from .hooks import HookRegistry
from .joining import Joining, entered_without_async
from .live import Go
from .mailbox import AsyncMailbox, Make
from .model import Door, Endpoint, Identity, Service
from .node.node import Node
from .node.snapshots import Snapshots
from .protocols import Context, Link, LinkReceiver, ProtocolHandler
from .protocols.registry import DEFAULT
from .query import AsyncQuery, OnEvent
from .queues.face import AsyncQueueing
from .resolver import Resolver, Words
from .rpc.face import AsyncCalling
from .runtime import exits, forking, guests, host
from .runtime.driver import Driver
from .runtime.endpoints import open_endpoints
from .runtime.hearing import Hearing
from .runtime.mailboxes import Mailboxes, Receive
from .runtime.networks import follow_networks, own_networks
from .runtime.realm import Realm, Upkeep, realm_of, with_room_for_seals
from .runtime.runners import Caller, LoopRunner, Runner
from .runtime.secrets import Secret, secrets_of, source_of
from .runtime.sending import Part, check_ack
from .timing import Timing
from .view import ClusterView
from .wire.frames import AckedEvent, Event

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

T = TypeVar("T")

logger = logging.getLogger("meshcluster")

SENDS_A_TURN = 256
"""Sends that find room and need not wait, before the event loop gets a turn."""


class AsyncCluster(ClusterView, AsyncCalling, AsyncQueueing):
    """Our handle on the mesh. Make it, place hooks, join::

        cluster = AsyncCluster()

        @cluster.hook("service.discovered")
        def discovered(service): ...

        async with cluster.join(tags=["web"]):
            ...

    Hooks may also be placed after joining; nothing that was discovered is missed.
    """

    def __init__(self) -> None:
        hooks = HookRegistry(
            allow_async=self._allow_async, clock=time.perf_counter, lock=threading.Lock()
        )
        super().__init__(hooks, Channels(), Mailboxes())
        self._boxes.changed = self._tell_offers
        self.door: Door = self
        """What services act through; the blocking face puts itself here."""
        self._id = os.urandom(16)
        self._random: Random = SystemRandom()
        self._boot = 0
        self.joined: Driver | None = None
        """The running member; the blocking face reads it."""
        self._upkeep: Upkeep | None = None
        self._joining = False
        self._inherited = False
        """This is the copy of a member in a forked child of its process."""
        self._sends = 0
        self._left = asyncio.Event()
        self._room = asyncio.Event()
        self._watchers: set[asyncio.Event] = set()
        forking.watch(self)

    _allow_async = True
    _make_runner: Callable[..., Runner] = staticmethod(LoopRunner)

    # --- joining -----------------------------------------------------------------------------

    def join(
        self, tags: Iterable[str] = (), *, cluster: str = "default", name: str | None = None,
        ttl: int = 0, address: str = DEFAULT_ADDRESS, port: int = DEFAULT_PORT,
        heartbeat_seconds: float = 1.0, expire_seconds: float = 30.0,
        channels: Iterable[int] = (), protocols: Iterable[str] | None = None,
        protocol_options: Mapping[str, Mapping[str, Any]] | None = None,
        interfaces: Iterable[str] | None = None, props: Mapping[str, Any] | None = None,
        observer: bool = False, seeds: Iterable[str] = (),
        mdns: AsyncZeroconf | bool | None = None,
        announcers: Iterable[str] = (),
        announcer_options: Mapping[str, Mapping[str, Any]] | None = None,
        timing: Timing | None = None, congestion: str = "block",
        secret: Secret = None, group: str | int | None = None,
    ) -> Joining:  # fmt: skip
        """Becomes a member. ``await`` it, or use it in ``async with``, which leaves at the end.

        Args:
            tags: words others can resolve us by.
            cluster: the mesh's name; members of other names are not seen.
            name: our label; by default the program's name, its process id and a bit of our id.
            ttl: how far beacons reach: 0 this host, 1 this LAN, 2 to 255 routed networks.
            address, port: the multicast group of the beacons, the same for all members. The
                environment variable ``MESHCLUSTER_PORT`` moves the default port.
            heartbeat_seconds: between two beacons.
            expire_seconds: how long a member that nothing was heard of is kept at most.
            channels: numbers we listen to besides 0, 1 and 2.
            protocols: schemes we offer, best first; by default unix, tcp, zeromq, udp.
            protocol_options: settings by scheme, such as ``{"tcp": {"port": 4000}}``.
            interfaces: names, patterns, addresses or networks of those to use beyond this host
                (``["eth0"]``), with ``!`` of those not to use (``["!docker*"]``); by default all
                that work.
            props: anything else to say of ourselves.
            observer: only look on: we know the others, may send and ask, and are asked, counted and
                told of nowhere.
            seeds: where members may be, for networks without multicast: ``"10.0.0.5"``,
                ``"[fe80::1%eth0]"``, names (looked up each time), with ``:port`` where that is not
                the beacons'. One that answers is enough to meet all.
            mdns: whether to be found by mDNS as well, with a ``ttl`` of 1 or more by default; or an
                ``AsyncZeroconf`` of this event loop, which is used and not closed.
            announcers: further ways to be found, of other packages, by name; ours are always used.
            announcer_options: settings by announcer, such as ``{"shelf": {"folder": "/mnt/m"}}``.
            timing: how quickly others are found to be gone, and what that costs: ``HOST``, ``LAN``
                or a ``Timing`` of your own; by default what fits ``ttl``.
            congestion: what becomes of a send to a member that has too much waiting (16,384
                messages or 64 MiB): ``"block"``, it waits for room for up to 30 s, then raises
                ``Congested``; ``"error"``, that at once; ``"drop_old"``, the oldest events that
                wait are given up; ``"disconnect"``, all that waits is given up and the link ended.
                What is given up is told (``send.lost``) and counted (``dropped``).
            secret: what all members know and nobody else: a key that ``meshcluster keygen`` made, a
                passphrase of 12 characters or more, a ``Path`` to a file with one a line, or
                several of these (the first one seals, all are understood). By default what
                ``MESHCLUSTER_SECRET_FILE`` or ``MESHCLUSTER_SECRET`` says; ``()`` for none. Without
                one only members of our user on this host are met sealed; with a ``ttl`` of 1 or
                more others are met in the open, which is warned of.
            group: a group of users of this host whose members meet, instead of our user's.

        Raises:
            ConfigError: a setting that cannot work, or is in use by another program.
            PluginError: a protocol or an announcer that is not known here, or claimed twice.
            MessageTooLarge: tags and props of more than 63 KiB.
            ForkedClusterError: it had joined when this process was forked from another.
        """
        self._check_own()
        config = partial(
            ClusterConfig, cluster=cluster,
            name=host.default_name(self._id) if name is None else name,
            tags=distinct("tags", tags), ttl=ttl, address=address,
            port=host.beacon_port(port),
            channels=tuple(channels) if isinstance(channels, Iterable) else channels,
            heartbeat_seconds=heartbeat_seconds, expire_seconds=expire_seconds,
            protocols=None if protocols is None else distinct("protocols", protocols),
            protocol_options=protocol_options or {}, props=props or {},
            interfaces=None if interfaces is None else distinct("interfaces", interfaces),
            observer=observer, seeds=distinct("seeds", seeds), mdns=mdns,
            announcers=distinct("announcers", announcers),
            announcer_options=announcer_options or {}, timing=timing, congestion=congestion,
            group=group,
        )  # fmt: skip
        secrets, source = secrets_of(secret, os.environ), source_of(secret, os.environ)
        realm = partial(realm_of, source=source, secrets=secrets)
        return Joining(lambda: self._start(config(), realm), self)

    async def _start(
        self, config: ClusterConfig, realm: Callable[[ClusterConfig], Realm]
    ) -> AsyncCluster:
        if self.joined is not None or self._joining:
            raise ConfigError("joined already: leave() first, or make another cluster")
        self._joining = True
        try:
            return await self._open(with_room_for_seals(config), realm(config))
        finally:
            self._joining = False

    async def _open_announcers(self, config: ClusterConfig, realm: Realm) -> list[Announcer]:
        return await open_announcers(
            config, member_id=self._id, runtime_dir=realm.place(), made=forking.watch
        )

    async def _open(self, config: ClusterConfig, realm: Realm) -> AsyncCluster:
        offered = config.protocols or DEFAULT
        check_offered("protocol_options", config.protocol_options, offered)
        self._boot = max(self._boot + 1, time.time_ns())
        identity = Identity(self._id, self._boot, config.name, host.host_id())
        announcers: list[Announcer] = []
        handlers: dict[str, ProtocolHandler] = {}
        try:
            announcers = await self._open_announcers(config, realm)
            port = announcers[0].port
            endpoints = await self._endpoints(config, realm, handlers, networked=port != 0)
            node = Node(
                identity, config, self._hooks, self._random, endpoints=endpoints,
                port=port, lock=threading.Lock(),
                own_networks=own_networks(announcers),
                spoken={scheme: handler.local_only for scheme, handler in handlers.items()},
                snapshots=Snapshots(self.door), offers=self._boxes.offers, wall=time.time,
                keyring=realm.keyring,
            )  # fmt: skip
            self._check_own()
        except BaseException:
            if self._inherited:
                raise  # all that was opened is the parent's
            await close_announcers(announcers)
            for handler in handlers.values():
                await handler.close()
            raise
        self._left.clear()
        self._channels.join(*config.channels)
        driver = Driver(
            node, self._hooks, announcers=announcers, handlers=handlers,
            make_runner=self._make_runner, channels=self._channels, mailboxes=self._boxes,
        )  # fmt: skip
        driver.room = self._room.set
        driver.sender.changed = self._look_again
        self.joined = driver
        hearing = Hearing(driver)
        follow_networks(announcers, driver)
        for announcer in announcers:
            announcer.start(hearing)
        driver.start()
        self._upkeep = Upkeep(realm, config, self._id, driver.change_keys)
        exits.add(self._at_exit)
        return self

    async def _endpoints(
        self, config: ClusterConfig, realm: Realm, handlers: dict[str, ProtocolHandler], *,
        networked: bool,
    ) -> list[Endpoint]:  # fmt: skip
        context = partial(self._context, config, realm)
        return await open_endpoints(config, handlers, context, self._accept, networked=networked)

    def _context(self, config: ClusterConfig, realm: Realm, scheme: str) -> Context:
        """What a protocol is told of us."""
        return Context(
            cluster=config.cluster, member_id=self._id, host_only=config.ttl == 0,
            runtime_dir=realm.place(), options=config.protocol_options.get(scheme, {}),
            message_bytes=config.limits.message_bytes,
            ask=None if realm.keyring.is_secret else partial(self._guest, scheme),
        )  # fmt: skip

    def _accept(self, scheme: str, link: Link) -> LinkReceiver | None:
        return self.joined.accept(scheme, None, link) if self.joined else None

    def _guest(self, scheme: str, remote: str, body: bytes, answer: guests.Answer) -> None:
        if self.joined is None or not self.joined.joined:
            answer(b"busy", b"")
        elif not self.joined.node.near(remote, "guests"):
            answer(b"error", b"this member speaks to no one where you are")
        else:
            guests.asked(self.joined.runner.question, scheme, remote, body, answer)

    @property
    def _driver(self) -> Driver:
        if self.joined is None:
            raise self._not_joined()
        return self.joined

    def _not_joined(self) -> ClusterError:
        self._check_own()
        how = "await" if self._allow_async else "call"
        return NotJoined(f"not joined: {how} join() first")

    def _check_own(self) -> None:
        if self._inherited:
            raise ForkedClusterError

    def _forked(self) -> None:
        """In a forked child: a member is the parent's, of which only this shell is left."""
        driver, self.joined = self.joined, None
        if driver is not None or self._joining:
            self._inherited = True
            self._left.set()  # who waits is to look
        self._id = os.urandom(16)  # or all children that join with the same hooks were one member
        if driver is not None:
            driver.forked()
        self._room.set()
        self._look_again()

    async def leave(self, *, timeout: float | None = None) -> None:
        """Takes nothing new, ends what runs, says goodbye, closes everything.

        Who asks us from here on gets ``ServiceLost`` at once, who tells us something learns that it
        was not taken (``send.lost``), and what we send raises ``NotJoined``. Hooks that run may
        end; what they answer, and what was sent before, is delivered and acknowledged. What has not
        ended by then is logged and counted, and ``send.lost`` tells what nobody acknowledged.

        Idempotent; may be called from a hook, which is not waited for. Cancelled, it says goodbye
        and closes at once. Who ends the program without it is still told to have left.

        Args:
            timeout: seconds until the goodbye is said, whatever still runs; by default
                ``limits.leave_seconds``, 1. Where nothing is to be ended it does not wait.

        Raises:
            ConfigError: ``timeout`` is no duration.
        """
        if self.joined is not None:
            await self._leave(timeout, self.joined.runner.caller)

    async def _leave(self, timeout: float | None, caller: Caller) -> None:
        if (driver := self.joined) is None:
            return
        seconds = None if timeout is None else check_timeout(timeout)
        try:
            await driver.leave(seconds, caller)
        finally:
            if self.functions is not None:
                await self.functions.close()
            if self.joined is driver:
                self.joined = None
                if self._upkeep is not None:
                    self._upkeep.close()
                exits.discard(self._at_exit)
                self._hooks.added = lambda hook: None
                self._left.set()
                self._look_again()
            if self.queues is not None:
                self.queues.close()

    def _at_exit(self) -> None:
        if self.joined is not None:
            self.joined.farewell()

    async def run_forever(self) -> None:
        """Returns when the cluster is left (by a hook, for instance).

        Raises:
            NotJoined: it has not joined.
        """
        if self.joined is None and not self._left.is_set():
            raise self._not_joined()
        self._check_own()
        await self._left.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.leave()

    if not TYPE_CHECKING:  # which refuses it by itself
        __enter__ = __exit__ = entered_without_async

    # --- hooks and members -------------------------------------------------------------------

    def _place(self, point: str, function: Any, **filters: Any) -> None:
        self._check_own()
        self._hooks.add(point, function, **filters)

    def _displace(self, function: Any) -> int:
        self._check_own()
        return self._hooks.remove(function)

    def _in_loop(self, function: Callable[[], T]) -> T:
        return function()

    def _from_threads(self) -> tuple[Go, Callable[[], bool]]:
        loop, thread = asyncio.get_running_loop(), threading.get_ident()

        def go(*args: Any, **named: Any) -> Future[Any]:
            call = self.call(*args, **named)
            try:
                return asyncio.run_coroutine_threadsafe(call, loop)
            except RuntimeError:  # the loop is closed
                call.close()
                raise NotJoined("the cluster's loop has ended") from None

        return go, lambda: threading.get_ident() == thread and loop.is_running()

    async def wait_for_services(
        self, count: int = 1, *, resolve: Words | None = None, timeout: float = 10.0
    ) -> tuple[Service, ...]:
        """The members that match, once there are at least ``count``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
        """
        meant = "" if resolve is None else f" with resolve={resolve!r}"
        return await self._wait_for(
            lambda: self._driver.sender.resolve(resolve), count, meant, timeout
        )

    async def _wait_for(
        self, find: Callable[[], tuple[Service, ...]], count: int, meant: str, timeout: float
    ) -> tuple[Service, ...]:
        """What ``find`` finds among the members, once that is at least ``count``."""
        found = find()
        if len(found) >= count:
            return found
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            async with asyncio.timeout(timeout):
                while len(found := find()) < count:
                    watcher.clear()
                    await watcher.wait()
        except TimeoutError:
            there = self._driver.sender.there
            raise TimeoutError(
                f"{len(found)} of {count} services{meant} after {timeout:g} s; {there}"
            ) from None
        finally:
            self._watchers.discard(watcher)
        return found

    def _look_again(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    def mailbox(
        self, name: str, receive: Receive | None = None, *, offer: object = None
    ) -> AsyncMailbox:
        """A mailbox: how a library talks to its own kind, unseen by ``event`` and ``query`` hooks.

        Args:
            name: the same on every member that is to talk; one mailbox of a name on each.
            receive: plain function called in the event loop, in order, with each ``Letter``; it
                must not block. What it returns answers a request (or ``LATER``: ``letter.reply``
                will be called). None: this member only asks.
            offer: what others see as ``service.offers[name]``: a plain value; needs ``receive``.

        Raises:
            ConfigError: the name is taken, or no short text; ``receive`` is no plain function; an
                offer that cannot travel.
            MessageTooLarge: more than a member may say of itself.
        """
        self._boxes.open(name, receive, offer)
        return AsyncMailbox(
            name, self._boxes, lambda: self._driver, self._in_loop, self._commit, self._wait_for
        )

    def _tell_offers(self) -> None:
        if self.joined is not None:
            offers = dict(self._boxes.offers)
            self.joined.touch(lambda driver, now: driver.node.describe(now, offers=offers))

    # --- messages ----------------------------------------------------------------------------

    async def send(
        self, data: object, *, resolve: Words | None = None, resolver: Resolver | None = None,
        services: Iterable[Service] | None = None, channel: int = 0,
        protocols: Sequence[str] | None = None, ack: bool = False, timeout: float = 30.0,
    ) -> tuple[Service, ...]:  # fmt: skip
        """Tells something to some members; their ``event`` hooks get it, in order, once.

        Args:
            data: None, bool, int, float, str, bytes, list, tuple, set, dict, datetime, inside each
                other at will, or a dataclass or Struct; it arrives exactly as it is.
            resolve: words a receiver must all have (one string is one word).
            resolver: tests such as ``["-has", "web", "-not", "old"]``.
            services: the receivers themselves; with the others: whoever any of them means.
            channel: the number it travels on.
            protocols: only these protocols, by a session of their own. ``["udp"]``: a datagram to
                each, that may be lost and overtaken.
            ack: returns when their ``event`` hooks have returned, all of them at all receivers.
                In an ``event`` hook it holds up those that come after it: two that tell each other
                so wait until the ``timeout``. ``docs/promises.md`` says what is promised.
            timeout: with ``ack``: seconds until those who have not answered are given up.

        Returns:
            The services it was queued for; with ``ack`` those that handled it.

        Raises:
            NoServices: nobody matched, or none of the three was given.
            NoRoute: a receiver offers none of ``protocols``.
            EncodeError, MessageTooLarge: ``data`` cannot be sent as it is. By udp alone, what does
                not fit a datagram of 1,200 bytes.
            HookRejected, HookFailed: a ``send`` hook vetoed, or broke.
            Congested: a receiver has not taken what waits for it for 30 s; see ``congestion`` of
                ``join``.

        Raises (``ack`` alone):
            RemoteError: a hook of the receiver raised, or its ``receive`` hook refused it.
            OutcomeUnknown: it left, and no answer came: lost, restarted, too late. It was handled
                once or not at all, and is not sent again.
            NoResponder: the receiver has no ``event`` hook for it.
            ServiceLost, NoRoute: the receiver left or could not be reached; it was not handled.
            NotAcknowledged: of several receivers some failed; its ``errors`` has one of these for
                each.
            ConfigError: by udp alone nothing is acknowledged; a ``timeout`` that is no duration.
        """
        driver = self.joined or self._driver
        if resolver is None and protocols is None and not ack:
            sent = driver.tell(data, resolve, services, channel)
            if sent is not None:
                self._sends += 1
                if self._sends % SENDS_A_TURN == 0:  # or a tight loop of sends would starve ours
                    await asyncio.sleep(0)
                return sent
        if ack:
            check_ack(protocols)
        parts = driver.sender.event(data, resolve, resolver, services, channel, protocols)
        return await (self._promised(parts, timeout) if ack else self._commit(parts))

    async def broadcast(
        self, data: object, *, channel: int = 0, protocols: Sequence[str] | None = None,
        ack: bool = False, timeout: float = 30.0,
    ) -> tuple[Service, ...]:  # fmt: skip
        """Tells something to every member known now. Like ``send``; nobody there is no error, and
        who offers none of ``protocols`` is left out. ``["udp"]``: one datagram to all that
        multicast reaches, and one to each of the others.
        """
        if ack:
            check_ack(protocols)
        parts = self._driver.sender.event_to_all(data, channel, protocols)
        return await (self._promised(parts, timeout) if ack else self._commit(parts))

    async def _promised(self, parts: Sequence[Part], timeout: float) -> tuple[Service, ...]:
        """Sends, and waits until all receivers have acknowledged it, or will not."""
        driver = self._driver
        timeout = check_timeout(timeout)
        congestion = driver.congestion
        if congestion.congested(parts, ack=True) and not congestion.relieve(
            parts, AckedEvent, ack=True
        ):
            began = driver.time()
            await self._wait_for_room(driver, parts, ack=True, timeout=timeout)
            timeout = max(0.0, timeout - (driver.time() - began))
        if not parts:
            return ()
        ended = asyncio.Event()
        promise = driver.asking.promise(parts, timeout, ended.set)
        try:
            await ended.wait()
        finally:
            driver.asking.withdraw(promise)
        return promise.result()

    async def _commit(self, parts: Sequence[Part], make: Make = Event) -> tuple[Service, ...]:
        driver = self._driver
        if driver.congestion.congested(parts) and not driver.congestion.relieve(parts, make):
            await self._wait_for_room(driver, parts)
        return driver.commit(parts, make)

    async def _wait_for_room(
        self, driver: Driver, parts: Sequence[Part], *, ack: bool = False, timeout: float = inf
    ) -> None:
        seconds = min(driver.config.limits.send_seconds, timeout)
        try:
            async with asyncio.timeout(seconds):
                while driver.congestion.congested(parts, ack=ack):
                    driver.full = True
                    self._room.clear()
                    await self._room.wait()
                    if not driver.joined:
                        raise NotJoined("the cluster was left meanwhile")
        except TimeoutError:
            raise driver.congestion.too_slow(parts, seconds, ack=ack) from None

    def query(
        self, query: object = None, *, resolve: Words | None = None,
        resolver: Resolver | None = None, services: Iterable[Service] | None = None,
        timeout: float = 30.0, channel: int = 0, protocols: Sequence[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> AsyncQuery:  # fmt: skip
        """Asks members and collects their answers; returns at once.

        Args:
            query: what is asked: anything ``send`` takes.
            resolve, resolver, services: whom; without them everybody. See ``send``.
            timeout: seconds until those who have not answered are given up.
            channel, protocols: see ``send``.
            on_event: called as ``on_event(name, query)`` with "start", "response", "error",
                "timeout" and, last and always, "done"; may return ``STOP``.

        Raises:
            EncodeError, NoRoute, HookRejected, HookFailed: see ``send``. That nobody matches is
            raised by ``wait`` and iteration; just after joining they first wait for members.
        """
        asking = (self.joined or self._driver).asking
        gathering = asking.gathering(timeout, watched=on_event is not None)
        made = AsyncQuery(gathering, asking, on_event)
        if not asking.tell(
            gathering, made, query, resolve, resolver, services, channel, protocols, at_once=True
        ):
            asking.query(gathering, made, *asking.questions(
                gathering.id, query, resolve, resolver, services, channel, protocols
            ))  # fmt: skip
        return made
