"""What ``meshcluster doctor`` looks at on this host: directory, interfaces, protocols, mDNS.

A check never raises: what is wrong is what it is there to tell, with the next step.
"""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..announcers.groups import Way
    from ..interfaces import Interface
    from ..model import Endpoint
    from ..protocols.base import Buffer, Context, Link, LinkReceiver, ProtocolHandler
    from ..wire.split import Split

GOOD, NOTE, SKIPPED, BROKEN = "good", "note", "skipped", "broken"

HELLO = b"a frame of meshcluster doctor"
DIAL_SECONDS = 2.0
LONGEST_NAME_BYTES = len("/meet-01234567/0123456789abcdef.sock")
"""What comes after the runtime directory in a socket's path, at most."""

MDNS_PORT = 5353

LINKLESS = ("udp",)
"""Protocols whose messages travel on a member's datagram port: nothing is dialled."""


class Check(NamedTuple):
    """One thing that was looked at. ``state``: good, note, skipped or broken."""

    what: str
    subject: str
    state: str
    text: str
    next: str = ""


def told(what: str, subject: str, error: Exception) -> Check:
    """The check of an error of ours, whose text ends with the advice after a colon."""
    text, _, advice = str(error).rpartition(": ")
    return Check(what, subject, BROKEN, text or advice, advice if text else "")


# --- the directory ---------------------------------------------------------------------------


def directory(group: str | None = None) -> tuple[Check, Path | None]:
    """The runtime directory, or that of a group: ours, closed to others, short enough; what lies in
    it.
    """
    from ..claims import MAX_PATH_BYTES, is_dead
    from ..errors import ConfigError
    from ..runtime.group import group_dir
    from ..runtime.host import RUNTIME_DIR_VARIABLE, runtime_dir

    try:
        path = runtime_dir() if group is None else group_dir(group)
    except ConfigError as error:
        where = os.environ.get(RUNTIME_DIR_VARIABLE, "-") if group is None else f"group {group}"
        return told("directory", where, error), None
    if not hasattr(socket, "AF_UNIX"):
        return Check("directory", str(path), GOOD, "ours"), path
    if len(os.fsencode(path)) + LONGEST_NAME_BYTES > MAX_PATH_BYTES:
        most = MAX_PATH_BYTES - LONGEST_NAME_BYTES
        text = f"longer than {most} bytes: no UNIX socket fits into it"
        advice = f"set {RUNTIME_DIR_VARIABLE} to a shorter one"
        return Check("directory", str(path), BROKEN, text, advice), path
    if not os.access(path, os.W_OK | os.X_OK):
        advice = f"make it writable, or set {RUNTIME_DIR_VARIABLE} to another one"
        return Check("directory", str(path), BROKEN, "nothing can be made in it", advice), path
    sockets = list(path.glob("*/*.sock"))
    dead = sum(map(is_dead, sockets))
    whose = "ours" if group is None else f"of group {group}"
    text = f"{whose}, mode {path.stat().st_mode & 0o7777:04o}"
    text += f"; {len(sockets) - dead} sockets in use"
    if dead:
        text += f", {dead} left by dead members, which the next to join their mesh removes"
    return Check("directory", str(path), NOTE if dead else GOOD, text), path


# --- interfaces and scope --------------------------------------------------------------------


def networks(
    found: Iterable[Interface], ttl: int, chosen: Sequence[str] | None = None
) -> tuple[list[Check], tuple[Interface, ...]]:
    """Each interface, used or why not; the scope; the interfaces that are used."""
    from ..interfaces import usable

    used, skipped = usable(found, chosen=chosen, ttl=ttl)
    checks = [Check("interface", each.name, GOOD, " ".join(each.networks)) for each in used]
    for each in skipped:
        if each.interface.is_loopback:
            advice = f"ip link set {each.interface.name} up"
            text = f"{each.reason}: members here meet by UNIX sockets only"
            checks.append(Check("interface", each.interface.name, BROKEN, text, advice))
        else:
            checks.append(Check("interface", each.interface.name, SKIPPED, each.reason))
    checks.append(_scope(used, ttl))
    if ttl and is_wsl(platform.release()):
        text = "this is WSL 2, which multicast from the LAN reaches in mirrored mode only"
        advice = "networkingMode=mirrored in .wslconfig, or name a member of the LAN as a seed"
        checks.append(Check("scope", "WSL", NOTE, text, advice))
    return checks, used


