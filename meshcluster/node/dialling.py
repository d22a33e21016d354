"""Dialling: endpoint after endpoint until one opens, again later when none did, and once more for
what the member prefers to the way that was found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from ..config import Limits
from ..model import UDP, Endpoint, ip_of
from ..wire.frames import LinkFrame, Unopened
from . import negotiation
from .effects import CancelDial, DialEndpoint, Effect
from .membership import Peer
from .schedule import Schedule
from .session import Session

if TYPE_CHECKING:
    from .links import NodeLink

REDIAL_SECONDS = (0.05, 5.0)
"""Between rounds of dialling a member that is there but cannot be reached: doubled each time."""

HEARD_REDIAL_SECONDS = 1.0
"""Between two rounds of dialling a member that is heard meanwhile."""

CROSSING_SECONDS = 0.3
"""A dial that has no link yet after this is not awaited when the other one's link is there."""

REASON_CHARACTERS = 200
"""So much of a reason is told to the member that could not be reached."""


@dataclass(eq=False, slots=True)
class Dial:
    """One round of dialling for a session: its endpoints, where it stands, why each failed.

    ``instead``: the session has a link, which this one is to replace.
    """

    session: Session
    endpoints: Sequence[Endpoint]
    since: float
    instead: bool = False
    number: int = 0
    index: int = 0
    link: NodeLink | None = None
    attempts: list[tuple[Endpoint, str]] = field(default_factory=list)

    @property
    def endpoint(self) -> Endpoint:
        return self.endpoints[self.index]


Unreachable = Callable[[Session, Sequence[tuple[str, str]], float], None]


