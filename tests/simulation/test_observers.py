"""An observer knows the members, may tell and ask them, and is noticed by none of them."""

from collections.abc import Sequence

import pytest

from meshcluster.config import Limits
from meshcluster.testing import Simulation, VirtualMember
from meshcluster.testing.virtual import VirtualLink


def mesh(seed: int, members: int = 5, **config: object) -> Simulation:
    sim = Simulation(seed, members, **config)  # type: ignore[arg-type]
    sim.run_until(sim.converged, limit=60)
    sim.run(seconds=3)
    return sim


def names(sim: Simulation) -> list[str]:
    return sorted(m.name for m in sim.members if not m.node.config.observer)


def look(sim: Simulation, limit: float = 10.0) -> VirtualMember:
    """An observer that knows everybody."""
    eye = sim.add("eye", observer=True)

    def it_knows_everybody() -> bool:
        return eye.known == names(sim)

    sim.run_until(it_knows_everybody, limit=limit)
    return eye


def logs(sim: Simulation) -> dict[str, list[tuple[float, str, str]]]:
    return {m.name: list(m.log) for m in sim.members if not m.node.config.observer}


def kept(member: VirtualMember) -> int:
    """How many observers a member has in its tables."""
    peers = member.node.peers
    return len([peer for peer in peers.linkable() if peer.observer])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("members", [1, 5, 40])
def test_it_knows_everybody_in_two_round_trips(seed: int, members: int) -> None:
    sim = mesh(seed, members)
    started = sim.now
    look(sim)
    assert sim.now - started <= 0.05


@pytest.mark.parametrize("seed", range(10))
def test_it_knows_everybody_in_a_moment_though_datagrams_are_lost(seed: int) -> None:
    sim = Simulation(seed, 10)
    sim.run_until(sim.converged, limit=10)
    sim.network.loss = 0.2
    look(sim, limit=3)


@pytest.mark.slow
@pytest.mark.parametrize("members", [65, 150])
def test_it_knows_everybody_in_a_large_mesh(members: int) -> None:
    sim = mesh(7, members)
    before = logs(sim)
    look(sim, limit=1)
    sim.run(seconds=5)
    assert logs(sim) == before


@pytest.mark.slow
def test_in_a_large_mesh_it_does_not_fetch_again_what_it_has() -> None:
    sim = mesh(8, 70)
    eye = look(sim)
    eye.retag("other")
    sim.run(seconds=1)
    written: list[VirtualMember] = []
    write = sim.write

    def count(link: VirtualLink, frames: Sequence[bytes]) -> None:
        if frames:
            written.append(link.owner)
        write(link, frames)

    sim.write = count  # type: ignore[method-assign]
    sim.run(seconds=5)
    assert eye not in written, "its view is theirs, whatever it says of itself"


def test_no_member_notices_it_come_stay_or_leave() -> None:
    sim = mesh(1)
    before, changes = logs(sim), [member.node.changes for member in sim.members]
    eye = look(sim)
    sim.run(seconds=30)
    sim.leave(eye)
    sim.run(seconds=30)
    assert logs(sim) == before
    assert [member.node.changes for member in sim.members] == changes
    assert all(member.node.peers.strangers == 0 for member in sim.members)


def test_it_sends_nothing_to_the_group_once_it_has_asked() -> None:
    sim = mesh(2)
    eye = look(sim)
    sim.run(seconds=1)
    announced: list[VirtualMember] = []
    announce = sim.announce

    def count(sender: VirtualMember, data: bytes) -> None:
        announced.append(sender)
        announce(sender, data)

    sim.announce = count  # type: ignore[method-assign]
    sim.run(seconds=20)
    assert eye not in announced
    assert announced


def test_it_tells_and_asks_members() -> None:
    sim = mesh(3)
    members = list(sim.members)
    for member in members:
        member.respond = lambda question: f"you are {question.service.name}"
    eye = look(sim)
    eye.send("hello")
    gathering = eye.ask("who am I?")
    sim.run(seconds=1)
    assert gathering.over
    assert set(gathering.results.values()) == {"you are eye"}
    assert [member.received for member in members] == [[("eye", "hello")]] * len(members)