def is_wsl(release: str) -> bool:
    """Whether a kernel of this release is that of the Windows Subsystem for Linux 2."""
    return "microsoft" in release.lower()


def _scope(used: Sequence[Interface], ttl: int) -> Check:
    outer = [each.name for each in used if not each.is_loopback]
    if ttl == 0:
        text = "this host: nothing leaves it, nothing from outside is heard; the LAN is --ttl 1"
        return Check("scope", "ttl=0", GOOD, text)
    reach = "this LAN" if ttl == 1 else f"networks up to {ttl} routers away"
    if not outer:
        advice = "connect an interface, or give it an address; --ttl 0 is for this host alone"
        return Check("scope", f"ttl={ttl}", BROKEN, "no interface that leads to a network", advice)
    return Check("scope", f"ttl={ttl}", GOOD, f"{reach} through {', '.join(outer)}, and this host")


# --- multicast -------------------------------------------------------------------------------


def multicast(
    what: str, troubles: Mapping[Way, str | OSError], *, group: str, port: int, by_v6: str = ""
) -> Iterator[Check]:
    """Whether what we send to a group comes back on each way; ``troubles`` and ``by_v6``: see
    ``hearing``.
    """
    from ..announcers.groups import group_v6

    to_v4 = group
    for way, trouble in troubles.items():
        group = group_v6(by_v6 or to_v4) if way.is_v6 else to_v4
        subject = f"{way.name} {way.ip}"
        if not trouble:
            yield Check(what, subject, GOOD, "our own datagram to the group is heard")
        elif isinstance(trouble, str):
            advice = f"allow incoming UDP port {port} to {group} in this host's firewall"
            yield Check(what, subject, BROKEN, trouble, advice + _without(what))
        else:
            yield Check(what, subject, BROKEN, *_multicast_advice(trouble, what, group, port))


def _multicast_advice(error: OSError, what: str, group: str, port: int) -> tuple[str, str]:
    text = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE:
        other = "choose another --port" if what == "beacons" else "let it share the port"
        return f"another program has UDP port {port} for itself", f"end it, or {other}"
    if error.errno == errno.EPERM:
        advice = f"allow outgoing UDP port {port} to {group} in this host's firewall"
        return f"sending is forbidden ({text})", advice + _without(what)
    if error.errno == errno.ENOBUFS:
        advice = "raise it: sysctl net.ipv4.igmp_max_memberships=100"
        return "the limit of multicast groups is reached", advice
    if error.errno == errno.EHOSTUNREACH:
        advice = "on macOS allow this program under Privacy & Security, Local Network"
        return f"the system sends nothing there ({text})", advice + _without(what)
    return text, "see the interface above: is it up, and has it an address?"


def _without(what: str) -> str:
    return "; until then name a member as a seed" if what == "beacons" else ""


# --- mDNS ------------------------------------------------------------------------------------


def mdns_library() -> Check:
    """Whether the package can be imported."""
    try:
        import zeroconf
    except ImportError as error:
        advice = "pip install 'zeroconf>=0.150', or join with mdns=False"
        return Check("mdns", "zeroconf", BROKEN, f"cannot be imported ({error})", advice)
    return Check("mdns", "zeroconf", GOOD, f"version {zeroconf.__version__}")


def mdns_port() -> Check:
    """Whether there is another responder on this host, and whether it lets us share its port."""
    port = f"port {MDNS_PORT}"
    if _can_bind(share=False):
        return Check("mdns", port, GOOD, "free: no other responder on this host")
    who = ", ".join(_listeners(MDNS_PORT)) or "another responder"
    if _can_bind(share=True):
        return Check("mdns", port, GOOD, f"shared with {who}")
    advice = "end it or let it share the port, or join with mdns=False"
    return Check("mdns", port, BROKEN, f"{who} has it for itself", advice)


def _can_bind(*, share: bool) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        if share:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                with suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            each.bind(("", MDNS_PORT))
        except OSError:
            return False
    return True


