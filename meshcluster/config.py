"""Settings and limits of one member. Frozen; checked when made; nothing here reads the system."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from .errors import ConfigError
from .timing import HOST, LAN, Timing

DEFAULT_ADDRESS = "239.255.77.67"
"""The beacon group: administratively scoped IPv4 multicast (RFC 2365, organisation-local)."""

DEFAULT_PORT = 27677
"""The beacon port: outside the ephemeral range of Linux, macOS and Windows."""

FRAME_BYTES = 1024 * 1024 + 128 * 1024
"""No frame on a link is longer: large messages go in parts, and a view of all members fits."""

BLOCK, DROP_OLD, ERROR, DISCONNECT = "block", "drop_old", "error", "disconnect"
CONGESTION = (BLOCK, DROP_OLD, ERROR, DISCONNECT)
"""What may become of a send to a receiver that is too slow."""

MAX_NAME_CHARACTERS = 64
PLAIN_DEPTH = 16
"""Containers inside containers in what a member says of itself (props, offers)."""

MAX_TIMEOUT_SECONDS = 10 * 365 * 86400.0
CHANNELS_ALWAYS = (0, 1, 2)
"""Channel numbers every member listens to: 0 everybody, 1 this host, 2 this LAN."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bound of every table, queue and wait, and what happens there."""

    message_bytes: int = 64 * 1024 * 1024
    """A larger body is refused at the send with ``MessageTooLarge``."""
    datagram_bytes: int = 1200
    """No datagram is larger, so none is fragmented; larger details travel over a link."""
    hello_bytes: int = 64 * 1024
    """A longer frame before a link's hello ends the link before anything is allocated."""
    candidates: int = 4096
    """Strangers heard but not proven; for a further one the oldest of the source that has the most
    of them is forgotten, and counted."""
    sources: int = 4096
    """Sources of datagrams whose share is kept account of; the one that came first is forgotten,
    and begins anew when it is heard again."""
    source_datagrams_per_second: float = 200.0
    """Datagrams of one source (an IP address; on this machine with its port) where no member
    answers, as many at once; further ones are dropped unread and counted."""
    strangers_datagrams_per_second: float = 1000.0
    """The same of all such sources together, twice as many at once; half is kept for sources
    that are heard seldom. Further ones are dropped unread and counted. Where more than that comes
    by a socket, it is not read for a moment, and the system drops what finds no room."""
    member_datagrams_per_second: float = 20000.0
    """Datagrams from where a member answers; further ones are dropped unread and counted."""
    newcomers_per_second: float = 25.0
    """Strangers that become candidates, or observers that are answered; 250 at once. Further ones
    are dropped and counted until they are heard again. Half is kept for sources that are heard
    seldom. (A host finds the Ethernet address of each that it sends to, and has room for about a
    thousand: more, and it forgets the real ones.)"""
    stranger_dials_per_second: float = 10.0
    """Endpoints of strangers that are dialled because their details fit no datagram, 64 at once;
    further strangers wait for their next beacon. Counted."""
    seed_addresses: int = 64
    """Addresses of seeds asked in one round; of more, so many are drawn each time."""
    members: int = 16384
    """Proven members; further ones are dropped and counted."""
    observers: int = 256
    """Observers at a time; further ones are dropped and counted."""
    lanes: int = 8
    """Sessions one member may have with us (one for each set of protocols asked for)."""
    pending_links: int = 64
    """Accepted links whose hello has not come; for a further one the oldest of the address that has
    the most of them is closed, and counted. UNIX sockets count as one address."""
    held_questions: int = 1024
    """Questions held until a query hook is placed; further ones get no responder."""
    query_bytes: int = 256 * 1024 * 1024
    """What the answers to one query have together; a further one is the error ``MessageTooLarge``
    of its member. There is one answer from each that was asked, or none."""
    open_questions: int = 4096
    """Questions handed to responders and not answered yet; further ones are told to retry."""
    open_sends: int = 4096
    """Acknowledged sends to one receiver that are open; a further one waits, then raises
    ``Congested``."""
    waiting_messages: int = 16384
    """Messages waiting for one receiver; beyond, a send does what ``congestion`` says. As many
    that went by udp for want of a link wait to be confirmed; beyond, the oldest count as lost."""
    waiting_bytes: int = 64 * 1024 * 1024
    """What waits for one receiver or is not acknowledged by it, bodies of up to 1 KiB that wait not
    counted; once it is so much, a send does what ``congestion`` says. One that found less may go
    over it by its own size."""
    all_waiting_bytes: int = 256 * 1024 * 1024
    """The same of all receivers together, an event that several of them get counted once."""
    event_window_bytes: int = 4 * 1024 * 1024
    """Events a receiver's hooks have not taken; beyond, its senders keep theirs."""
    unacked_bytes: int = 8 * 1024 * 1024
    """Sent and not acknowledged; beyond, a session sends nothing new."""
    hello_seconds: float = 5.0
    """A link without a hello is closed."""
    dial_seconds: float = 2.0
    """An endpoint that does not open in time failed; the next is tried."""
    send_seconds: float = 30.0
    """How long a send waits for room before it raises ``Congested``."""
    settle_seconds: float = 0.3
    """After join: how long events and questions are held for hooks, and a query for members."""
    leave_seconds: float = 1.0
    """How long leave waits for messages under way to be acknowledged."""

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            _check(_is_number(value) and value > 0, each.name, value, "a number above 0")


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """Everything ``join`` was told. Durations are seconds.

    Raises:
        ConfigError: a value cannot work; the text says which and what would.
    """

    cluster: str = "default"
    name: str = "member"
    tags: tuple[str, ...] = ()
    ttl: int = 0
    address: str = DEFAULT_ADDRESS
    port: int = DEFAULT_PORT
    heartbeat_seconds: float = 1.0
    expire_seconds: float = 30.0
    channels: tuple[int, ...] = ()
    protocols: tuple[str, ...] | None = None
    protocol_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    interfaces: tuple[str, ...] | None = None
    props: Mapping[str, Any] = field(default_factory=dict)
    observer: bool = False
    seeds: tuple[str, ...] = ()
    mdns: Any = None
    """None: with a ``ttl`` of 1 or more; True, False; or an ``AsyncZeroconf`` to be used."""
    announcers: tuple[str, ...] = ()
    """Those of other packages that are used beside ours."""
    announcer_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timing: Timing | None = None
    congestion: str = BLOCK
    """One of ``CONGESTION``: what becomes of a send to a receiver that has too much waiting."""
    group: str | int | None = None
    """A group of this host's users, whose directory its members meet in; None: our user's."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        check_label("cluster", self.cluster)
        check_label("name", self.name)
        check_tags(self.tags)
        _check(isinstance(self.ttl, int) and 0 <= self.ttl <= 255, "ttl", self.ttl, "0 to 255")
        _check(_is_group(self.address), "address", self.address, "an IPv4 multicast address")
        _check(
            isinstance(self.port, int) and 0 < self.port < 65536, "port", self.port, "1 to 65535"
        )
        heartbeat, expire = self.heartbeat_seconds, self.expire_seconds
        _check(
            _is_number(heartbeat) and 0.01 <= heartbeat <= 3600,
            "heartbeat_seconds", heartbeat, "0.01 to 3600",
        )  # fmt: skip
        _check(
            _is_number(expire) and expire >= 2 * heartbeat,
            "expire_seconds", expire, "at least twice heartbeat_seconds",
        )  # fmt: skip
        _check(isinstance(self.channels, tuple), "channels", self.channels, "a sequence of numbers")
        for channel in self.channels:
            check_channel(channel)
        if self.protocols is not None:
            check_words("protocols", self.protocols)
            _check(self.protocols != (), "protocols", self.protocols, "at least one protocol")
        _check_options("protocol_options", self.protocol_options, "protocol")
        check_words("announcers", self.announcers)
        _check_options("announcer_options", self.announcer_options, "announcer")
        check_offered("announcer_options", self.announcer_options, self.announcers)
        if self.interfaces is not None:
            check_words("interfaces", self.interfaces)
        check_props(self.props)
        _check(isinstance(self.observer, bool), "observer", self.observer, "True or False")
        check_words("seeds", self.seeds)
        for seed, (address, _) in zip(self.seeds, self.seed_addresses, strict=True):
            if self.ttl == 0 and is_ip(address) and not ipaddress.ip_address(address).is_loopback:
                raise ConfigError(f"seeds={seed!r}: not on this host; ttl=1 reaches the LAN")
        _check(
            self.timing is None or isinstance(self.timing, Timing),
            "timing", self.timing, "a Timing, such as LAN",
        )  # fmt: skip
        known = self.congestion in CONGESTION
        _check(known, "congestion", self.congestion, "one of " + ", ".join(CONGESTION))
        mdns = self.mdns
        _check(
            mdns is None or isinstance(mdns, bool) or hasattr(mdns, "async_register_service"),
            "mdns", mdns, "True, False or an AsyncZeroconf",
        )  # fmt: skip

    @property
    def pace(self) -> Timing:
        """How quickly it judges: as told, or as fits the scope."""
        return self.timing or (HOST if self.ttl == 0 else LAN)

    @property
    def uses_mdns(self) -> bool:
        """Whether it is to be found by mDNS."""
        return self.ttl > 0 if self.mdns is None else self.mdns is not False

    @property
    def seed_addresses(self) -> tuple[tuple[str, int], ...]:
        """Host and port of each seed; the port is the beacons', where none is named."""
        return tuple(parse_seed(seed, self.port) for seed in self.seeds)

    @property
    def all_channels(self) -> frozenset[int]:
        """The channel numbers this member listens to."""
        return frozenset(self.channels).union(CHANNELS_ALWAYS)


