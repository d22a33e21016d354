"""mDNS: members as ``_meshcluster._tcp`` services, for networks that let these pass and no beacons.

It begins a moment after the first beacon, so that no join waits for it and whoever is soon gone
never imports zeroconf. What it announces are the beacons it is given, as TXT entries; what it
hears are hints, which the node asks by datagrams of its own: caches keep the records of the dead.

With ``ttl=0`` all is bound to loopback. Otherwise it speaks on the usable interfaces of the LAN and
takes no record whose addresses lie elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
import socket
import sys
from base64 import b32encode
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..config import ClusterConfig
from ..errors import ConfigError, DecodeError
from ..imports import imported
from ..interfaces import Interface
from ..model import LOOPBACK, Address, is_named
from ..wire import codec
from ..wire.frames import Beacon, Leave
from ..wire.sealed import sealed_by
from ..wire.txt import Record, cluster_word, decode_txt, encode_txt, record_of, sealed_record
from .base import AnnouncerReceiver
from .records import Records

if TYPE_CHECKING:
    from zeroconf import ServiceStateChange, Zeroconf
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

logger = logging.getLogger("meshcluster.announcers")

SERVICE_TYPE = "_meshcluster._tcp.local."

START_SECONDS = 0.2
"""After the first announcement: who is met by beacons needs no mDNS in this time."""

TURN_SECONDS = 1.0
"""Between two looks at the interfaces and at records whose members are unknown."""

GATHER_SECONDS = 0.01
"""What comes together is looked at together."""

ASKED_AT_ONCE = 16
ASK_SECONDS = 0.5
ASKS = 3
"""Instances whose records did not come with them are asked for: so many, so long, so often."""

UNRESOLVED = 1024
"""Instances seen and not looked at yet; further ones are dropped and counted."""

RECORD_SECONDS = 120
"""How long caches may keep our records."""

_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_LINUX = sys.platform == "linux"


class MdnsAnnouncer:
    """Our record, and those of others. ``probed`` is the UDP port where we answer probes.

    ``own``: an ``AsyncZeroconf`` of our user's, which is used and never closed. ``used`` gives the
    interfaces in use now; at ``ttl=0`` it is not asked.
    """

    port = 0

    def __init__(
        self, config: ClusterConfig, *, probed: int, own: AsyncZeroconf | None = None,
        used: Callable[[], Iterable[Interface]] = tuple,
    ) -> None:  # fmt: skip
        self._config = config
        self._cluster = cluster_word(config.cluster)
        self._group = f"{config.address}:{config.port}"
        self._probed = probed
        self._own = own
        self._interfaces = used
        self._used: tuple[Interface, ...] = ()
        self._zeroconf: AsyncZeroconf | None = None
        self._bound: list[str | int] = []
        self._browser: AsyncServiceBrowser | None = None
        self._said: Record | None = None
        self._info: AsyncServiceInfo | None = None
        self._registered: tuple[Record, tuple[str, ...]] | None = None
        self._broadcast: asyncio.Future[Any] | None = None
        self._unresolved: dict[str, int] = {}
        self._records = Records()
        self._receiver: AnnouncerReceiver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._failed = False

    async def open(self) -> None:
        """Looks whether an ``AsyncZeroconf`` that was given can be used; all else comes later."""
        if self._own is None:
            return
        if self._config.ttl == 0:
            raise ConfigError(
                "mdns=: an AsyncZeroconf of yours may speak to the network; with ttl=0 use "
                "mdns=True, which keeps to this host"
            )
        if getattr(self._own.zeroconf, "loop", None) is not asyncio.get_running_loop():
            raise ConfigError(
                "mdns=: this AsyncZeroconf is of another event loop; an AsyncCluster in that loop "
                "can use it"
            )

    def start(self, receiver: AnnouncerReceiver) -> None:
        """From now on what is announced is told, and others are heard."""
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    def announce(self, data: bytes) -> None:
        """Takes over what a beacon says; a goodbye takes our record back."""
        if self._receiver is None:
            return
        where = {"port": self._probed, "ttl": self._config.ttl}
        sealed = sealed_by(data)
        datagram = None if sealed else codec.decode_datagram(data)
        if isinstance(datagram, Leave):
            self._say_goodbye()
            return
        if sealed is not None:  # whatever it is: its sender is there, until it closes us
            self._say(sealed_record(sealed.id, sealed.boot, sealed.key_id, self._group, **where))
        elif isinstance(datagram, Beacon):
            self._say(record_of(datagram, self._group, **where))
        if self._running is None and self._loop is not None and not self._loop.is_closed():
            self._running = self._loop.create_task(self._run())

    def _say(self, said: Record) -> None:
        if said != self._said:
            self._said = said
            self._wake.set()

    def reaches(self, address: Address) -> bool:
        """No address: hints are asked by other announcers."""
        return False

    def send(self, data: bytes, address: Address) -> None:
        """Nothing is ever sent to an address."""

    def descriptors(self) -> Iterable[int]:
        """What a forked child must let go of; our user's ``AsyncZeroconf`` is theirs."""
        if self._zeroconf is None or self._zeroconf is self._own:
            return []
        engine = self._zeroconf.zeroconf.engine
        wrapped = {each.fileno for each in (*engine.readers, *engine.senders)}
        return sorted(wrapped)

    def forked(self) -> None:
        """In a forked child: the record is the parent's to take back."""
        self._receiver = self._info = None

    def close(self) -> None:
        """Takes our record back and begins to close; ``wait_closed`` ends it."""
        self._say_goodbye()
        self._receiver = None
        if self._running is not None and self._ending is None and self._loop is not None:
            self._running.cancel()
            self._ending = self._loop.create_task(self._end())

    async def wait_closed(self) -> None:
        """Returns when no socket, task or thread is left of it."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    # --- running -----------------------------------------------------------------------------

    async def _run(self) -> None:
        """All that happens, one thing after the other, until it is cancelled."""
        await asyncio.sleep(START_SECONDS)
        with suppress(ImportError):  # the loop meets it again, and reports it
            await imported("zeroconf.asyncio")
        while self._receiver is not None:
            try:
                await self._follow_interfaces()
                await self._tell()
                await self._resolve()
                self._failed = False
            except Exception as error:  # zeroconf's own, and what the system says of sockets
                self._report(error)
            self._hint()
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()

    def _report(self, error: Exception) -> None:
        if not self._failed and self._receiver is not None:
            self._drop("failed turns")
            logger.warning("no mDNS for now: %s. Beacons are not affected", error)
        self._failed = True

    async def _end(self) -> None:
        assert self._running is not None
        await asyncio.wait([self._running])
        if not self._running.cancelled():
            self._running.exception()
        if self._browser is not None:
            await self._browser.async_cancel()
        if self._zeroconf is not None and self._zeroconf is not self._own:
            await self._zeroconf.async_close()
        self._zeroconf = self._browser = None

    # --- interfaces --------------------------------------------------------------------------

    async def _follow_interfaces(self) -> None:
        """Opens zeroconf on the interfaces in our scope, and follows their changes."""
        if self._config.ttl:
            self._used = tuple(each for each in self._interfaces() if not each.is_loopback)
        if self._own is not None:
            bound: list[str | int] = []
            self._zeroconf = self._own
        else:
            bound = self._choice()
            if not bound:  # all cables are out; what we have is kept for their return
                return
            if self._zeroconf is None:
                await self._open(bound)
            elif bound != self._bound:
                await self._zeroconf.async_update_interfaces(list(bound))
                self._keep_scope()
        self._bound = bound
        if self._browser is None:
            from zeroconf.asyncio import AsyncServiceBrowser

            assert self._zeroconf is not None
            self._browser = AsyncServiceBrowser(
                self._zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._changed]
            )

    def _choice(self) -> list[str | int]:
        """The interfaces as zeroconf wants to be told: IPv4 addresses, IPv6 indexes."""
        if self._config.ttl == 0:
            return [LOOPBACK]
        v4 = [address.ip for each in self._used for address in each.v4]
        return [*v4, *(each.index for each in self._used if each.v6)]

    async def _open(self, bound: list[str | int]) -> None:
        from zeroconf.asyncio import AsyncZeroconf

        self._zeroconf = AsyncZeroconf(interfaces=list(bound))
        await self._zeroconf.zeroconf.async_wait_for_start()
        self._keep_scope()

    def _keep_scope(self) -> None:
        """Its listening socket is bound to every address, and on Linux hears what any program on
        the host has joined; with ``ttl=0`` it would even answer the network.
        """
        if not _LINUX or self._zeroconf is None:
            return
        for each in self._zeroconf.zeroconf.engine.readers:
            with suppress(OSError):
                each.sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            if each.sock.family == socket.AF_INET6:
                with suppress(OSError):
                    each.sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            if self._config.ttl == 0:
                each.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")

    # --- telling -----------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Registers our record, or updates it, when it is not what it should be."""
        addresses = tuple(address.ip for each in self._used for address in each.addresses)
        if self._config.ttl == 0:
            addresses = (LOOPBACK,)
        if self._said is None or self._zeroconf is None or not addresses:
            return
        if self._registered == (self._said, addresses):
            return
        info = _service_info(self._said, addresses)
        if self._broadcast is not None:
            self._broadcast.cancel()
        if self._info is None:
            told = self._zeroconf.async_register_service(info, cooperating_responders=True)
        else:
            told = self._zeroconf.async_update_service(info)
        self._info = info  # from here on there is something to take back
        self._broadcast = asyncio.ensure_future(await told)
        self._registered = self._said, addresses

    def _say_goodbye(self) -> None:
        """Takes our record back at once: who leaves does not wait."""
        info, self._info = self._info, None
        if self._broadcast is not None:
            self._broadcast.cancel()
        if info is None or self._zeroconf is None:
            return
        zeroconf = self._zeroconf.zeroconf
        with suppress(Exception):  # our user's may be closed; at the interpreter's end all may be
            zeroconf.registry.async_remove(info)
            zeroconf.async_send(zeroconf.generate_service_broadcast(info, 0))

    # --- hearing -----------------------------------------------------------------------------

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """From zeroconf, in the loop: an instance came, changed or went."""
        if self._receiver is None or (self._info is not None and name == self._info.name):
            return
        if state_change.name == "Removed":
            self._unresolved.pop(name, None)
            record = self._records.removed(name)
            if record is not None:
                self._receiver.vanished(record)
        elif name in self._unresolved or len(self._unresolved) < UNRESOLVED:
            self._unresolved[name] = 0
            self._wake.set()
        else:
            self._drop("instances beyond the limit")

    async def _resolve(self) -> None:
        """Looks at the records of instances that came; asks for what did not come with them."""
        from zeroconf import BadTypeInNameException
        from zeroconf.asyncio import AsyncServiceInfo

        if self._zeroconf is None or not self._unresolved:
            return
        zeroconf = self._zeroconf.zeroconf
        asked: list[AsyncServiceInfo] = []
        for name in list(self._unresolved):
            try:
                info = AsyncServiceInfo(SERVICE_TYPE, name)
            except BadTypeInNameException:  # a stranger's fancy
                del self._unresolved[name]
                self._drop("instances with malformed names")
                continue
            if info.load_from_cache(zeroconf):
                self._unresolved.pop(name, None)
                self._take(name, info)
            elif len(asked) < ASKED_AT_ONCE:
                asked.append(info)
        if asked:
            await self._ask(asked)

    async def _ask(self, asked: Iterable[AsyncServiceInfo]) -> None:
        """Asks for records; what comes is found the next time, which is at once."""
        assert self._zeroconf is not None
        zeroconf = self._zeroconf.zeroconf
        requests = [each.async_request(zeroconf, ASK_SECONDS * 1000) for each in asked]
        await asyncio.gather(*requests, return_exceptions=True)
        self._wake.set()
        for info in asked:
            if info.name in self._unresolved:
                self._unresolved[info.name] += 1
                if self._unresolved[info.name] > ASKS:
                    del self._unresolved[info.name]
                    self._drop("instances without records")

    def _take(self, name: str, info: AsyncServiceInfo) -> None:
        try:
            record = decode_txt(info.properties)
        except DecodeError as error:
            self._drop(f"records {str(error).split(':')[0]}")
            return
        ours = record.key_id or record.cluster == self._cluster  # keys are for the node to know
        if not ours or record.group != self._group:
            self._drop("records of another cluster")
            return
        addresses = [ip for ip in _addresses(info) if self._in_scope(ip, record.ttl)]
        if not addresses:
            self._drop("records from outside the scope")
        elif not self._records.saw(name, record, addresses):
            self._drop("records beyond the limit")

    def _in_scope(self, ip: str, ttl: int) -> bool:
        """Whether an address may be asked: mDNS is of one link, so it must be in a network of ours,
        and what wants to be known on its host only, on ours.
        """
        address = ipaddress.ip_address(ip.partition("%")[0])
        if self._config.ttl == 0 or address.is_loopback:
            return self._config.ttl == 0 and address.is_loopback
        for each in self._used:
            for own in each.addresses:
                if address == ipaddress.ip_address(own.ip):
                    return True
                network = ipaddress.ip_network(f"{own.ip}/{own.prefix}", strict=False)
                if ttl > 0 and address in network and not address.is_multicast:
                    return "%" not in ip or ip.endswith(f"%{each.name}")
        return False

    def _drop(self, reason: str) -> None:
        if self._receiver is not None:
            self._receiver.dropped(f"mdns: {reason}")

    def _hint(self) -> None:
        if self._receiver is None or self._loop is None:
            return
        # Who is reached by a name alone may be reached better.
        known = {
            member_id for member_id, address in self._receiver.known() if not is_named(address)
        }
        for record, address in list(self._records.due(known, self._loop.time())):
            self._receiver.hinted(record, address)