def _listeners(port: int) -> list[str]:
    """The programs that have a UDP port open, as far as we may see."""
    import psutil

    found = set()
    with suppress(psutil.Error, OSError):
        for each in psutil.net_connections(kind="udp"):
            if each.laddr and each.laddr.port == port and each.pid:
                found.add(f"{psutil.Process(each.pid).name()} (process {each.pid})")
    return sorted(found)


# --- protocols -------------------------------------------------------------------------------


class Receiver:
    """Takes what comes over a link of a check."""

    limit_bytes = 4096

    def __init__(self) -> None:
        self.came = asyncio.Event()

    def frames_received(self, frames: Sequence[Buffer | Split]) -> None:
        """All we want is that something comes."""
        self.came.set()

    def pause_sending(self) -> None:
        """We send one frame."""

    def resume_sending(self) -> None:
        """We send one frame."""

    def link_lost(self, reason: str, *, fault: bool = False) -> None:
        """Nobody waits for it but with a limit."""


class Links:
    """Accepts the links of a check, and ends them."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.links: list[Link] = []

    def accept(self, link: Link) -> LinkReceiver:
        """Each is wanted."""
        self.links.append(link)
        return self.receiver

    def abort(self) -> None:
        """Ends them."""
        for link in self.links:
            link.abort()


async def protocol(scheme: str, context: Context) -> Check:
    """Listens and dials on this host, and sends a frame across."""
    from ..errors import ClusterError
    from ..model import LOOPBACK, UDP, Endpoint
    from ..protocols.registry import load

    ours, theirs = Links(), Links()
    handler: ProtocolHandler | None = None
    try:
        handler = load(scheme, context)
        if scheme == UDP:
            return Check("protocol", scheme, GOOD, "no links: it goes where probes go")
        endpoint = Endpoint(scheme, await handler.listen(theirs.accept))
        await dial(handler, LOOPBACK, endpoint, ours)
        ours.links[0].send([HELLO])
        await asyncio.wait_for(theirs.receiver.came.wait(), DIAL_SECONDS)
    except (ClusterError, ImportError) as error:
        return told("protocol", scheme, error)
    except TimeoutError:
        advice = "allow what goes from this host to itself in its firewall"
        return Check("protocol", scheme, BROKEN, f"no link in {DIAL_SECONDS:g} s", advice)
    except Exception as error:  # a third party's handler may raise anything
        text = getattr(error, "strerror", None) or str(error) or repr(error)
        return Check("protocol", scheme, BROKEN, text, "until it works, leave it out of protocols=")
    finally:
        ours.abort()
        theirs.abort()
        if handler is not None:
            await handler.close()
    port = endpoint.props.get("port")
    where = f" at port {port}" if port else ""
    return Check("protocol", scheme, GOOD, f"listened{where}, dialled, a frame went across")


async def dial(handler: ProtocolHandler, address: str, endpoint: Endpoint, links: Links) -> None:
    """Opens a link within the time that members give each other.

    Raises:
        OSError: it cannot be opened.
        TimeoutError: nothing came back.
    """
    await asyncio.wait_for(handler.dial(address, endpoint, links.accept), DIAL_SECONDS)


def datagrams(scheme: str) -> Check:
    """A protocol without links: does a datagram get from this host to itself?"""
    from ..model import LOOPBACK

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
        each.settimeout(DIAL_SECONDS)
        try:
            each.bind((LOOPBACK, 0))
            each.sendto(HELLO, each.getsockname())
            each.recv(len(HELLO))
        except OSError as error:
            advice = "allow what goes from this host to itself in its firewall"
            text = f"no datagram from this host to itself ({error.strerror or error})"
            return Check("protocol", scheme, BROKEN, text, advice)
    return Check("protocol", scheme, GOOD, "a datagram went from this host to itself")


async def protocols(schemes: Iterable[str], context: Context) -> list[Check]:
    """All of them, beside each other."""
    checks = [
        asyncio.to_thread(datagrams, each) if each in LINKLESS else protocol(each, context)
        for each in schemes
    ]
    return list(await asyncio.gather(*checks))
