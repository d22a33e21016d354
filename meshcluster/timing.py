"""How quickly a member finds out, and what that costs: one place for all of it.

Everything here trades time against traffic and against false alarms. The presets follow the scope:
on one host nothing is lost on the way and all share one fate, so a member may be quick; on a LAN
datagrams are lost, and a second more costs less than a member taken for dead that is not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf

from .errors import ConfigError

COUNTS = ("watched", "relays")
"""The settings that are no seconds."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When silence is noticed, and when it is taken for death. All are seconds but the last two,
    which are whole numbers.

    Raises:
        ConfigError: a value is not a finite number above 0, or a count not a whole one.
    """

    probe_seconds: float
    """A member unheard for so long is asked by those whose turn it is. Shorter finds a silent death
    sooner by as much, and costs each member two small datagrams more for each time.
    """
    answer_seconds: float
    """An answer has so long; each question is asked three times. Above the round trip with room for
    a busy peer: shorter only makes more suspicions, which are withdrawn, and more datagrams.
    """
    suspect_seconds: float
    """A suspect of a mesh of ten has so long to show up, and is asked all the while; ten times as
    many members give it this much more. Shorter is quicker in everything, and the only setting here
    that makes false deaths: with p of the datagrams lost, one comes of every
    (1-(1-p)^2)^(suspect/answer) suspicions, before the others are asked.
    """
    late_seconds: float
    """Who does something so much later than it meant to has been stopped or starved, and judges
    nobody by the time before.
    """
    watched: int = 2
    """How many members each one asks in turn, beside one at random: its neighbours on a ring. So
    each is asked by as many, as regularly as a clock; more finds out with more certainty who died
    together with its neighbours, for twice as many datagrams each.
    """
    relays: int = 3
    """How many others are asked to look as well. They help against a broken path between two, and
    against loss: each brings an answer with (1-p)^4.
    """

    def __post_init__(self) -> None:
        for each in fields(self):
            value, counts = getattr(self, each.name), each.name in COUNTS
            kind = int if counts else int | float
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < inf:
                wanted = "whole" if counts else "finite"
                raise ConfigError(f"{each.name}={value!r}: a {wanted} number above 0")


HOST = Timing(
    probe_seconds=0.3, answer_seconds=0.15, suspect_seconds=0.4, late_seconds=0.1, watched=1
)
"""For ``ttl=0``: a stopped process is lost to all in about a second."""

LAN = Timing(probe_seconds=1.0, answer_seconds=0.5, suspect_seconds=2.0, late_seconds=0.5)
"""For ``ttl=1`` and more: a cable that is pulled is known to 30 members in about 6 seconds."""
