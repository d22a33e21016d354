"""Messages arrive once and in order, whatever happens to links; queries end when they can."""

from itertools import count

import pytest

from meshcluster.errors import NoResponder, QueryTimeout, ServiceLost
from meshcluster.testing import Simulation


def settled(seed: int, members: int, **config: object) -> Simulation:
    sim = Simulation(seed, members, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=10)
    return sim


def assert_complete(sim: Simulation, sent: int) -> None:
    """Every member has every other's messages 0..sent-1, once, in order."""
    for member in sim.members:
        for other in sim.members:
            if other is not member:
                got = [data for name, data in member.received if name == other.name]
                assert got == list(range(sent)), f"seed={sim.seed}: {other} to {member}"


@pytest.mark.parametrize("seed", range(10))
def test_eight_members_that_tell_all_others_at_once_lose_nothing(seed: int) -> None:
    sim = settled(seed, 8)
    for number in range(20):
        for member in sim.members:
            member.send(number)
    sim.run(seconds=5)
    assert_complete(sim, 20)
    for member in sim.members:
        assert len(member.links) == 7, "of two links dialled at once one stays"


@pytest.mark.parametrize("seed", range(10))
def test_links_that_break_at_random_lose_double_and_reorder_nothing(seed: int) -> None:
    sim = settled(seed, 4)
    numbers = count()
    for _ in range(100):
        number = next(numbers)
        for member in sim.members:
            member.send(number)
        sim.run(seconds=sim.random.uniform(0, 0.02))
        sim.abort_links(0.1)
    sim.run(seconds=10)
    assert_complete(sim, 100)


def test_what_was_sent_over_a_cut_arrives_when_it_heals() -> None:
    sim = settled(1, 2)
    one, two = sim.members
    one.send(0)
    sim.run(seconds=0.1)
    sim.partition([one], [two])
    one.send(1)
    sim.run(seconds=1)
    sim.repair()
    sim.run(seconds=2)
    assert [data for _, data in two.received] == [0, 1]


def test_nothing_is_handed_over_before_its_sender_is_discovered() -> None:
    sim = Simulation(3, members=6, loss=0.2)
    for _ in range(200):
        sim.run(seconds=0.002)
        for member in sim.members:
            for name in member.known:
                member.send("early", name)
            known = {name for _, what, name in member.log if what == "discovered"}
            assert {name for name, _ in member.received} <= known


def test_a_query_ends_when_all_have_answered() -> None:
    sim = settled(1, 4)
    for member in sim.members[1:]:
        member.respond = lambda question, name=member.name: f"{name}: {question.data}"
    gathering = sim.members[0].ask("how are you?")
    sim.run(seconds=0.5)
    assert gathering.over
    assert gathering.failure is None
    assert sorted(gathering.results.values()) == [f"m{n}: how are you?" for n in (2, 3, 4)]


def test_queries_at_once_never_mix() -> None:
    sim = settled(2, 3)
    for member in sim.members:
        member.respond = lambda question: question.data * 2
    asked = [(n, sim.members[n % 3].ask(n)) for n in range(60)]
    sim.run(seconds=1)
    for n, gathering in asked:
        assert set(gathering.results.values()) == {2 * n}


def test_a_member_without_a_query_hook_says_so_at_once() -> None:
    sim = settled(3, 2)
    gathering = sim.members[0].ask("anybody?")
    sim.run(seconds=0.1)
    assert gathering.over
    assert [type(error) for error in gathering.errors.values()] == [NoResponder]


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_a_member_that_goes_before_it_answers_ends_the_wait_for_it(how: str) -> None:
    sim = settled(4, 3)
    one, two, three = sim.members
    two.respond = lambda question: "here"
    three.respond = lambda question: "here"
    one.send("open the links")
    sim.run(seconds=0.1)
    sim.partition([three], [one, two])
    gathering = one.ask("who is there?")
    sim.run(seconds=0.1)
    assert list(gathering.results.values()) == ["here"]
    sim.repair()
    getattr(sim, how)(three)
    sim.run(seconds=2.5)
    assert gathering.over
    assert [type(error) for error in gathering.errors.values()] == [ServiceLost]


def test_a_deadline_keeps_what_arrived_and_names_who_is_missing() -> None:
    sim = settled(5, 3)
    one, two, three = sim.members
    two.respond = three.respond = lambda question: "here"
    one.send("open the links")
    sim.run(seconds=0.1)
    sim.partition([three], [one, two])
    gathering = one.ask("who is there?", timeout=0.5)
    sim.run(seconds=1)
    assert isinstance(gathering.failure, QueryTimeout)
    assert [service.name for service in gathering.failure.results] == [two.name]
    assert [service.name for service in gathering.failure.missing] == [three.name]
