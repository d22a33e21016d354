"""How far a member's mesh reaches: who may take part, and of whom others may be told.

``ttl`` 0 is this host, 1 the networks that our interfaces are in, more whatever is routed here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from ..model import HERE, LOOPBACK, UNIX

MAX_ALLOWED = 4096
"""Addresses beyond our networks that were allowed by name; further ones are not."""

REMEMBERED = 32768
"""Addresses that are not parsed again: more than a mesh has members, who are heard in turn."""


class Scope:
    """What an address means to us. ``networks``: our own addresses with their prefixes."""

    def __init__(self, ttl: int, networks: Iterable[str] = ()) -> None:
        self._ttl = ttl
        self._allowed: set[str] = set()
        self.change(networks)

    def change(self, networks: Iterable[str]) -> None:
        """Our interfaces have these addresses from now on."""
        networks = tuple(networks)
        self.own_addresses = frozenset({LOOPBACK, *(n.partition("/")[0] for n in networks)})
        self._own = [ipaddress.ip_interface(n) for n in networks]
        self._networks = [each.network for each in self._own]
        self._near: dict[str, bool] = {}

    @property
    def hosts(self) -> tuple[str, ...]:
        """Our addresses that mean the same to others, those of IPv4 first."""
        good = [
            str(each.ip)
            for each in self._own
            if not each.ip.is_loopback and not each.ip.is_link_local
            and each.network.num_addresses > 1
        ]  # fmt: skip
        return tuple(sorted(good, key=lambda ip: (":" in ip, ip)))

    def allow(self, addresses: Iterable[str]) -> None:
        """Takes in IP addresses that our own user named (seeds), wherever they are."""
        for address in addresses:
            if len(self._allowed) < MAX_ALLOWED:
                self._allowed.add(address)

    def is_own(self, address: str) -> bool:
        """Whether an address is this machine's: a loopback address or one of our interfaces."""
        return address in self.own_addresses or is_loopback(address)

    def on_lan(self, address: str) -> bool:
        """Whether an address lies in a network that one of our interfaces is in."""
        near = self._near.get(address)
        if near is None:
            if len(self._near) >= REMEMBERED:
                self._near.clear()
            near = self._near[address] = self._is_near(address)
        return near

    def _is_near(self, address: str) -> bool:
        if not self._networks or is_loopback(address):
            return is_loopback(address)
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._networks)

    def covers(self, address: str, *, local: bool = False) -> bool:
        """Whether somebody at this address may take part. ``local``: proven to be on this host."""
        if local or is_loopback(address):
            return True
        if self._ttl != 1 or not self._networks:
            return self._ttl > 0
        return self.on_lan(address) or address in self._allowed

    def tellable(self, address: str, local: bool) -> bool:
        """Whether a member at an address may be told of, to or by one who is ``local`` or not."""
        if self._ttl == 0:
            return is_loopback(address)
        return local or not is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether an IP address, or a name for somebody here, cannot leave this machine."""
    if address.startswith(("127.", UNIX, HERE)):
        return True
    return ":" in address and _is_loopback_6(address)


@lru_cache(maxsize=REMEMBERED)
def _is_loopback_6(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def rank(address: str) -> int:
    """Which of two addresses of one member is the better: the higher one reaches further."""
    if address.startswith((UNIX, HERE)):
        return 0
    if is_loopback(address):
        return 1
    return 2 if "%" in address else 3
