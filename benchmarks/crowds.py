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
LOSE_SECONDS = 60.0


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
    """Each time one more is gone, and stays so."""
    fault = {KILLED: crowd.kill, STOPPED: crowd.pause, UNPLUGGED: crowd.unplug}[case.fault]
    # The first two are the seeds of those that need some.
    victims = random.Random(7).sample(range(2, MEMBERS), k=min(rounds, MEMBERS // 2))
    gone = {crowd.ids[number] for number in victims}
    cut_off = {crowd.processes[number] for number in victims}
    took, false, there = list[float](), 0, set(crowd.ids)
    for number in victims:
        there.remove(number)
        victim = crowd.ids[number]
        at = fault(number)
        took += crowd.all_lose(victim, at, by=there, seconds=LOSE_SECONDS).values()
        lost = crowd.false_deaths(at, dead=gone)
        false += sum(each.process not in cut_off for each in lost)
    return took, false