def check_label(setting: str, value: object) -> None:
    """Refuses what is not a short printable text: it ends up in logs and on terminals."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARACTERS:
        raise ConfigError(f"{setting}={value!r}: a text of 1 to {MAX_NAME_CHARACTERS} characters")
    if not value.isprintable():
        raise ConfigError(f"{setting}={value!r}: printable characters only")


def check_tags(tags: Sequence[str]) -> None:
    """Refuses tags that are not short printable texts, and a bare string given for a sequence."""
    check_words("tags", tags)
    for tag in tags:
        check_label("tag", tag)


def parse_seed(seed: str, port: int) -> tuple[str, int]:
    """Host and port of a seed: ``"10.0.0.5"``, ``"[fe80::1%eth0]:27677"``, ``"mesh.local"``.

    Raises:
        ConfigError: it is none of these.
    """
    host, number = seed, ""
    if seed.startswith("["):
        host, end, number = seed[1:].partition("]")
        good = bool(end) and is_ip(host) and ":" in host and (not number or number.startswith(":"))
        number = number[1:] or ("" if not number else "?")
    elif seed.count(":") > 1:
        good = is_ip(seed)
    else:
        host, colon, number = seed.partition(":")
        number = number or "?" * len(colon)
        good = bool(host) and host.isprintable() and not any(c.isspace() for c in host)
    if number:
        good = good and number.isascii() and number.isdecimal() and 0 < int(number) < 65536
    wanted = "an IP address or a name; with a port: '10.0.0.5:27677', '[fe80::1%eth0]:27677'"
    _check(good and len(host) <= 253, "seeds", seed, wanted)
    return host, int(number or port)


def is_ip(text: str) -> bool:
    """Whether a text is an IP address, a scope (``%eth0``) included."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def distinct(setting: str, words: Iterable[str]) -> tuple[str, ...]:
    """Each word once, in order; refuses what ``check_words`` refuses."""
    if isinstance(words, Iterable) and not isinstance(words, str):
        words = tuple(words)
    check_words(setting, words)
    return tuple(dict.fromkeys(words))