class Dialling:
    """The rounds of dialling under way, and when the next ones are due.

    ``covers`` says which addresses are near enough. ``unreachable`` is told of a session for which
    every endpoint failed, ``end`` aborts a link
    and ``post`` sends a frame over a session's link.
    """

    def __init__(
        self, limits: Limits, *, spoken: Mapping[str, bool], random: Random, schedule: Schedule,
        effects: list[Effect], covers: Callable[[str], bool],
        unreachable: Unreachable, end: Callable[[NodeLink], None],
        post: Callable[[Session, LinkFrame, float], None],
    ) -> None:  # fmt: skip
        self._limits = limits
        self._spoken = spoken
        self._random = random
        self._schedule = schedule
        self._effects = effects
        self._covers = covers
        self._unreachable = unreachable
        self._end = end
        self._post = post
        self._dials: dict[int, Dial] = {}
        self._serial = 0

    def route(self, peer: Peer, only: Sequence[str] = ()) -> Sequence[Endpoint]:
        """The endpoints of a peer worth dialling, best first (any thread)."""
        return negotiation.order(peer.endpoints, spoken=self._spoken, local=peer.local, only=only)

    def want(self, session: Session, now: float) -> None:
        """Sees to it that a session has a link."""
        self._hurry(session, now)
        if session.link is not None or session.dial is not None:
            return
        self._schedule.cancel(("redial", session))
        if not self._begin_dial(session, self._candidates(session, now), now):
            only = session.schemes
            reasons = negotiation.unused(session.peer.endpoints, spoken=self._spoken, only=only)
            self._unreachable(session, reasons, now)

    def _hurry(self, session: Session, now: float) -> None:
        """A link broke while a better one was sought: whatever opens will do now."""
        dial = session.dial
        if dial is not None and dial.instead and session.link is None and dial.link is None:
            peer = session.peer
            peer.experience.failed(dial.endpoint, ip_of(peer.address), now)
            self.cancel(session)

    def _candidates(self, session: Session, now: float) -> Sequence[Endpoint]:
        """The endpoints to dial, in the peer's order, but what failed lately last."""
        peer = session.peer
        route = [each for each in self.route(peer, tuple(session.schemes)) if each.scheme != UDP]
        return peer.experience.sort(route, ip_of(peer.address), now)

    def _begin_dial(
        self, session: Session, endpoints: Sequence[Endpoint], now: float, *, instead: bool = False
    ) -> bool:
        if not endpoints:
            return False
        session.dial = Dial(session, endpoints, now, instead)
        session.dialled_at = now
        self._try(session.dial, now)
        return True

    def _try(self, dial: Dial, now: float) -> None:
        self._serial += 1
        dial.number = self._serial
        self._dials[dial.number] = dial
        self._schedule.set(("dial", dial.number), now + self._limits.dial_seconds)
        address = ip_of(dial.session.peer.address)
        others = self._others(dial, address)
        self._effects.append(DialEndpoint(dial.number, address, dial.endpoint, others))

    def _others(self, dial: Dial, address: str) -> tuple[str, ...]:
        """Where else a member may be reached: where it was heard, and what it says itself."""
        if self._spoken.get(dial.endpoint.scheme):  # which reaches this machine only
            return ()
        peer = dial.session.peer
        found = (*peer.others, *negotiation.hosts(dial.endpoint))
        wanted = dict.fromkeys(each for each in found if self._covers(each))
        wanted.pop(address, None)
        return tuple(wanted)[: negotiation.MAX_HOSTS]

    def taken(self, number: int) -> Dial | None:
        """The dial whose link is open; None when nobody waits for it any more."""
        dial = self._dials.pop(number, None)
        self._schedule.cancel(("dial", number))
        if dial is not None:
            dial.session.peer.experience.worked(dial.endpoint)
        return dial

    def cancel_all(self) -> None:
        """Gives up every dial that has no link yet."""
        for dial in list(self._dials.values()):
            self.cancel(dial.session)

    def useless(self, session: Session, now: float) -> None:
        """The endpoint of a session's link opens, but what it opened broke before it was of use."""
        if session.endpoint is not None:
            peer = session.peer
            peer.experience.failed(session.endpoint, ip_of(peer.address), now)

    def failed(self, number: int, reason: str, now: float) -> None:
        """An endpoint could not be opened, or what answered there was not the member."""
        dial = self._dials.pop(number, None)
        if dial is None:
            return
        self._schedule.cancel(("dial", number))
        self.next_endpoint(dial, reason, now)

    def timed_out(self, number: int, now: float) -> None:
        """An endpoint did not open in time."""
        self._effects.append(CancelDial(number))
        self.failed(number, f"no answer in {self._limits.dial_seconds:g} s", now)

    def next_endpoint(self, dial: Dial, reason: str, now: float) -> None:
        session = dial.session
        dial.attempts.append((dial.endpoint, reason))
        session.peer.experience.failed(dial.endpoint, ip_of(session.peer.address), now)
        dial.link = None
        dial.index += 1
        if dial.index < len(dial.endpoints):
            self._try(dial, now)
            return
        session.dial = None
        if session.link is not None:  # which was to be replaced
            for frame in self.unopened(dial):
                self._post(session, frame, now)
            self.look_for_better(session, now)
            return
        session.failures += 1
        if not session.lane:  # none is worse than another: the member itself was out of reach
            session.peer.experience.forget()
        heard = session.peer.heard_at > dial.since
        attempts = [(endpoint.scheme, reason) for endpoint, reason in dial.attempts]
        self._unreachable(session, attempts, now)
        if heard and ("redial", session) in self._schedule:
            self._redial_at(session, max(now, session.dialled_at + HEARD_REDIAL_SECONDS))

    def redial_later(self, session: Session, now: float, wait: float | None = None) -> None:
        """Dials again after a pause that grows with each failure."""
        if wait is None:
            low, high = REDIAL_SECONDS
            wait = min(high, low * 2.0 ** min(session.failures, 10))
        wait *= 0.75 + 0.5 * self._random.random()
        self._redial_at(session, now + wait)

    def _redial_at(self, session: Session, when: float) -> None:
        session.redial_at = when
        self._schedule.set(("redial", session), when)

    def is_opening(self, session: Session, now: float) -> bool:
        """Whether a dial may open any moment: what takes long may have been swallowed."""
        dial = session.dial
        return dial is not None and (dial.link is not None or now - dial.since < CROSSING_SECONDS)

    def overtaken(self, session: Session, now: float) -> None:
        """The other one's link is there first. What takes long has failed."""
        dial, peer = session.dial, session.peer
        if dial is not None and not self.is_opening(session, now):
            peer.experience.failed(dial.endpoint, ip_of(peer.address), now)
        self.cancel(session)

    def cancel(self, session: Session) -> None:
        dial, session.dial = session.dial, None
        if dial is None:
            return
        if self._dials.pop(dial.number, None) is not None:
            self._schedule.cancel(("dial", dial.number))
            self._effects.append(CancelDial(dial.number))
        if dial.link is not None:
            self._end(dial.link)

    # --- healing -----------------------------------------------------------------------------

    def _better(self, session: Session) -> Sequence[Endpoint]:
        """The endpoints that the peer prefers to the one which we dialled for its link."""
        if session.link is None or session.endpoint is None:
            return ()
        route = self.route(session.peer, tuple(session.schemes))
        schemes = [endpoint.scheme for endpoint in route]
        scheme = session.endpoint.scheme
        return route[: schemes.index(scheme)] if scheme in schemes else ()

    def look_for_better(self, session: Session, now: float) -> None:
        """Sets the time at which an endpoint that the peer prefers is tried again."""
        peer = session.peer
        until = peer.experience.until
        times = [until(endpoint, ip_of(peer.address)) for endpoint in self._better(session)]
        if times:
            self._schedule.set(("better", session), max(now, min(times)))

    def improve(self, session: Session, now: float) -> None:
        """Dials what the peer prefers to the link that the session has, which goes on meanwhile.

        Nothing is lost by the change, nor overtaken: the other end hears which batch was the last
        that came, and what was not acknowledged is sent again.
        """
        if session.dial is None:
            peer, until = session.peer, session.peer.experience.until
            address = ip_of(peer.address)
            better = [each for each in self._better(session) if until(each, address) <= now]
            self._begin_dial(session, better, now, instead=True)

    def stirred(self, peer: Peer, now: float, *, silent: bool) -> None:
        """A member was heard (``silent``: after it had been silent): what waits for it need not
        wait on. A link on which nothing was acknowledged all that time is dialled anew, since TCP
        would try again as late as it was cut off.
        """
        for session in peer.sessions.values():
            if session.dial is not None:
                continue
            if session.link is None:
                when = max(now, session.dialled_at + HEARD_REDIAL_SECONDS)
                if ("redial", session) in self._schedule and when < session.redial_at:
                    self._redial_at(session, when)
            elif silent and not session.idle:
                self._begin_dial(session, self._candidates(session, now), now, instead=True)

    def readvertised(self, peer: Peer, now: float) -> None:
        """A member has other endpoints than before: they hold from now on."""
        for session in peer.sessions.values():
            if self.restart(session, now):
                continue
            if session.link is not None:
                self.look_for_better(session, now)
            elif ("redial", session) in self._schedule:
                self.want(session, now)

    def restart(self, session: Session, now: float) -> bool:
        """What a session dials is not where its member is any more: begins anew if it needs a link.
        Tells whether it did.
        """
        if session.dial is None or session.dial.link is not None:
            return False
        self.cancel(session)
        if session.link is None:
            self.want(session, now)
        return session.link is None

    def unopened(self, dial: Dial) -> list[Unopened]:
        """What its member is told of a dial: which of its endpoints it may see to."""
        return [
            Unopened(endpoint, reason[:REASON_CHARACTERS]) for endpoint, reason in dial.attempts
        ]
