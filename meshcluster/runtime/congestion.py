"""Who has too much waiting, and what becomes of a send to it: the policies of ``join``.

What waits is bounded for each receiver, in messages and in bytes, and for all of them in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from ..config import BLOCK, DISCONNECT, DROP_OLD, ERROR
from ..errors import Congested
from ..model import Service
from ..node.node import Node
from ..node.session import Session
from ..wire.frames import AnyMessage, Event

if TYPE_CHECKING:
    from .sending import Part

SHARE = 64
"""One in so many of what waits is given up at a time: the next sends have room again."""


class Congestion:
    """The bounds of one member's senders. ``told`` is called when something was given up."""

    def __init__(self, node: Node, told: Callable[[], None]) -> None:
        self._node = node
        self._told = told
        self._ledger = node.peers.ledger
        self._policy = node.config.congestion
        self._limits = node.config.limits

    # --- who (any thread) --------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether a send waits for room, and nothing is given up for it."""
        return self._policy == BLOCK

    @property
    def short_limit(self) -> int:
        """How many messages may wait for a receiver that a send looks no closer at."""
        return 0 if self._all_full else self._limits.waiting_messages

    @property
    def _all_full(self) -> bool:
        return self._ledger.held_bytes >= self._limits.all_waiting_bytes

    def is_full(self, session: Session) -> bool:
        """Whether a receiver, or all of them together, have too much waiting."""
        return self._is_full(session) or self._all_full

    def _is_full(self, session: Session) -> bool:
        limits = self._limits
        return (
            session.backlog >= limits.waiting_messages or session.held_bytes >= limits.waiting_bytes
        )

    def has_room(self, session: Session) -> bool:
        """So much less waits that whoever waits for room should look again."""
        half = session.backlog <= self._limits.waiting_messages // 2
        return half and not self._is_full(session) and not self._all_full

    def congested(self, parts: Sequence[Part], *, ack: bool = False) -> tuple[Service, ...]:
        """The receivers that have too much waiting, or (``ack``) to be acknowledged; everybody, if
        all together have.
        """
        if self._all_full:
            return tuple(service for part in parts for service, _ in part[3])
        promises = self._limits.open_sends if ack else inf
        return tuple(
            [
                service
                for part in parts
                for service, session in part[3]
                if self._is_full(session) or len(session.promises) >= promises
            ]
        )

    def too_slow(self, parts: Sequence[Part], seconds: float, *, ack: bool = False) -> Congested:
        """What a send raises that waited in vain."""
        slow = self.congested(parts, ack=ack)
        if self._all_full:
            what = f"{self._ledger.held_bytes:,} bytes wait for all receivers together"
        else:
            names = ", ".join(service.name for service in slow)
            what = f"{names} did not take what waits for it"
        waited = f" for {seconds:g} s" if seconds else ""
        return Congested(f"{what}{waited}; nothing was sent", slow)

    # --- what is done about it (in the loop) -------------------------------------------------

    def relieve(
        self, parts: Sequence[Part], make: Callable[..., AnyMessage], *, ack: bool = False
    ) -> bool:
        """Makes room as the policy says; False: who sends must wait for it.

        Raises:
            Congested: the policy is to say so at once.
        """
        if self.waits:
            return False
        if self._policy == ERROR:
            raise self.too_slow(parts, 0.0, ack=ack)
        for session in {session for part in parts for _, session in part[3]}:
            self._relieve(session, partial(self._is_full, session))
        if self._all_full:
            for session in sorted(self._sessions(), key=lambda s: s.held_bytes, reverse=True):
                self._relieve(session, lambda: self._all_full)
        self._told()
        # Where nothing is left to be given up but what is on its way, one event more may wait: the
        # next one takes its place. What else is told is never given up, and waits as ever.
        return make is Event or not self.congested(parts, ack=ack)

    def _sessions(self) -> Iterable[Session]:
        return [s for peer in self._node.peers.linkable() for s in peer.sessions.values()]

    def _relieve(self, session: Session, full: Callable[[], bool]) -> None:
        relief = self._node.relief
        if self._policy == DISCONNECT:
            if full():
                relief.disconnect(session)
            return
        assert self._policy == DROP_OLD
        while full() and relief.drop(session, session.backlog // SHARE + 1):
            pass