def check_words(setting: str, words: object) -> None:
    """Refuses what is not a sequence of texts, and a bare text given for one."""
    if isinstance(words, str):
        raise ConfigError(f"{setting}={words!r}: a sequence, such as {setting}=[{words!r}]")
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
        raise ConfigError(f"{setting}={words!r}: a sequence of texts")


def check_channel(channel: object) -> None:
    """Refuses what is not a channel number."""
    if not isinstance(channel, int) or isinstance(channel, bool) or not 0 <= channel < 2**32:
        raise ConfigError(f"channel={channel!r}: a number from 0 to 4294967295")


def check_props(props: object) -> None:
    """Refuses what is not a dict of texts to values that details can carry."""
    good = isinstance(props, Mapping) and is_plain(dict(props))
    _check(good, "props", props, "a dict of texts to plain values")


def check_plain(setting: str, value: object) -> None:
    """Refuses a value that details cannot carry."""
    wanted = "None, bool, int of 64 bits, float, str, bytes, or lists and dicts of these"
    _check(is_plain(value), setting, value, wanted)


def is_plain(value: object, depth: int = PLAIN_DEPTH) -> bool:
    """Whether details can carry a value: what any MessagePack reader understands, not too deep."""
    if isinstance(value, str):
        return _is_text(value)
    if value is None or isinstance(value, bool | float | bytes):
        return True
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    if isinstance(value, list) and depth:
        return all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict) and depth:
        items = value.items()
        return all(_is_text(key) and is_plain(item, depth - 1) for key, item in items)
    return False


def check_offered(setting: str, options: Iterable[str], offered: Sequence[str]) -> None:
    """Refuses options of what is not used."""
    for name in options:
        if name not in offered:
            there = ", ".join(offered) or "nothing is"
            raise ConfigError(f"{setting}: {name!r} is not offered: {there}")


def _check_options(setting: str, options: object, of: str) -> None:
    good = isinstance(options, Mapping) and all(isinstance(v, Mapping) for v in options.values())
    _check(good, setting, options, f"a dict of dicts, by {of}")


def check_timeout(timeout: float) -> float:
    """Refuses what is no duration; the longest is ten years."""
    if type(timeout) is float and 0.0 <= timeout <= MAX_TIMEOUT_SECONDS:
        return timeout
    if not _is_number(timeout) or not timeout >= 0:  # which nan is not either
        raise ConfigError(f"timeout={timeout!r}: seconds, 0 or more")
    return min(timeout, MAX_TIMEOUT_SECONDS)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    """A str that can be written as UTF-8: no lone surrogates."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)


def _is_group(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_multicast
    except ValueError:
        return False


def _check(good: bool, setting: str, value: object, wanted: str) -> None:
    if not good:
        raise ConfigError(f"{setting}={value!r}: {wanted}")
