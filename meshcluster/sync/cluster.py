"""``Cluster``: a member of the mesh for blocking code, with a loop in a thread of its own.

The methods are those of ``AsyncCluster``. Sending does not wait for the loop: everything but the
queueing happens in the caller's thread (see ``runtime/sending.py``).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..cluster import AsyncCluster
from ..config import DEFAULT_ADDRESS, DEFAULT_PORT, Limits, check_timeout
from ..errors import ClusterError, NotJoined
from ..live import Go
from ..mailbox import Make
from ..model import Service
from ..node.queries import Gathering
from ..query import OnEvent
from ..resolver import Resolver, Words
from ..runtime import exits, forking
from ..runtime.driver import Driver
from ..runtime.mailboxes import Receive
from ..runtime.runners import Caller, HookCalls, ThreadRunner
from ..runtime.secrets import Secret
from ..runtime.sending import Part, check_ack
from ..runtime.workers import Workers
from ..timing import Timing
from ..view import ClusterView
from ..waits import take
from ..wire.frames import AckedEvent, Event
from .bell import Bell
from .calling import Calling
from .mailbox import Mailbox
from .portal import Portal
from .query import Query
from .queueing import Queueing

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncZeroconf

    from ..queues.queues import Queues
    from ..rpc.call import Call
    from ..rpc.functions import Functions

T = TypeVar("T")

THREAD_END_SECONDS = 1.0
"""How long leave waits for each thread that runs hooks; a hook that blocks longer is left alone."""

LEAVE_SECONDS = 5.0
"""How long leave waits for the loop beside its timeout; more than it needs while anybody lets the
loop run."""

logger = logging.getLogger("meshcluster")


class _Threaded(AsyncCluster):
    """The async cluster inside, with hooks that run on threads."""

    _allow_async = False

    def __init__(self) -> None:
        super().__init__()
        self.runner: ThreadRunner | None = None

    def _make_runner(self, calls: HookCalls, took: Any, limits: Limits) -> ThreadRunner:
        self.runner = ThreadRunner(calls, took, limits)
        return self.runner


class Cluster(ClusterView, Calling, Queueing):
    """Our handle on the mesh. ``meshcluster.join(...)`` makes one and joins; or::

        cluster = Cluster()

        @cluster.hook("service.discovered")
        def discovered(service): ...

        cluster.join(tags=["web"])

    A context manager that leaves. Safe to use from any thread. Observers and ``event`` hooks run in
    order on one thread, ``query`` hooks on a few others; blocking calls are allowed in all of them.
    """

    def __init__(self) -> None:
        self._cluster = _Threaded()
        super().__init__(self._cluster._hooks, self._cluster._channels, self._cluster._boxes)
        self._cluster.door = self
        self._portal: Portal | None = None
        self._callbacks: Workers | None = None
        self._running: Driver | None = None
        """The last member that joined, until its thread has ended."""
        self._bell = Bell()
        """Rung when there is room to send, and when the cluster was left."""
        self._lock = threading.RLock()  # a signal's handler may leave while its thread joins
        self._joining = False
        self._leave_asked = False
        forking.watch(self)

    def _forked(self) -> None:
        """In a forked child: the thread that held the lock may not be there to release it."""
        self._lock = threading.RLock()
        if self._joining or self._portal is not None:
            self._cluster._inherited = True  # also while it is not joined yet, or no more

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
    ) -> Self:  # fmt: skip
        """Becomes a member and returns itself. Arguments and errors as ``meshcluster.join``."""
        joining = self._cluster.join(
            tags, cluster=cluster, name=name, ttl=ttl, address=address, port=port,
            heartbeat_seconds=heartbeat_seconds, expire_seconds=expire_seconds, channels=channels,
            protocols=protocols, protocol_options=protocol_options, interfaces=interfaces,
            props=props, observer=observer, seeds=seeds, mdns=mdns, announcers=announcers,
            announcer_options=announcer_options, timing=timing, congestion=congestion,
            secret=secret, group=group,
        )  # fmt: skip

        async def start() -> None:
            await joining
            driver = self._running = self._driver
            driver.room = self._bell.ring

        with self._lock:
            if self._portal is not None:
                raise ClusterError("joined already: leave() first, or make another cluster")
            self._joining, self._leave_asked = True, False
            try:
                self._open(start)
            finally:
                self._joining = False
        if self._leave_asked:
            self.leave()
        return self

    def _open(self, start: Callable[[], Coroutine[Any, Any, None]]) -> None:
        portal = self._portal = Portal("meshcluster")
        try:
            portal.open()
            portal.call(start)
            self._callbacks = Workers("meshcluster-callbacks", 1)
            exits.add(self.leave)
        except BaseException:
            try:
                portal.call(self._cluster.leave)  # an interrupt may come when we have joined
            finally:
                portal.close()
                self._portal = None
            raise

    def leave(self, *, timeout: float | None = None) -> None:
        """Takes nothing new, ends what runs, says goodbye, closes everything; see
        ``AsyncCluster.leave``.

        Idempotent; may be called from a hook that is not an interceptor, and in the handler of a
        signal, whatever that interrupted: inside ``join`` it leaves when ``join`` is done. An
        exception of such a handler (a second Ctrl-C) ends it at once, but the goodbye is said. Does
        nothing in a forked child.

        Args:
            timeout: seconds until the goodbye is said, whatever still runs; by default 1.

        Raises:
            ConfigError: ``timeout`` is no duration.
            ClusterError: called from an interceptor or a ``service.validate`` hook.
        """
        if self._cluster._inherited:
            return
        seconds = LEAVE_SECONDS + (0.0 if timeout is None else check_timeout(timeout))
        if self._portal is not None:
            self._portal.check_outside()
        with self._lock:  # another thread's join is waited for
            if self._joining:  # our own: we are in a handler that interrupted it
                self._leave_asked = True
                return
            portal, callbacks, runner = self._portal, self._callbacks, self._cluster.runner
        if portal is None:
            return
        caller = Caller.NO_HOOK if runner is None else runner.caller
        try:
            portal.call(lambda: self._cluster._leave(timeout, caller), seconds)
        except TimeoutError:
            # The loop waits for a lock that the interrupted code holds, such as logging's: it goes
            # on when the handler returns. At the interpreter's end we are called again.
            return
        except NotJoined:
            pass  # another thread was quicker
        except BaseException:
            self._close(portal, callbacks, runner, 0.0)
            raise
        self._close(portal, callbacks, runner, THREAD_END_SECONDS)

    def _close(
        self, portal: Portal, callbacks: Workers | None, runner: ThreadRunner | None, wait: float
    ) -> None:
        for workers in (callbacks, *(runner.workers if runner else ())):
            if workers is not None:
                workers.close(wait)
        portal.close()
        with self._lock:
            if self._portal is portal:
                if self._running is not None:  # what was asked too late for the loop to hear
                    self._running.asking.abandon(NotJoined("the cluster was left"))
                self._portal = self._running = None
                exits.discard(self.leave)
        self._bell.ring()

    def run_forever(self) -> None:
        """Returns when the cluster is left, or leaves at Ctrl-C.

        Raises:
            NotJoined: it has not joined.
        """
        if self._portal is None and not self._cluster._left.is_set():
            raise self._cluster._not_joined()
        self._cluster._check_own()
        try:
            self._bell.wait_for(lambda: self._portal is None)
        except KeyboardInterrupt:
            self.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.leave()

    @property
    def _driver(self) -> Driver:
        return self._cluster._driver

    @property
    def _loop(self) -> Portal:
        if self._portal is None:
            raise self._cluster._not_joined()
        return self._portal

    # --- hooks and members -------------------------------------------------------------------

    def _place(self, point: str, function: Any, **filters: Any) -> None:
        self._in_loop(lambda: self._cluster._place(point, function, **filters))

    def _displace(self, function: Any) -> int:
        return self._in_loop(lambda: self._cluster._displace(function))

    def _in_loop(self, function: Callable[[], T]) -> T:
        """In the loop, or here when there is none, or none any more."""
        portal = self._portal
        if portal is not None:
            with suppress(NotJoined):
                return portal.run(function)
        return function()

    def _from_threads(self) -> tuple[Go, Callable[[], bool]]:
        return self.go, lambda: self._portal is not None and self._portal.inside

    def wait_for_services(
        self, count: int = 1, *, resolve: Words | None = None, timeout: float = 10.0
    ) -> tuple[Service, ...]:
        """The members that match, once there are at least ``count``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds; the text says how many, and
                who is there.
            NotJoined: the cluster was left meanwhile.
        """
        wait = self._cluster.wait_for_services
        return self._loop.call(lambda: wait(count, resolve=resolve, timeout=timeout))

    def mailbox(
        self, name: str, receive: Receive | None = None, *, offer: object = None
    ) -> Mailbox:
        """A mailbox: how a library talks to its own kind; see ``AsyncCluster.mailbox``.

        ``receive`` runs in the member's own loop: it must not block, nor make blocking calls.
        """
        self._in_loop(lambda: self._boxes.open(name, receive, offer))
        return Mailbox(
            name, self._boxes, lambda: self._driver, self._in_loop, self._commit, self._wait_for
        )

    @property
    def _functions(self) -> Functions:
        cluster = self._cluster
        if cluster.functions is None:  # made in the loop, where only one of several threads does
            self._in_loop(self._begin_functions)
        assert cluster.functions is not None
        return cluster.functions

    @property
    def _queues(self) -> Queues:
        if self._cluster.queues is None:
            self._in_loop(self._begin_queues)
        assert self._cluster.queues is not None
        return self._cluster.queues

    def _begin_queues(self) -> None:
        self._cluster.queues = self._cluster.queues or self._make_queues()

    def _begin_functions(self) -> None:
        self._cluster.functions = self._cluster.functions or self._make_functions()

    def _new_call(self) -> Call:
        from ..rpc.call import Call

        return Call(self._in_loop, self._check_outside)

    def _check_outside(self) -> None:
        self._loop.check_outside()

    def _wait_for(
        self, find: Callable[[], tuple[Service, ...]], count: int, meant: str, timeout: float
    ) -> tuple[Service, ...]:
        return self._loop.call(lambda: self._cluster._wait_for(find, count, meant, timeout))

    # --- messages ----------------------------------------------------------------------------

    def send(
        self, data: object, *, resolve: Words | None = None, resolver: Resolver | None = None,
        services: Iterable[Service] | None = None, channel: int = 0,
        protocols: Sequence[str] | None = None, ack: bool = False, timeout: float = 30.0,
    ) -> tuple[Service, ...]:  # fmt: skip
        """Tells something to some members; see ``AsyncCluster.send``.

        Waits only while a receiver has too much waiting, if at all (``congestion`` of ``join``),
        and with ``ack=True`` until all have handled it.
        """
        driver = self._cluster.joined or self._driver
        if resolver is None and protocols is None and not ack:
            sent = driver.tell(data, resolve, services, channel)
            if sent is not None:
                return sent
        if ack:
            check_ack(protocols)
        parts = driver.sender.event(data, resolve, resolver, services, channel, protocols)
        return self._promised(parts, timeout) if ack else self._commit(parts)

    def broadcast(
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
        return self._promised(parts, timeout) if ack else self._commit(parts)

    def _promised(self, parts: Sequence[Part], timeout: float) -> tuple[Service, ...]:
        driver = self._driver
        self._loop.check_outside()
        timeout = check_timeout(timeout)
        if self._crowded(driver, parts, AckedEvent, ack=True):
            began = driver.time()
            self._wait_for_room(driver, parts, ack=True, timeout=timeout)
            timeout = max(0.0, timeout - (driver.time() - began))
        if not parts:
            return ()
        ended: SimpleQueue[None] = SimpleQueue()
        promise = driver.asking.promise(parts, timeout, lambda: ended.put(None))
        try:
            take(ended)
        finally:
            driver.asking.withdraw(promise)
        return promise.result()

    def _commit(self, parts: Sequence[Part], make: Make = Event) -> tuple[Service, ...]:
        driver = self._driver
        if self._crowded(driver, parts, make):
            self._wait_for_room(driver, parts)
        return driver.commit(parts, make)

    def _crowded(
        self, driver: Driver, parts: Sequence[Part], make: Callable[..., Any], *, ack: bool = False
    ) -> bool:
        """Whether there is no room, and none could be made."""
        congestion = driver.congestion
        if not congestion.congested(parts, ack=ack):
            return False
        return congestion.waits or not self._in_loop(
            lambda: congestion.relieve(parts, make, ack=ack)
        )

    def _wait_for_room(
        self, driver: Driver, parts: Sequence[Part], *, ack: bool = False, timeout: float = inf
    ) -> None:
        seconds = min(driver.config.limits.send_seconds, timeout)

        def has_room() -> bool:
            driver.full = True  # before looking: room made from here on is told
            if not driver.joined:
                raise NotJoined("the cluster was left meanwhile")
            return not driver.congestion.congested(parts, ack=ack)

        patience = 0 if self._loop.inside else seconds  # in the loop nobody could make room
        if not self._bell.wait_for(has_room, patience):
            raise driver.congestion.too_slow(parts, seconds, ack=ack)

    def query(
        self, query: object = None, *, resolve: Words | None = None,
        resolver: Resolver | None = None, services: Iterable[Service] | None = None,
        timeout: float = 30.0, channel: int = 0, protocols: Sequence[str] | None = None,
        on_event: OnEvent | None = None,
    ) -> Query:  # fmt: skip
        """Asks members and collects their answers; returns at once. See ``AsyncCluster.query``.

        ``on_event`` is called on a thread of its own, in order.
        """
        asking = (self._cluster.joined or self._driver).asking
        gathering = asking.gathering(timeout, watched=on_event is not None)
        made = Query(
            gathering, self._cancel_query, on_event, self._call_back, self._loop.check_outside
        )
        if not asking.tell(
            gathering, made, query, resolve, resolver, services, channel, protocols, at_once=False
        ):
            asking.query_soon(gathering, made, *asking.questions(
                gathering.id, query, resolve, resolver, services, channel, protocols
            ))  # fmt: skip
        return made

    def _cancel_query(self, gathering: Gathering) -> None:
        driver = self._driver
        self._loop.run(lambda: driver.asking.cancel(gathering))

    def _call_back(self, function: Callable[..., None], *arguments: Any) -> None:
        callbacks = self._callbacks
        if callbacks is not None:
            callbacks.put(_contained, function, *arguments)


def _contained(function: Callable[..., None], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception:
        logger.exception("on_event of a query raised")


def join(
    tags: Iterable[str] = (), *, cluster: str = "default", name: str | None = None, ttl: int = 0,
    address: str = DEFAULT_ADDRESS, port: int = DEFAULT_PORT, heartbeat_seconds: float = 1.0,
    expire_seconds: float = 30.0, channels: Iterable[int] = (),
    protocols: Iterable[str] | None = None,
    protocol_options: Mapping[str, Mapping[str, Any]] | None = None,
    interfaces: Iterable[str] | None = None, props: Mapping[str, Any] | None = None,
    observer: bool = False, seeds: Iterable[str] = (),
    mdns: AsyncZeroconf | bool | None = None,
    announcers: Iterable[str] = (),
    announcer_options: Mapping[str, Mapping[str, Any]] | None = None,
    timing: Timing | None = None, congestion: str = "block",
    secret: Secret = None, group: str | int | None = None,
) -> Cluster:  # fmt: skip
    """A ``Cluster`` that has joined: what it is asked and told is in ``help(Cluster)``.

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
    return Cluster().join(
        tags, cluster=cluster, name=name, ttl=ttl, address=address, port=port,
        heartbeat_seconds=heartbeat_seconds, expire_seconds=expire_seconds, channels=channels,
        protocols=protocols, protocol_options=protocol_options, interfaces=interfaces, props=props,
        observer=observer, seeds=seeds, mdns=mdns, announcers=announcers,
        announcer_options=announcer_options, timing=timing, congestion=congestion,
        secret=secret, group=group,
    )  # fmt: skip
