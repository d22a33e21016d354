"""How much of what strangers send is looked at, and how much they are sent: a flood of junk costs
little, fills no table and makes nobody send to a victim.

Where a member answers it may send ``member_datagrams_per_second``. All other sources have an
allowance each and one together. The last half of what they have together is kept for those that
are heard seldom: a newcomer says a few words, a flood from a thousand sources twenty a second from
each. So newcomers are met while others flood.

Who has proved nothing may have another one's address. It is sent two datagrams on trust, then half
of what came from there, which all members share, for all may have heard it (``may_send``). What
cannot leave this machine harms nobody.

A source is an IP address; on this machine an address with its port, for there many share one.
"""

from __future__ import annotations

from ..bucket import Bucket
from ..config import Limits
from ..model import Address, is_named
from ..wire.frames import Datagram, Leave, ProbeAck, ProbeReply
from .counters import Counters
from .membership import Membership
from .scope import Scope

SELDOM, SELDOM_SECONDS = 8.0, 30.0
"""A source is heard seldom until it has said so much at once, and gains one more in so long."""

KEPT = 0.5
"""Of what strangers have together, for those that are heard seldom."""

BURST_SECONDS = 2.0
"""So many seconds' worth of all that strangers may send may come at once."""

NEWCOMERS_SECONDS = 10.0
"""The same of newcomers: many start together."""

TRUST_SECONDS = 10.0
"""In so long the datagram on trust is earned again."""

GIVEN_BACK = 0.5
"""Of what came from there, by all of us together."""

PROVEN_TIMES = 64
"""Where somebody has proved to be, so many times more may be sent: many live at one address."""

DIALS_AT_ONCE = 64


class Source:
    """What one source may still send, and be sent. ``seldom``: its last datagram came when it was
    heard seldom."""

    __slots__ = ("at", "bytes", "seldom", "tokens", "trust", "words")

    def __init__(self, limits: Limits, now: float) -> None:
        self.at = now
        self.tokens = limits.source_datagrams_per_second
        self.words = SELDOM
        self.seldom = True
        self.trust = 2.0 * limits.datagram_bytes
        """The most that may be sent there beyond what came."""
        self.bytes = self.trust

    def pass_time(self, rate: float, now: float) -> None:
        """It regains what it has used."""
        passed = now - self.at
        if passed > 0.0:
            self.at = now
            self.tokens = min(rate, self.tokens + passed * rate)
            self.words = min(SELDOM, self.words + passed / SELDOM_SECONDS)
            self.bytes = min(self.trust, self.bytes + passed * self.trust / TRUST_SECONDS)


class Policing:
    """Decides for a node, by source."""

    def __init__(
        self, limits: Limits, *, peers: Membership, scope: Scope, counters: Counters
    ) -> None:
        self._limits = limits
        self._peers = peers
        self._scope = scope
        self._counters = counters
        self._rate = limits.source_datagrams_per_second
        self._sources: dict[Address | str, Source] = {}
        self._members: dict[Address, Bucket] = {}
        total = limits.strangers_datagrams_per_second
        self._all = Bucket(total, BURST_SECONDS * total)
        newcomers = limits.newcomers_per_second
        self._newcomers = Bucket(newcomers, NEWCOMERS_SECONDS * newcomers)
        self._dials = Bucket(limits.stranger_dials_per_second, DIALS_AT_ONCE)

    def lets(self, address: Address, size: int, now: float) -> bool:
        """Whether a datagram of so many bytes is looked at; counted when not."""
        if self._peers.is_member_at(address):
            return self._lets_member(address, now)
        source = self._source(address, now)
        source.pass_time(self._rate, now)
        if source.tokens < 1.0:
            self._counters.count("datagrams: beyond what a source may send")
            return False
        source.tokens -= 1.0
        source.seldom = source.words >= 1.0
        if source.seldom:
            source.words -= 1.0
        # Nobody but this user's own programs has a name for an address.
        if not is_named(address) and not self._all.take(now, keep=0 if source.seldom else KEPT):
            self._counters.count("datagrams: beyond what strangers may send")
            return False
        earned = GIVEN_BACK * size / (len(self._peers) + 1)
        source.bytes = min(source.trust, source.bytes + earned)
        return True

    def _lets_member(self, address: Address, now: float) -> bool:
        bucket = self._members.get(address)
        if bucket is None:
            self._forget_gone_members()
            rate = self._limits.member_datagrams_per_second
            bucket = self._members[address] = Bucket(rate, rate)
        if bucket.take(now):
            return True
        self._counters.count("datagrams: beyond what a member may send")
        return False

    def _forget_gone_members(self) -> None:
        """Once as many may have gone as are there; so this costs nothing for each."""
        if len(self._members) > 2 * len(self._peers) + 8:
            there = self._peers.is_member_at
            self._members = {at: bucket for at, bucket in self._members.items() if there(at)}

    def may_meet(self, address: Address, now: float) -> bool:
        """Whether a stranger that was just heard from there may become a candidate, or is answered
        as an observer; counted when not.
        """
        keep = 0.0 if self._source(address, now).seldom else KEPT
        if self._newcomers.take(now, keep=keep):
            return True
        self._counters.count("datagrams: of newcomers beyond newcomers_per_second")
        return False

    def may_send(self, address: Address, size: int, now: float) -> bool:
        """Whether so many bytes may go to somebody who has proved nothing; counted when not."""
        if self._scope.is_own(address[0]):
            return True
        source = self._source(address, now)
        source.pass_time(self._rate, now)
        if source.bytes < size:
            self._counters.count("datagrams: not sent, for less came from there")
            return False
        source.bytes -= size
        return True

    def may_dial(self, now: float) -> bool:
        """Whether an endpoint of a stranger may be dialled; counted when not."""
        if self._dials.take(now):
            return True
        self._counters.count("dials of strangers beyond stranger_dials_per_second")
        return False

    def proved(self, address: Address, now: float) -> None:
        """Somebody has proved to be there."""
        source = self._source(address, now)
        source.trust = float(PROVEN_TIMES * self._limits.datagram_bytes)

    def _source(self, address: Address, now: float) -> Source:
        """The source of an address. Of too many the one that came first is forgotten."""
        key = address if self._scope.is_own(address[0]) else address[0]
        source = self._sources.get(key)
        if source is None:
            while len(self._sources) >= self._limits.sources:
                del self._sources[next(iter(self._sources))]
            source = self._sources[key] = Source(self._limits, now)
        return source

    def __len__(self) -> int:
        return len(self._sources)


def no_greeting(datagram: Datagram, solicited: int) -> str:
    """Why what a stranger says can mean nothing, or "". ``solicited``: the number that answers what
    we asked everybody, 0 for none.
    """
    if isinstance(datagram, Leave):
        return "goodbyes of strangers"
    if isinstance(datagram, ProbeReply) and solicited and datagram.nonce == solicited:
        return ""
    return "replies nobody asked for" if isinstance(datagram, ProbeReply | ProbeAck) else ""
