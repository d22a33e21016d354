"""Probe, reply, acknowledgement: the unicast round trip that proves a candidate is there.

One probe at a time to a peer, sent again a few times, then given up. The same exchange asks a
silent member whether it lives, and fetches details that changed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from ..model import Address
from .membership import Peer, Probing
from .schedule import Schedule

CANDIDATE_RETRY_SECONDS = (0.1, 0.3, 0.9)
"""After each probe of a candidate, until it is forgotten; its next beacon starts again."""

HURRIED_SECONDS = (0.05, 0.15)
"""After each of the first probes of a member whose link broke, which are beside the usual ones: a
process that ends closes one socket after another, and may swallow what came before it was through.
"""

PATIENCE_SECONDS = 0.05
"""A beacon this soon after a challenge is no reason to probe as well: the proof is on its way."""

CHALLENGE_SECONDS = 3.0
"""How long a candidate that probed us has to prove itself."""


class Patience(Protocol):
    """How long an answer of a member may take, and how many questions it may leave unanswered."""

    @property
    def answer_seconds(self) -> float: ...
    @property
    def tries(self) -> int: ...


class Prober:
    """Keeps the probes under way. The node sends what this says is to be sent."""

    def __init__(
        self, schedule: Schedule, random: Random, patience: Callable[[], Patience]
    ) -> None:
        self._schedule = schedule
        self._random = random
        self._patience = patience

    def start(self, peer: Peer, address: Address, *, want: bool, now: float) -> bool:
        """Begins to probe; False when a probe is under way already."""
        if peer.probing is not None:
            return False
        peer.probing = Probing(self._random.getrandbits(63) | 1, address, want, now)
        self._sent(peer, now)
        return True

    def may_ask(self, peer: Peer, source: Address, beacon: int) -> bool:
        """Whether a candidate is to be asked where a beacon of it came from. Of several ways to it
        the first one is the best; but one that nobody answers may be an old beacon, sent again by
        anybody, and gives way to a newer one.
        """
        probing = peer.probing
        if probing is not None:
            if probing.tries < 2 or beacon <= peer.reason or source == probing.address:
                return False
            self.stop(peer)
        peer.reason = beacon
        return True

    def hurry(self, peer: Peer, address: Address, now: float) -> None:
        """Probes a member whose link broke, at once and a few times more."""
        if peer.probing is None:
            peer.probing = Probing(self._random.getrandbits(63) | 1, address, False, now)
        peer.probing.since = now  # what was heard before it broke says nothing
        peer.probing.tries = -len(HURRIED_SECONDS)
        self._sent(peer, now)

    def again(self, peer: Peer, now: float) -> bool:
        """A probe was not answered in time: True when it should be sent again, False at the end."""
        probing = peer.probing
        if probing is None:
            return False
        if probing.tries >= self._tries(peer):
            peer.probing = None
            return False
        self._sent(peer, now)
        return True

    def answered(self, peer: Peer, nonce: int) -> Probing | None:
        """The probe that this reply answers, now over; None when there is none."""
        probing = peer.probing
        if probing is None or probing.nonce != nonce:
            return None
        self.stop(peer)
        return probing

    def stop(self, peer: Peer) -> None:
        """Ends the probe of a peer, if any."""
        peer.probing = None
        self._schedule.cancel(("probe", peer.key))

    def challenge(self, peer: Peer, now: float) -> int:
        """A number that a prober must send back; 0 while our own probe of it is under way."""
        if peer.probing is not None:
            return 0
        if peer.challenge == 0:
            peer.challenge = self._random.getrandbits(63) | 1
        peer.challenged_at = now
        if peer.service is None:
            self._schedule.set(("forget", peer.key), now + CHALLENGE_SECONDS)
        return peer.challenge

    def expects_proof(self, peer: Peer, now: float) -> bool:
        """Whether a candidate was just challenged and may prove itself any moment."""
        return peer.challenge != 0 and now - peer.challenged_at < PATIENCE_SECONDS

    def met(self, peer: Peer, challenge: int) -> bool:
        """Whether an acknowledgement brings back the challenge; it is used up then."""
        if challenge == 0 or peer.challenge != challenge:
            return False
        peer.challenge = 0
        self._schedule.cancel(("forget", peer.key))
        return True

    def _tries(self, peer: Peer) -> int:
        if peer.suspicion is not None and peer.suspicion.active:
            return 1
        return self._patience().tries if peer.service else len(CANDIDATE_RETRY_SECONDS)

    def _sent(self, peer: Peer, now: float) -> None:
        probing = peer.probing
        assert probing is not None
        if peer.service is None or peer.details is None:
            last = len(CANDIDATE_RETRY_SECONDS) - 1
            wait = CANDIDATE_RETRY_SECONDS[min(max(probing.tries, 0), last)]
        elif probing.tries < 0:
            wait = HURRIED_SECONDS[probing.tries]
        else:
            wait = self._patience().answer_seconds + peer.lag
        probing.tries += 1
        self._schedule.set(("probe", peer.key), now + wait)