def _service_info(record: Record, addresses: Iterable[str]) -> AsyncServiceInfo:
    """Our record as zeroconf wants it. Its name says nothing, and nobody else has it."""
    from zeroconf.asyncio import AsyncServiceInfo

    seed = record.id + record.boot.to_bytes(8, "big")
    name = b32encode(hashlib.blake2b(seed, digest_size=10).digest()).decode().lower()
    tcp = next((e.props.get("port") for e in record.endpoints if e.scheme == "tcp"), None)
    return AsyncServiceInfo(
        SERVICE_TYPE, f"{name}.{SERVICE_TYPE}", port=tcp if isinstance(tcp, int) else record.port,
        properties=encode_txt(record), server=f"mc-{name}.local.",
        parsed_addresses=list(addresses), host_ttl=RECORD_SECONDS, other_ttl=RECORD_SECONDS,
    )  # fmt: skip


def _addresses(info: AsyncServiceInfo) -> list[str]:
    """Its addresses as text, IPv4 first; link-local ones with their interface's name."""
    found = []
    for ip in info.parsed_scoped_addresses():
        ip, _, scope = ip.partition("%")
        if scope.isdecimal():
            try:
                scope = socket.if_indextoname(int(scope))
            except OSError:  # the interface has gone
                continue
        found.append(f"{ip}%{scope}" if scope else ip)
    return sorted(found, key=lambda ip: (":" in ip, "%" in ip))
