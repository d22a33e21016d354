"""How long a member waits until its next beacon."""

from __future__ import annotations

from random import Random

from ..wire.frames import Beacon

JOIN_BURST_SECONDS = (0.0, 0.1, 0.4)
"""Beacons of a newcomer: one may be lost, so there are three, then one each heartbeat."""

BEACON_JITTER = 0.2
"""Each interval is drawn within 20 % of the heartbeat, so that members do not fall into step."""


MOST_LAG = 30.0
"""Seconds of lag that we believe a member."""


def lag_of(beacon: Beacon) -> float:
    """Seconds that a member says it is late."""
    return min(max(beacon.lag / 1000, 0.0), MOST_LAG) if beacon.lag else 0.0


class Rhythm:
    """The beacons of one member: how many were sent, and when the next is due."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.sent = 0
        self._spread = False
        """Our beacons have fallen out of step with those of others who started with us."""

    def wait(self, interval: float, *, large: bool) -> float:
        """Seconds from one beacon, which is counted, to the next, in a mesh that is ``large``."""
        self.sent += 1
        if self.sent < len(JOIN_BURST_SECONDS) and not large:
            return JOIN_BURST_SECONDS[self.sent] - JOIN_BURST_SECONDS[self.sent - 1]
        wait = interval * (1 + BEACON_JITTER * (2 * self._random.random() - 1))
        if not self._spread and large:
            # Thousands may have started at this moment. Only once: chance after chance would
            # make twice as many beacons of all together before it evens out.
            self._spread = True
            return wait * self._random.random()
        return wait
