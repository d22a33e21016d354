"""The network interfaces of this machine: what they are, and which of them are used, and why not.

Names, indexes and addresses come from ifaddr, flags from psutil. Where the package netifaces (or a
fork that speaks as it does) is installed, the addresses are read through it.
"""

from __future__ import annotations

import fnmatch
import functools
import ipaddress
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from .errors import ConfigError

HOST, LAN = "host", "lan"
LOOPBACK_V6 = "::1"


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address of an interface. ``scope_id``: the interface's index where the address means
    nothing without it (IPv6 link-local), else 0.
    """

    ip: str
    prefix: int
    scope_id: int = 0

    @property
    def is_v6(self) -> bool:
        """Whether it is an IPv6 address."""
        return ":" in self.ip

    @property
    def is_link_local(self) -> bool:
        """Whether it is good on its own link only."""
        return ipaddress.ip_address(self.ip).is_link_local


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface at one moment. ``index``: its number in the system, 0 if unknown."""

    name: str
    index: int
    addresses: tuple[InterfaceAddress, ...] = ()
    is_up: bool = True
    is_running: bool = True
    """It has a carrier: a cable, an access point, a machine behind it."""
    is_loopback: bool = False
    can_multicast: bool = True
    is_point_to_point: bool = False

    @property
    def scope(self) -> str:
        """How far its datagrams can get: "host" or "lan"."""
        return HOST if self.is_loopback else LAN

    @property
    def v4(self) -> tuple[InterfaceAddress, ...]:
        """Its IPv4 addresses."""
        return tuple(each for each in self.addresses if not each.is_v6)

    @property
    def v6(self) -> tuple[InterfaceAddress, ...]:
        """Its IPv6 addresses, the link-local ones first."""
        found = [each for each in self.addresses if each.is_v6]
        return tuple(sorted(found, key=lambda each: not each.is_link_local))

    @property
    def networks(self) -> tuple[str, ...]:
        """Its addresses as text with their prefixes: "10.0.0.5/24", "fe80::1%eth0/64"."""
        return tuple(
            f"{each.ip}{f'%{self.name}' if each.scope_id else ''}/{each.prefix}"
            for each in self.addresses
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """An interface that is not used, and why, in words."""

    interface: Interface
    reason: str
    denied: bool = False
    """Because ``interfaces=`` says so."""


# --- reading the system ----------------------------------------------------------------------


def interfaces() -> tuple[Interface, ...]:
    """The interfaces of this machine now, in the order of their indexes."""
    import ifaddr
    import psutil

    stats = psutil.net_if_stats()
    read = _by_netifaces() or {}
    found = []
    for adapter in ifaddr.get_adapters(include_unconfigured=True):
        index = adapter.index or 0
        addresses = read.get(adapter.name)
        if addresses is None:
            addresses = [_of_ifaddr(each) for each in adapter.ips]
        # Windows calls an interface by an id; psutil and people by its friendly name.
        names = [adapter.name, adapter.nice_name, *(each.nice_name for each in adapter.ips)]
        known = next((name for name in names if name in stats), adapter.name)
        kept = tuple(dict.fromkeys(_scoped(each, index) for each in addresses))
        found.append(_interface(known, index, kept, stats.get(known)))
    return tuple(sorted(found, key=lambda each: each.index))


def provider() -> str:
    """Through which package the addresses are read: "ifaddr" or "netifaces"."""
    return "netifaces" if _by_netifaces() is not None else "ifaddr"


def _interface(
    name: str, index: int, addresses: tuple[InterfaceAddress, ...], stats: Any
) -> Interface:
    loopback = any(ipaddress.ip_address(each.ip).is_loopback for each in addresses)
    flags = set(getattr(stats, "flags", "").split(",")) - {""}
    up = stats is None or stats.isup
    if not flags:  # Windows does not tell: that an interface can multicast shows in joining
        return Interface(name, index, addresses, up, up, loopback)
    return Interface(
        name, index, addresses,
        is_up="up" in flags, is_running="running" in flags,
        is_loopback="loopback" in flags,
        can_multicast="multicast" in flags or "loopback" in flags,  # Linux: it does, and denies it
        is_point_to_point="pointopoint" in flags or "pointtopoint" in flags,
    )  # fmt: skip


def _of_ifaddr(found: Any) -> InterfaceAddress:
    ip = found.ip if isinstance(found.ip, str) else found.ip[0]
    return InterfaceAddress(ip.partition("%")[0], int(found.network_prefix))


def _scoped(address: InterfaceAddress, index: int) -> InterfaceAddress:
    scope = index if address.is_v6 and address.is_link_local else 0
    return InterfaceAddress(address.ip, address.prefix, scope)


@functools.cache
def _netifaces() -> ModuleType | None:
    """The package, if one that has all we read is installed: a broken install imports as empty."""
    if sys.platform == "win32":  # where its names are ids that nobody else uses
        return None
    try:
        import netifaces
    except ImportError:
        return None
    wanted = ("interfaces", "ifaddresses", "AF_INET", "AF_INET6")
    return netifaces if all(hasattr(netifaces, name) for name in wanted) else None


def _by_netifaces() -> Mapping[str, Sequence[InterfaceAddress]] | None:
    """The addresses of each interface as netifaces tells them, or None without it."""
    package = _netifaces()
    if package is None:
        return None
    found: dict[str, list[InterfaceAddress]] = {}
    for name in package.interfaces():
        try:
            families = package.ifaddresses(name)
        except ValueError:  # it has gone meanwhile
            continue
        found[name] = [
            InterfaceAddress(entry["addr"].partition("%")[0], _prefix_of(entry))
            for family in (package.AF_INET, package.AF_INET6)
            for entry in families.get(family, ())
            if "addr" in entry
        ]
    return found


def _prefix_of(entry: Mapping[str, str]) -> int:
    mask = entry.get("netmask") or entry.get("mask") or ""
    if "/" in mask:
        return int(mask.partition("/")[2])
    ones = int(ipaddress.ip_address(mask)) if mask else 0
    return ones.bit_count() if mask else (128 if ":" in entry["addr"] else 32)


# --- choosing --------------------------------------------------------------------------------


def usable(
    found: Iterable[Interface], *, chosen: Sequence[str] | None = None, ttl: int = 1
) -> tuple[tuple[Interface, ...], tuple[Skipped, ...]]:
    """Those that beacons go out of, and the others with the reason.

    ``chosen``: names, shell patterns of names (``eth*``), addresses or networks
    (``10.0.0.0/8``); with ``!`` before it what is not to be used. Only denials: all others are
    used. Loopback is always used, whatever is chosen: neighbours on this host are not on the
    network. ``ttl`` 0: nothing but loopback.

    Raises:
        ConfigError: a word in ``chosen`` that means nothing.
    """
    allow, deny = split_choice(chosen or ())
    used, skipped = [], []
    for each in found:
        denial = "" if each.is_loopback else _denial(each, allow, deny)
        reason = denial or _reason(each, ttl)
        if reason:
            skipped.append(Skipped(each, reason, bool(denial)))
        else:
            used.append(each)
    return tuple(used), tuple(skipped)


def split_choice(chosen: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is allowed and what is denied.

    Raises:
        ConfigError: an empty word, or a network that is none.
    """
    allow: list[str] = []
    deny: list[str] = []
    for word in chosen:
        wanted = word.removeprefix("!")
        if not wanted:
            raise ConfigError(f"interfaces={word!r}: a name, a pattern, an address or a network")
        if "/" in wanted and _network(wanted) is None:
            raise ConfigError(f"interfaces={word!r}: no network; one is written as 10.0.0.0/8")
        (deny if word.startswith("!") else allow).append(wanted)
    return allow, deny


def _denial(each: Interface, allow: Sequence[str], deny: Sequence[str]) -> str:
    for word in deny:
        if _means(word, each):
            return f"denied by interfaces=['!{word}']"
    if allow and not any(_means(word, each) for word in allow):
        return "not among interfaces="
    return ""


def _reason(each: Interface, ttl: int) -> str:
    """Why an interface cannot be used; empty when it can."""
    if not each.is_up:
        return "down"
    if each.is_loopback:
        return ""
    if ttl == 0:
        return "not on this host alone (ttl=0)"
    if not each.is_running:
        return "no carrier: nothing is connected"
    if not each.addresses:
        return "no address"
    if not each.can_multicast:
        return "no multicast"
    return ""


def _means(word: str, each: Interface) -> bool:
    network = _network(word)
    if network is None:
        return fnmatch.fnmatchcase(each.name, word)
    return any(ipaddress.ip_address(address.ip) in network for address in each.addresses)


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


# --- addresses of sockets --------------------------------------------------------------------


def spoken(socket_address: tuple[Any, ...]) -> str:
    """The IP address in a socket's address as text; a link-local one keeps its interface:
    "fe80::1%eth0".
    """
    ip = str(socket_address[0])
    if len(socket_address) < 4 or not socket_address[3] or "%" in ip:
        return ip
    try:
        return f"{ip}%{socket.if_indextoname(socket_address[3])}"
    except OSError:  # the interface has gone meanwhile
        return f"{ip}%{socket_address[3]}"


def written(ip: str, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
    """The socket address of an IP address as ``spoken`` tells it; no name is looked up.

    Raises:
        OSError: its interface does not exist.
    """
    if ":" not in ip:
        return ip, port
    ip, _, scope = ip.partition("%")
    if not scope:
        return ip, port, 0, 0
    return ip, port, 0, int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)


def family_of(ip: str) -> socket.AddressFamily:
    """The family of sockets that reach an IP address."""
    return socket.AF_INET6 if ":" in ip else socket.AF_INET
