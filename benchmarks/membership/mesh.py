"""A mesh of thousands in which some members are real and all others are played (``played.py``).

The real ones are nodes in virtual time, as in ``Simulation``, at even places in the order of
joining; each of them knows, asks, hears and tells all others. Nothing is lost, nobody dies.

Beside what ``played.py`` says, these are played in the large: the questions of the played members'
detectors to real ones (of the two before each on the ring once a second, of the others by chance),
and the three links that each real one's neighbours open to it once they know all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from meshcluster.config import ClusterConfig
from meshcluster.model import Endpoint, Identity
from meshcluster.node.detector import LATEST_BEACON
from meshcluster.node.monitors import NEIGHBOURS, SETTLE_SECONDS
from meshcluster.node.views import BEACONS_A_SECOND
from meshcluster.testing import Simulation, VirtualMember
from meshcluster.testing.virtual import PORT, VirtualLink
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Details, Vouch

from .played import Played
from .roster import Roster

VIEW_FRAMES = {8: "ViewRequest", 9: "View"}
"""By the number that stands first in a frame."""


class PlayedMesh(Simulation):
    """A mesh of so many ``members``, of whom some are ``real``."""

    def __init__(self, seed: int, members: int, real: int, **config: Any) -> None:
        super().__init__(seed, **config)
        self.settings = ClusterConfig(**self._config)
        self.roster = Roster()
        self.each: list[Played | VirtualMember] = []
        self.played: list[Played] = []
        self.unsettled: dict[int, Played] = {}
        self.spoken = 0
        """Of whom all have heard a beacon since the first ones."""
        self.group: Counter[tuple[int, str]] = Counter()
        """Datagrams to the group, by second and kind."""
        self.others: Counter[str] = Counter()
        """All others, and frames about views, by kind: of the whole mesh."""
        self.asked = 0
        """Datagrams that real members sent to one."""
        self.view_bytes = 0
        """Of frames about views."""
        self._said_at: dict[int, float] = {}
        """When each real member last beaconed."""
        self._words: dict[int, int] = {}
        self._beaconed: dict[int, int] = {}
        self._beaconed_at = 0.0
        chosen = {int(members / real * (n + 0.5)) for n in range(real)}
        for number in range(members):
            self._join(number, real=number in chosen)
        self.entry_bytes = len(codec.encode_frame(self.roster.entries[-1]))
        self._ring = self.roster.ring()
        self._places = {number: place for place, number in enumerate(self._ring)}
        for member in self.played:
            self.after(2 * self.network.delay(), member.meet)
        for member in self.members:
            self._ask_on(self.roster.number(member.node.identity.key))

    def _join(self, number: int, *, real: bool) -> None:
        if real:
            member = self.add()
            self.roster.add(member.node.identity, member.address, member.node.details)
            self.each.append(member)
            return
        name, address = f"m{number + 1}", f"10.0.{(number + 1) // 250}.{(number + 1) % 250 + 1}"
        self._boots += 1
        identity = Identity(self.random.randbytes(16), self._boots, name, "simulated")
        endpoints = tuple(Endpoint(scheme, self.said) for scheme in self.schemes)
        heartbeat = self.settings.heartbeat_seconds
        details = Details(1, name, "simulated", (), endpoints, {}, PORT, heartbeat)
        played = Played(self, identity, details, address)
        self._at[address] = played  # type: ignore[assignment]
        self.each.append(played)
        self.played.append(played)
        self.unsettled[played.number] = played
        played.beacon()

    # --- what is asked of it -------------------------------------------------------------------

    def agreed(self) -> bool:
        """Whether all real members know all, and have the view that all should have."""
        view, others = self.roster.fingerprint(self.roster.everybody), len(self.each) - 1
        nodes = [member.node for member in self.members]
        return all(len(n.peers) == others and n._views.fingerprint == view for n in nodes)

    @property
    def complete(self) -> bool:
        """Whether all played members know all."""
        return all(member.known is self.roster.everybody for member in self.played)

    def share(self) -> float:
        """How much of what they should know the real members know."""
        known = sum(len(member.node.peers) for member in self.members)
        return known / len(self.members) / (len(self.each) - 1)

    def beacons(self, since: int, until: int) -> list[int]:
        """Of all members, in each of these seconds."""
        return [self.group[second, "Beacon"] for second in range(since, until)]

    def count(self, *kinds: str, times: int = 1) -> None:
        """Counts what is not for the group."""
        for kind in kinds:
            self.others[kind] += times

    # --- the group -----------------------------------------------------------------------------

    def announce(self, sender: Any, data: bytes) -> None:
        """To all real members; the played ones hear it as what it says."""
        datagram = codec.decode_datagram(data)
        self.group[int(self.now), type(datagram).__name__] += 1
        self.sent_bytes += len(data)
        self.snapshots.expect(data)
        for member in self.members:
            if member is not sender:
                self._enter(sender, data, member)
        if isinstance(sender, Played):
            return
        if isinstance(datagram, Vouch):
            keys = [Identity(e.id, e.boot, "", "").key for e in datagram.members]
            number = self.roster.number(sender.node.identity.key)
            if number not in self._words:  # all that it says at this moment lands together
                self._words[number] = 0
                self.after(self.network.delay(), self._words_land, number)
            self._words[number] |= self.roster.mask(keys)
        elif isinstance(datagram, Beacon):
            if datagram.number > 1:  # the first ones of all are heard in ``Played.meet``
                number = self.roster.number(sender.node.identity.key)
                self._said_at[number] = self.now
                self.beaconed(number, self._view(sender))
        else:
            self.count(f"not played: {type(datagram).__name__}")

    def _view(self, member: VirtualMember) -> int:
        if len(member.node.peers) == len(self.each) - 1:
            return self.roster.everybody
        return self.roster.mask([member.node.identity.key, *(p.key for p in member.node.peers)])

    def beaconed(self, number: int, view: int) -> None:
        """A member says that it is there, and whom it knows. What many say at one moment, a tenth
        of a second after they started, is taken in together.
        """
        if self.now != self._beaconed_at:
            self._beaconed_at, self._beaconed = self.now, {}
            self.after(self.network.delay(), self._beacons_land, self._beaconed)
        self._beaconed[number] = view

    def _beacons_land(self, views: dict[int, int]) -> None:
        senders = sum(1 << number for number in views)
        self.spoken |= senders
        same = set(views.values()) == {self.roster.everybody}
        for each in list(self.unsettled.values()) if same else self.played:
            each.heard_beacons(views, senders)
            self._settle(each)

    def _words_land(self, number: int) -> None:
        self.word_lands(number, self._words.pop(number))

    def word_lands(self, number: int, mask: int) -> None:
        """The played members hear that a member vouches for these."""
        for each in list(self.unsettled.values()):
            if each.number != number:
                each.heard_word(number, mask)
                self._settle(each)

    def _settle(self, each: Played) -> None:
        if each.settled:
            self.unsettled.pop(each.number, None)
        else:
            self.unsettled[each.number] = each

    # --- to one --------------------------------------------------------------------------------

    def send(self, sender: Any, data: bytes, address: str) -> None:
        """A datagram to or from a real member, or between two."""
        self.count(type(codec.decode_datagram(data)).__name__)
        self.asked += not isinstance(sender, Played)
        super().send(sender, data, address)

    def _fly(self, sender: Any, data: bytes, target: Any) -> None:
        if isinstance(target, Played):
            self.after(self.network.delay(), target.received, data)
        else:
            self._enter(sender, data, target)

    def write(self, link: VirtualLink, frames: Sequence[bytes]) -> None:
        """Frames to or from a real member, or between two."""
        for frame in frames:
            if frame[1] in VIEW_FRAMES:
                self.count(VIEW_FRAMES[frame[1]])
                self.view_bytes += len(frame)
        super().write(link, frames)

    def completed(self, member: Played) -> None:
        """A played member knows all: it opens the links that it owes real ones."""
        place = self._places[member.number]
        for step in range(1, NEIGHBOURS + 1):
            other = self.each[self._ring[(place + step) % len(self._ring)]]
            if isinstance(other, VirtualMember):
                wait = SETTLE_SECONDS * (1 + self.random.random())
                self.after(wait, member.dial, other.address)

    def _ask_on(self, number: int) -> None:
        """A real member is asked by those before it on the ring, and by others in their turns."""
        place = self._places[number]
        for step in range(1, self.settings.pace.watched + 1):
            other = self.each[self._ring[place - step]]
            if isinstance(other, Played):
                self.after(1 + self.random.random(), self._ask_regularly, other, number)
        self.after(1 + self._until_turn(), self._ask_in_turn, number)

    def _ask_regularly(self, asker: Played, number: int) -> None:
        self._ask(asker, number)
        wait = self.settings.pace.probe_seconds * (0.9 + 0.2 * self.random.random())
        self.after(wait, self._ask_regularly, asker, number)

    def _ask(self, asker: Played, number: int) -> None:
        """Unless its beacon was heard lately (``Detector._lately``)."""
        lately = 0.9 * self.settings.pace.probe_seconds
        due = LATEST_BEACON * max(
            self.settings.heartbeat_seconds, len(self.each) / BEACONS_A_SECOND
        )
        lately = due if lately < due <= 1.75 * lately else lately
        if self.now - self._said_at.get(number, 0.0) > lately:
            asker.ask(number)

    def _until_turn(self) -> float:
        share = max(len(self.played), 1) / len(self.each)
        return self.random.expovariate(share) * self.settings.pace.probe_seconds

    def _ask_in_turn(self, number: int) -> None:
        if self.played:
            self._ask(self.random.choice(self.played), number)
        self.after(self._until_turn(), self._ask_in_turn, number)
