"""Crowds of members, ours and others', to whom faults happen: what the part ``losses`` measures."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.netns.crowd import Crowd, Nursery
from tests.netns.ground import Ground
from tests.netns.host import Host
from tests.netns.network import Network

from . import referees
from .parts.losses import KILLED, KINSHIP, LAN, MEMBERS, OURS, SERF, STOPPED, UNPLUGGED, Case

MEET_SECONDS = 120.0


def measure(case: Case, rounds: int) -> tuple[list[float], int]:
    """After how many seconds members were lost, and how many were lost that were there."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mcb-", dir="/tmp"))
        ground = Ground()
        stack.callback(ground.close)
        network = Network(ground, Path(folder))
        stack.callback(network.close)
        on_lan = case.place == LAN
        hosts = network.lan(MEMBERS).hosts if on_lan else [network.host()]
        nursery = _nursery(case, hosts)
        crowd = Crowd(hosts, MEMBERS, nursery=nursery, **({"ttl": 1} if on_lan else {}))
        stack.enter_context(crowd)
        crowd.meet(MEET_SECONDS)
        if case.name == OURS:
            crowd.settle()
        return _all_rounds(case, crowd, rounds)


def _nursery(case: Case, hosts: Sequence[Host]) -> Nursery | None:
    if case.name == SERF:
        return referees.serf(hosts)
    if case.name == KINSHIP:
        return referees.kinship(hosts, "lan" if case.place == LAN else "local")
    return None


def _all_rounds(case: Case, crowd: Crowd, rounds: int) -> tuple[list[float], int]:
    chance, took, false = random.Random(7), list[float](), 0
    for _ in range(rounds):
        number = chance.randrange(2, MEMBERS)  # the first two are the seeds of those that need some
        victim, others = crowd.ids[number], crowd.ids.keys() - {number}
        own = crowd.processes[number]
        at = {KILLED: crowd.kill, STOPPED: crowd.pause, UNPLUGGED: crowd.unplug}[case.fault](number)
        took += crowd.all_lose(victim, at, by=others).values()
        # Who is cut off loses all others, rightly.
        false += sum(each.process != own for each in crowd.false_deaths(at, dead=[victim]))
        {KILLED: crowd.start, STOPPED: crowd.resume, UNPLUGGED: crowd.plug}[case.fault](number)
        crowd.meet(MEET_SECONDS)
    return took, false
