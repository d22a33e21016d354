"""A member of whom there is only what others hear of it: who it knows is one integer.

It obeys the rules of ``meshcluster/node/`` for what happens in a mesh that starts and where nothing
is lost: whom it asks and who asks it (``Views.asks``), for whom it vouches and when it need not,
whose word it takes, when it compares views and with whom, when it beacons (``Rhythm``). What real
members hear of it are real datagrams and frames. What played members say to each other changes
their sets, and is counted by kind, not made.
"""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING

from meshcluster.model import Address, Identity, member_key
from meshcluster.node.datagrams import Datagrams
from meshcluster.node.rhythm import Rhythm
from meshcluster.node.views import (
    ALIKE,
    BEACONS_A_SECOND,
    DIFFERING,
    DIRECT_PROOFS,
    ENTRIES_A_FRAME,
    FIRST_LOOK_SECONDS,
    LOOK_SECONDS,
    NAMED_BYTES,
    PROVERS,
    VOUCH_SECONDS,
    vouches,
)
from meshcluster.testing.virtual import PORT, VirtualLink
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    Details,
    Hello,
    Probe,
    ProbeAck,
    ProbeReply,
    View,
    ViewRequest,
)  # fmt: skip

from .roster import numbers

if TYPE_CHECKING:
    from meshcluster.testing import VirtualMember

    from .mesh import PlayedMesh

LEGS = 4
"""Ways over the network until a member that has no link yet is asked something over one."""


