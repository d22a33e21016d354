"""Protocols that fail and heal under traffic: the next takes over, the preferred one returns, and
every message is handled once and in order, or reported.
"""

from itertools import count

import pytest

from meshcluster.testing import Simulation

BEST, GOOD, LAST = "best", "good", "last"
SCHEMES = (BEST, GOOD, LAST)


def settled(seed: int, members: int, **config: object) -> Simulation:
    sim = Simulation(seed, members, schemes=SCHEMES, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=10)
    return sim


def schemes(sim: Simulation) -> set[str]:
    return {link.node_link.scheme for member in sim.members for link in member.links}


def over(sim: Simulation, scheme: str):
    """Whether every link is one of this protocol, and everybody has one to everybody."""

    def every_link_is_one_of_it() -> bool:
        others = len(sim.members) - 1
        return schemes(sim) == {scheme} and all(len(m.links) == others for m in sim.members)

    return every_link_is_one_of_it


def talk(sim: Simulation, numbers, times: int) -> None:
    for _ in range(times):
        number = next(numbers)
        for member in sim.members:
            member.send(number)
        sim.run(seconds=sim.random.uniform(0, 0.05))


def assert_once_in_order_or_reported(sim: Simulation, sent: int) -> None:
    for member in sim.members:
        for other in sim.members:
            if other is member:
                continue
            got = [data for name, data in member.received if name == other.name]
            reported = {data for name, data in other.lost if name == member.name}
            assert got == sorted(set(got)), f"seed={sim.seed}: {other} to {member}"
            missing = set(range(sent)) - set(got) - reported
            assert not missing, f"seed={sim.seed}: {other} to {member} lost {missing} silently"


@pytest.mark.parametrize("seed", range(5))
def test_each_protocol_blocked_in_turn_loses_doubles_and_reorders_nothing(seed: int) -> None:
    sim, numbers = settled(seed, 4), count()
    talk(sim, numbers, 10)
    assert schemes(sim) == {BEST}
    for blocked in SCHEMES:
        sim.block(blocked)
        talk(sim, numbers, 20)
        sim.run(seconds=8)
        assert over(sim, GOOD if blocked == BEST else BEST)()
        sim.unblock(blocked)
        talk(sim, numbers, 20)
        sim.run_until(over(sim, BEST), limit=31)
    sim.run(seconds=5)
    sent = next(numbers)
    for member in sim.members:
        assert member.lost == []
        assert len(member.received) == 3 * sent
    assert_once_in_order_or_reported(sim, sent)


@pytest.mark.parametrize("seed", range(4))
def test_who_dials_in_vain_takes_the_link_of_the_other_one(seed: int) -> None:
    """One has learnt that the network swallows the first choice, the other has yet to."""
    sim = settled(seed, 2)
    one, two = sorted(sim.members, key=lambda member: member.node.identity.key)
    sim.block(BEST)
    two.send(0)
    sim.run_until(lambda: len(one.received) == 1, limit=5)
    sim.abort_links(1.0)
    one.send(1)
    two.send(1)
    both = sim.run_until(lambda: len(one.received) == 2 and len(two.received) == 1, limit=5)
    assert both < one.node.config.limits.dial_seconds / 2


def test_a_failed_protocol_delays_no_further_message() -> None:
    sim = settled(1, 2)
    one, two = sim.members
    sim.block(BEST)
    one.send(0)
    sim.run(seconds=3)
    assert two.received == [(one.name, 0)]
    for number in range(1, 6):
        sim.abort_links(1.0)
        one.send(number)
        took = sim.run_until(lambda: len(two.received) > number, limit=2)  # noqa: B023
        assert took <= 1.0
    assert [data for _, data in two.received] == list(range(6))


def test_a_member_hears_which_of_its_protocols_failed_and_opens_it_anew() -> None:
    sim = settled(2, 2)
    one, two = sim.members
    one.send(0)
    sim.run(seconds=0.1)
    for member in sim.members:
        sim.block(BEST, member)
    sim.run_until(over(sim, GOOD), limit=1)
    sim.run_until(over(sim, BEST), limit=1)
    looked = [m for m in sim.members if "checked" in [what for _, what, _ in m.log]]
    assert len(looked) == 1, "the one that was dialled"
    assert not looked[0].broken
    one.send(1)
    sim.run(seconds=0.1)
    assert [data for _, data in two.received] == [0, 1]


def test_what_is_blocked_in_the_network_is_not_asked_for_again_and_again() -> None:
    sim = settled(3, 2)
    one, two = sim.members
    sim.block(BEST)
    one.send(0)
    sim.run(seconds=120)
    checks = [what for member in sim.members for _, what, _ in member.log].count("checked")
    assert 2 <= checks <= 9, "with pauses that grow"
    assert [data for _, data in two.received] == [0]


@pytest.mark.parametrize("cut", [2.0, 3.0, 20.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_healed_partition_is_used_within_two_seconds_of_the_first_sign_of_life(
    seed: int, cut: float
) -> None:
    sim = settled(seed, 2, expire_seconds=300.0)
    one, two = sim.members
    one.send(0)
    sim.run(seconds=0.1)
    sim.partition([one], [two])
    one.send(1)
    sim.run(seconds=cut)
    known = one.known
    sim.abort_links(1.0)  # as the system does that gives them up
    sim.run(seconds=0.1)
    sim.repair()
    if not known:  # given up, told so, and met anew
        sim.run_until(sim.converged, limit=5)
        assert one.lost == [(two.name, 1)]
        one.send(1)
    heard = [data for _, data in two.received]
    assert heard == [0]
    took = sim.run_until(lambda: len(two.received) == 2, limit=5)
    assert took <= 3.3, "a beacon comes within 1.2 s"


@pytest.mark.parametrize("seed", range(8))
def test_chaos_of_protocols_cuts_and_restarts_loses_nothing_silently(seed: int) -> None:
    sim, numbers = settled(seed, 4), count()
    for _ in range(15):
        talk(sim, numbers, 5)
        deed = sim.random.choice(("block", "break", "abort", "cut"))
        if deed == "block":
            scheme = sim.random.choice(SCHEMES)
            sim.block(scheme)
            talk(sim, numbers, 5)
            sim.run(seconds=sim.random.uniform(0, 5))
            sim.unblock(scheme)
        elif deed == "break":
            sim.block(sim.random.choice(SCHEMES), sim.random.choice(sim.members))
        elif deed == "abort":
            sim.abort_links(0.5)
        else:
            one, *others = sim.members
            sim.partition([one], others)
            sim.run(seconds=sim.random.uniform(0, 1.5))
            sim.repair()
    sim.run(seconds=40)
    assert_once_in_order_or_reported(sim, next(numbers))
    assert schemes(sim) == {BEST}


def test_what_a_killed_member_had_not_acknowledged_is_reported() -> None:
    sim = settled(7, 2)
    one, two = sim.members
    one.send(0)
    sim.run(seconds=0.1)
    sim.partition([one], [two])
    one.send(1)
    one.send(2)
    sim.run(seconds=0.1)
    sim.repair()
    new = sim.restart(two)
    sim.run(seconds=5)
    assert [data for name, data in one.lost] == [1, 2]
    assert one.node.counters.as_dict()["messages to a lost member"] == 2
    one.send(3)
    sim.run(seconds=1)
    assert [data for _, data in new.received] == [3]