def test_members_that_have_a_link_with_it_do_not_count_or_ask_it() -> None:
    sim = mesh(4)
    before = logs(sim)
    eye = look(sim)
    eye.send("hello")
    sim.run(seconds=1)
    one = sim.members[0]
    assert kept(one) == 1
    assert len(one.node.peers) == 4
    gathering = one.ask("anybody?")
    sim.run(seconds=1)
    assert gathering.over
    assert "eye" not in {service.name for service in gathering.errors}
    assert logs(sim) == before


@pytest.mark.parametrize("end", ["leave", "kill"])
def test_members_forget_it_when_it_ends(end: str) -> None:
    sim = mesh(5)
    before = logs(sim)
    eye = look(sim)
    eye.send("hello")
    sim.run(seconds=1)
    getattr(sim, end)(eye)
    sim.run(seconds=5)
    assert [kept(member) for member in sim.members] == [0] * 5
    assert logs(sim) == before


def test_one_that_is_cut_off_is_forgotten_in_time() -> None:
    sim = mesh(6)
    eye = look(sim)
    eye.send("hello")
    sim.run(seconds=1)
    sim.partition([m for m in sim.members if m is not eye], [eye])
    sim.run(seconds=40)
    assert sum(kept(member) for member in sim.members) == 0
    assert eye.known == []
    sim.repair()
    sim.run(seconds=5)
    assert eye.known == names(sim), "their beacons bring them back"


def test_it_sees_members_come_change_leave_and_die() -> None:
    sim = mesh(7)
    eye = look(sim)
    new = sim.add("new")
    sim.run(seconds=2)
    new.retag("blue")
    sim.run(seconds=2)
    sim.leave(new)
    sim.run(seconds=2)
    sim.kill(sim.members[0])
    sim.run(seconds=5)
    seen = [(what, who) for _, what, who in eye.log if who.startswith("new")]
    assert seen == [("discovered", "new"), ("changed", "new blue"), ("lost", "new")]
    assert eye.known == names(sim)


def test_two_observers_do_not_see_each_other() -> None:
    sim = mesh(8)
    one, two = look(sim), look(sim)
    sim.run(seconds=10)
    assert "eye" not in one.known + two.known


def test_it_knows_members_whose_details_need_a_link() -> None:
    sim = Simulation(9, 3, tags=tuple(f"a-rather-long-tag-{n}" for n in range(100)))
    sim.run_until(sim.converged, limit=10)
    before = logs(sim)
    eye = look(sim, limit=1)
    assert len(eye.peer_named("m1").service.tags) == 100
    sim.run(seconds=5)
    assert logs(sim) == before


def test_it_is_no_twin_of_a_member_of_its_name() -> None:
    sim = mesh(10)
    sim.add("eye")
    sim.run(seconds=2)
    before = logs(sim)
    eye = look(sim)
    eye.send("hello")
    sim.run(seconds=10)
    assert logs(sim) == before


def test_newcomers_need_not_mind_it() -> None:
    sim = mesh(11)
    look(sim)
    new = sim.add("new")
    sim.run(seconds=5)
    assert new.known == [name for name in names(sim) if name != "new"]


def test_more_observers_than_the_limit_are_turned_away_and_counted() -> None:
    sim = mesh(12, members=2, limits=Limits(observers=3))
    eyes = [look(sim) for _ in range(5)]
    for eye in eyes:
        eye.send("hello", "m1")
    sim.run(seconds=3)
    m1 = sim.members[0]
    assert kept(m1) == 3
    assert len(m1.received) == 3
    assert m1.node.counters.as_dict()["members beyond the limit"] > 0
    inside = {peer.id for peer in m1.node.peers.linkable() if peer.observer}
    for eye in eyes:
        if eye.node.identity.id in inside:
            sim.leave(eye)
    sim.run(seconds=10)
    assert len(m1.received) == 5, "who waits gets its turn"