class Played:
    """One member, and what it knows of the others."""

    alive, paused, broken = True, False, ()

    def __init__(self, mesh: PlayedMesh, identity: Identity, details: Details, address: str):
        self._mesh = mesh
        self._roster = mesh.roster
        self._random = mesh.random
        self.identity = identity
        self.name = identity.name
        self.address = address
        self.source: Address = (address, PORT)
        self.number = self._roster.add(identity, address, details)
        self.bit = 1 << self.number
        self.known, self.count = self.bit, 1
        """Itself included."""
        self._before = 0
        self._told = 0
        """Known by the words of others only."""
        self._heard = 0
        """Strangers that others ask."""
        self._asking = 0
        self._nonces: dict[int, int] = {}
        self._challenges: dict[int, int] = {}
        self._vouching = 0
        self._differing = 0
        self._wait = LOOK_SECONDS[0]
        self._rested_at = -inf
        self._look_at: float | None = None
        self._partner: int | None = None
        self._alike = 0
        self._partner_knows = 0
        """What must be made good by comparing with that partner; 0: whatever there is."""
        self._links: dict[VirtualLink, bool] = {}
        """Those that are open; whether we dialled, and have not said hello."""
        self._asks_view: set[str] = set()
        self._rhythm = Rhythm(mesh.random)
        self.own = Datagrams(
            identity, mesh.settings, details=lambda: details, views=self,  # type: ignore[arg-type]
            lag=float, wall=float,
        )  # fmt: skip

    # --- what its datagrams say ----------------------------------------------------------------

    @property
    def known_beyond(self) -> int:
        """See ``Views``."""
        return self.count

    def known_to(self, _: str) -> int:
        """See ``Views``."""
        return self.count

    @property
    def fingerprint(self) -> int:
        """See ``Views``."""
        return self._roster.fingerprint(self.known)

    @property
    def large(self) -> bool:
        """See ``Views``."""
        return self.count > DIRECT_PROOFS

    @property
    def settled(self) -> bool:
        """It knows all, and means to do nothing about it."""
        complete = self.known is self._roster.everybody and not self._vouching
        return complete and not self._differing and self._look_at is None

    def _tellable(self) -> int:
        return self.known & ~(self._told & ~self._mesh.spoken)

    # --- beacons -------------------------------------------------------------------------------

    def beacon(self) -> None:
        """Announces itself."""
        mesh = self._mesh
        mesh.announce(self, codec.encode_datagram(self.own.beacon(self._rhythm.sent + 1)))
        if self._rhythm.sent:  # the first ones of all are heard in ``meet``
            mesh.beaconed(self.number, self.known)
        interval = max(mesh.settings.heartbeat_seconds, self.count / BEACONS_A_SECOND)
        mesh.after(self._rhythm.wait(interval, large=self.large), self.beacon)

    def meet(self) -> None:
        """The first beacons of all who started after it have come."""
        strangers, place = self._roster.everybody >> self.number + 1 << self.number + 1, self.number
        chosen: list[int] = []
        while True:
            size = self.count + len(chosen) + 1
            place += 1
            if size > DIRECT_PROOFS:  # so many are passed over until one is asked
                place += int(log(1 - self._random.random()) / log(1 - PROVERS / size))
            if place >= len(self._roster):
                break
            chosen.append(place)
        self._prove(chosen)
        latest = max(0, len(self._roster) - self._mesh.settings.limits.candidates)
        self._heard = (strangers & ~self._asking) >> latest << latest

    def heard_beacons(self, views: dict[int, int], senders: int) -> None:
        """Others say who they are, and whom they know."""
        if strangers := senders & ~self.known & ~self._asking:
            self._heard_strangers(numbers(strangers), views)
        for number, view in views.items():
            if view == self.known and number != self.number:
                self._wait, self._differing = LOOK_SECONDS[0], 0
                self._alike += 1
                if self._alike >= ALIKE and not self._partner_knows:
                    self._look_at = None
            elif self.known >> number & 1 and number != self.number:
                self._heard_other_view(number, view)
            if self._look_at is not None and len(views) > DIFFERING:
                return  # of thousands that speak at once the first ones are enough

    def _heard_other_view(self, number: int, view: int) -> None:
        if view == self._before or view.bit_count() <= DIRECT_PROOFS:
            return
        self._alike = 0
        self._differing += 1
        if self._differing >= DIFFERING and self._mesh.now >= self._rested_at:
            self._partner, self._partner_knows = number, 0
            self._look_on()

    def _heard_strangers(self, strangers: list[int], views: dict[int, int]) -> None:
        chosen = []
        for number in strangers:
            size = self.count + self._asking.bit_count() + len(chosen) + 1
            size = max(size, views[number].bit_count())
            if size <= DIRECT_PROOFS or self._random.random() < PROVERS / size:
                chosen.append(number)
            else:
                self._heard |= 1 << number
        if chosen:
            self._prove(chosen)

    # --- proofs --------------------------------------------------------------------------------

    def _prove(self, chosen: list[int]) -> None:
        """Asks strangers who they are."""
        mesh, played = self._mesh, []
        for number in chosen:
            self._asking |= 1 << number
            if isinstance(mesh.each[number], Played):
                played.append(number)
            else:
                nonce = self._random.getrandbits(63) | 1
                self._nonces[nonce] = number
                self._send(codec.encode_datagram(self.own.probe(nonce, want=True)), number)
        if played:
            mesh.count("Probe", "ProbeReply", "ProbeAck", times=len(played))
            delay = mesh.network.delay
            mesh.after(delay() + delay(), self._answered, played)

    def _answered(self, played: list[int]) -> None:
        mesh = self._mesh
        other = mesh.each[self._random.choice(played)]
        assert isinstance(other, Played)
        self._proved(played, other.number, other.count)
        mesh.after(mesh.network.delay(), self._acknowledge, played)

    def _acknowledge(self, played: list[int]) -> None:
        for number in played:
            other = self._mesh.each[number]
            assert isinstance(other, Played)
            other._proved([self.number], self.number, self.count)

    def _proved(self, those: list[int], by: int, knows: int) -> None:
        """Others answered it; one of them says how many it knows."""
        mask = sum(1 << number for number in those)
        self._asking &= ~mask
        small = max(0, DIRECT_PROOFS - self.count + 1)
        new = self._learn(mask)
        self._told &= ~mask
        for _ in range(min(small, new.bit_count())):
            new &= new - 1  # for those nobody vouches
        if new and not self._vouching:
            mesh = self._mesh
            mesh.after(VOUCH_SECONDS * self._random.random(), self._vouch)
        self._vouching |= new
        if self._look_at is not None and self._partner_knows:
            return  # it compares soon, with another one
        if knows > DIRECT_PROOFS and knows > self.count + knows // 8:
            self._partner, self._partner_knows = by, knows
            self._set_look(FIRST_LOOK_SECONDS * self._random.random())

    def _learn(self, mask: int, *, told: bool = False) -> int:
        """These are members; who of them is new."""
        new = mask & ~self.known
        if new:
            small = not self.large
            self._before = self.known
            self.known |= new
            self.count = self.known.bit_count()
            if told:
                self._told |= new & ~self._heard
            self._heard &= ~new
            if small and self.large:
                self._look_on()
            if self.known == self._roster.everybody:
                self.known = self._roster.everybody
                self._mesh.completed(self)
        return new

    # --- words ---------------------------------------------------------------------------------

    def _vouch(self) -> None:
        mask, self._vouching = self._vouching & ~self._told, 0
        if not mask:
            return
        mesh, entries = self._mesh, [self._roster.entries[n] for n in numbers(mask)]
        limits = mesh.settings.limits
        for vouch in vouches(self.identity, "default", entries, limits.datagram_bytes):
            mesh.announce(self, codec.encode_datagram(vouch))
        mesh.after(mesh.network.delay(), mesh.word_lands, self.number, mask)

    def heard_word(self, by: int, mask: int) -> None:
        """A member vouches for others."""
        if self.known >> by & 1:
            if self._vouching:
                self._vouching &= ~mask
            self._learn(mask, told=True)

    # --- views ---------------------------------------------------------------------------------

    def _look_on(self) -> None:
        if self._look_at is None and self._mesh.now >= self._rested_at:
            self._set_look(self._wait * (1 + 2 * self._random.random()))

    def _set_look(self, wait: float) -> None:
        self._look_at = self._mesh.now + wait
        self._mesh.after(wait, self._look, self._look_at)

    def _look(self, when: float) -> None:
        if self._look_at != when:
            return
        partner, knows = self._partner, self._partner_knows
        self._look_at, self._partner, self._partner_knows = None, None, 0
        if 0 < knows <= self.count:
            return
        partner = (
            self._random.choice(numbers(self.known & ~self.bit)) if partner is None else partner
        )
        mesh, other = self._mesh, self._mesh.each[partner]
        self._differing, self._rested_at = 0, mesh.now + self._wait
        self._wait = min(2 * self._wait, LOOK_SECONDS[1])
        if isinstance(other, Played):
            mesh.count("ViewRequest")
            mesh.view_bytes += NAMED_BYTES * self.count
            delay = sum(mesh.network.delay() for _ in range(LEGS))
            mesh.after(delay, other.asked, self, self.known)
        else:
            self._asks_view.add(other.address)
            self.dial(other.address)

    def asked(self, asker: Played, named: int) -> None:
        """Another one names whom it knows."""
        self._learn(asker.bit)
        answer = self._tellable() & ~named & ~asker.bit
        if unknown := named & ~self.known & ~self.bit:
            self._mesh.view_bytes += NAMED_BYTES * unknown.bit_count()
        if answer or unknown:
            self._tell(asker, answer, unknown)

    def _tell(self, other: Played, mask: int, unknown: int) -> None:
        mesh = self._mesh
        mesh.count("View")
        mesh.view_bytes += mesh.entry_bytes * mask.bit_count()
        mesh.after(mesh.network.delay(), other.told, self, mask, unknown)

    def told(self, by: Played | None, mask: int, unknown: int) -> None:
        """Another one told whom it knows, and whom it does not."""
        if self._learn(mask, told=True):
            self._wait, self._rested_at = LOOK_SECONDS[0], self._mesh.now
            self._look_on()
        if by is not None and (wanted := self._tellable() & unknown):
            self._tell(by, wanted, 0)

    # --- with real members: datagrams ----------------------------------------------------------

    def _send(self, data: bytes, number: int) -> None:
        self._mesh.send(self, data, self._roster.addresses[number])  # type: ignore[arg-type]

    def ask(self, number: int) -> None:
        """Asks whether a member is there, as the detector does in its rounds."""
        nonce = self._random.getrandbits(63) | 1
        self._send(codec.encode_datagram(self.own.probe(nonce, want=False)), number)

    def received(self, data: bytes) -> None:
        """A real member sent this to it alone."""
        datagram = codec.decode_datagram(data)
        number = self._roster.number(member_key(datagram.id, datagram.boot))
        there = self._roster.addresses[number]
        if isinstance(datagram, Probe):
            challenge = 0
            if not self.known >> number & 1:
                challenge = self._challenges[number] = self._random.getrandbits(63) | 1
            reply, _ = self.own.reply(datagram.nonce, challenge, wanted=datagram.want, to=there)
            self._send(reply, number)
        elif isinstance(datagram, ProbeReply):
            if datagram.challenge:
                self._send(self.own.acknowledgement(datagram.challenge, to=there), number)
            if self._nonces.pop(datagram.nonce, None) is not None:
                self._proved([number], number, datagram.known)
        elif isinstance(datagram, ProbeAck):
            if self._challenges.pop(number, 0) == datagram.challenge:
                self._proved([number], number, datagram.known)
        else:
            self._mesh.count(f"not played: {type(datagram).__name__}")

    # --- with real members: links --------------------------------------------------------------

    def dial(self, address: str) -> None:
        """Opens a link."""
        self._mesh.dial(self, 1, address, self._mesh.schemes[0])  # type: ignore[arg-type]

    def open_link(self, remote: str, number: int | None, scheme: str) -> VirtualLink:
        """See ``VirtualMember``."""
        link = VirtualLink(self, None)  # type: ignore[arg-type]
        self._links[link] = number is not None
        return link

    def step(self) -> None:
        """Says hello over the links that it dialled."""
        for link, dialled in self._links.items():
            if dialled and link.peer is not None:
                self._links[link] = False
                self._say_hello(link, link.peer.owner)

    def _say_hello(self, link: VirtualLink, other: VirtualMember) -> None:
        me, token = self.identity, self._random.getrandbits(63) | 1
        details = self._roster.entries[self.number].details
        hello = Hello(
            "default", me.id, me.boot, other.node.identity.key, "", token, 0, 0, 0, details
        )
        self._mesh.write(link, [codec.preface(), codec.encode_frame(hello)])
        if other.address in self._asks_view:
            self._asks_view.remove(other.address)
            keys = [self._name(n) for n in numbers(self.known & ~self.bit)]
            self._mesh.write(link, [codec.encode_frame(ViewRequest(b"".join(keys)))])

    def _name(self, number: int) -> bytes:
        entry = self._roster.entries[number]
        return member_key(entry.id, entry.boot) + codec.digest(entry.details)

    def has(self, link: VirtualLink) -> bool:
        """See ``VirtualMember``."""
        return link in self._links

    def arrived(self, link: VirtualLink, data: bytes) -> None:
        """See ``VirtualMember``."""
        if data == codec.preface():
            return
        frame, other = codec.decode_frame(data), link.peer.owner
        if isinstance(frame, Hello):
            if frame.peer_token == 0:  # it dialled
                self._say_hello(link, other)
            self._learn(1 << self._roster.number(member_key(frame.id, frame.boot)))
        elif isinstance(frame, ViewRequest):
            self._answer(link, frame, other)
        elif isinstance(frame, View):
            mask = self._roster.mask([member_key(e.id, e.boot) for e in frame.members])
            self.told(None, mask, 0)
            if frame.unknown:
                wanted = self._tellable() & self._named(frame.unknown)
                self._write_view(link, wanted, b"")

    def _named(self, keys: bytes) -> int:
        cut = range(0, len(keys), NAMED_BYTES)
        return self._roster.mask([keys[at : at + 24] for at in cut])

    def _answer(self, link: VirtualLink, request: ViewRequest, other: VirtualMember) -> None:
        asker = 1 << self._roster.number(other.node.identity.key)
        named = self._named(request.keys)
        unknown = b"".join(self._name(n) for n in numbers(named & ~self.known))
        self._write_view(link, self._tellable() & ~named & ~asker & ~self.bit, unknown)

    def _write_view(self, link: VirtualLink, mask: int, unknown: bytes) -> None:
        entries = [self._roster.entries[n] for n in numbers(mask)]
        if not entries and not unknown:
            return
        for start in range(0, max(1, len(entries)), ENTRIES_A_FRAME):
            view = View(entries[start : start + ENTRIES_A_FRAME], unknown)
            self._mesh.write(link, [codec.encode_frame(view)])
            unknown = b""

    def link_ended(self, link: VirtualLink, reason: str) -> None:
        """See ``VirtualMember``."""
        self._links.pop(link, None)

    def write_more(self, link: VirtualLink) -> None:
        """See ``VirtualMember``: it has written all."""

    def dial_failed(self, number: int) -> None:
        """See ``VirtualMember``: it was not wanted, or there is a link already."""
