"""How often a member beacons: soon at first, then once in each interval, and never in step."""

from collections import Counter
from itertools import pairwise
from random import Random

from meshcluster.node.rhythm import BEACON_JITTER, JOIN_BURST_SECONDS, Rhythm


def times(seed: int, seconds: float, *, large: bool, interval: float = 1.0) -> list[float]:
    """When one member beacons that knows at once how large the mesh is."""
    rhythm, now, found = Rhythm(Random(seed)), 0.0, []
    while now < seconds:
        found.append(now)
        now += rhythm.wait(interval, large=large)
    assert rhythm.sent == len(found)
    return found


def test_a_newcomer_beacons_three_times_soon_then_once_in_each_interval() -> None:
    found = times(1, 20.0, large=False)
    assert tuple(found[:3]) == JOIN_BURST_SECONDS
    waits = [then - first for first, then in pairwise(found[2:])]
    assert 1 - BEACON_JITTER <= min(waits) < max(waits) <= 1 + BEACON_JITTER


def test_of_a_thousand_that_start_together_as_many_beacon_in_each_part_of_an_interval() -> None:
    found = [when for seed in range(1000) for when in times(seed, 40.0, large=True, interval=10.0)]
    counts = Counter(int(when) for when in found if when > 0)
    assert all(70 <= counts[second] <= 130 for second in range(40))
