"""Meshes beyond ``DIRECT_PROOFS`` members, who take each other's word: everybody comes to know all
that lives and nothing else, and the network stays quiet.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from msgspec import structs

from meshcluster.node.views import BEACONS_A_SECOND, DIRECT_PROOFS
from meshcluster.testing import Simulation, VirtualMember
from meshcluster.testing.virtual import VirtualLink
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Datagram, Probe, ViewRequest, Vouch

pytestmark = pytest.mark.slow  # a minute together: the same by any Python

MANY = DIRECT_PROOFS + 11


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """Objects live as long as the simulation: looking for garbage finds none."""
    gc.disable()
    yield
    gc.enable()


def settled(seed: int, members: int = MANY, **config: Any) -> Simulation:
    sim = Simulation(seed, members, **config)
    sim.run_until(sim.converged, limit=30)
    sim.run_until(agreed(sim), limit=30)
    return sim


def agreed(sim: Simulation) -> Callable[[], bool]:
    """Whether all have the same view: the same members, and the same said of each."""

    def views_agree() -> bool:
        return sim.converged() and len({m.node._views.fingerprint for m in sim.members}) == 1

    return views_agree


def announced(sim: Simulation, *, lost: type | None = None) -> list[tuple[float, Datagram]]:
    """What is sent to the group from now on, and when; of one kind nothing arrives."""
    seen: list[tuple[float, Datagram]] = []
    announce = sim.announce

    def listen(sender: VirtualMember, data: bytes) -> None:
        datagram = codec.decode_datagram(data)
        seen.append((sim.now, datagram))
        if lost is None or not isinstance(datagram, lost):
            announce(sender, data)

    sim.announce = listen  # type: ignore[method-assign]
    return seen


def history(member: VirtualMember, name: str) -> list[str]:
    return [
        what for _, what, who in member.log
        if who.split()[0] == name and what not in ("suspect", "recovered")
    ]  # fmt: skip


# --- everybody knows all -----------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_a_newcomer_is_known_to_all_soon_and_knows_all(loss: float) -> None:
    sim = settled(1, loss=loss)
    sim.add("late")
    assert sim.run_until(sim.converged, limit=20) <= (0.5 if loss == 0 else 10)


def test_only_a_few_ask_it_and_vouch() -> None:
    sim = settled(2, members=120)
    sim.run(seconds=2)
    seen = announced(sim)
    probes = []
    send = sim.send

    def listen(sender: VirtualMember, data: bytes, address: str) -> None:
        if isinstance(codec.decode_datagram(data), Probe):
            probes.append(address)
        send(sender, data, address)

    sim.send = listen  # type: ignore[method-assign]
    late = sim.add("late")
    sim.run_until(sim.converged, limit=5)
    assert probes.count(late.address) < 40
    sim.run(seconds=1)
    vouches = [d for _, d in seen if isinstance(d, Vouch)]
    assert 1 <= len(vouches) <= 12


def test_a_word_that_nobody_heard_is_made_good_by_comparing_views() -> None:
    sim = settled(3)
    announced(sim, lost=Vouch)
    sim.add("late")
    assert sim.run_until(agreed(sim), limit=30) <= 15


def test_a_mesh_that_grows_beyond_direct_proofs_one_by_one_agrees_all_the_way() -> None:
    sim = settled(4, members=DIRECT_PROOFS - 3)
    for number in range(8):
        sim.add(f"late-{number}")
        sim.run_until(sim.converged, limit=20)
    sim.run_until(agreed(sim), limit=20)


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_what_a_member_says_of_itself_reaches_everybody(loss: float) -> None:
    sim = settled(5, loss=loss)
    sim.members[7].retag("new")
    sim.run_until(agreed(sim), limit=30)
    others = [member for member in sim.members if member is not sim.members[7]]
    assert all(m.peer_named("m8").service.tags == ("new",) for m in others)


def test_details_beyond_a_datagram_reach_everybody() -> None:
    sim = settled(6)
    large = sim.add("large", tags=tuple(f"tag-{n:04}" for n in range(500)))
    sim.run_until(agreed(sim), limit=30)
    tags = large.node.details.tags
    assert all(m.peer_named("large").service.tags == tags for m in sim.members if m is not large)


def test_many_who_change_at_once_are_all_known_as_they_are() -> None:
    sim = settled(7)
    for number, member in enumerate(sim.members):
        member.retag(f"tag-{number}")
    sim.run_until(agreed(sim), limit=30)


# --- few datagrams -----------------------------------------------------------------------------


def test_who_start_together_beacon_no_more_than_later_and_fetch_little_that_they_hear() -> None:
    sim = Simulation(8, members=3 * DIRECT_PROOFS)
    seen, fetched, write = announced(sim), 0, sim.write

    def listen(link: VirtualLink, frames: Sequence[bytes]) -> None:
        nonlocal fetched
        fetched += sum(len(frame) > 32 * DIRECT_PROOFS for frame in frames)
        write(link, frames)

    sim.write = listen  # type: ignore[method-assign]
    sim.run_until(agreed(sim), limit=20)
    assert fetched < len(sim.members)
    sim.run(seconds=max(0.0, 4 - sim.now))
    times = [when for when, datagram in seen if isinstance(datagram, Beacon)]
    busiest = max(sum(n <= 2 * when < n + 1 for when in times) for n in range(1, 8))
    assert busiest <= 1.4 * BEACONS_A_SECOND / 2


# --- nobody else -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_member_is_lost_everywhere_and_stays_lost(seed: int) -> None:
    sim = settled(seed, loss=0.02)
    victim = sim.members[seed]
    sim.kill(victim)
    assert sim.run_until(sim.converged, limit=20) <= 10
    sim.run(seconds=20)
    assert sim.converged()
    for member in sim.members:
        assert history(member, victim.name) == ["discovered", "lost"]


def test_a_word_that_was_on_its_way_brings_nobody_back() -> None:
    sim = settled(8)
    victim, teller = sim.members[:2]
    entry = teller.node._views._entry(teller.peer_named(victim.name))
    sim.leave(victim)
    sim.run_until(sim.converged, limit=5)
    me = teller.node.identity
    for _ in range(3):
        sim.announce(teller, codec.encode_datagram(Vouch("default", me.id, me.boot, [entry])))
        sim.run(seconds=1)
        assert sim.converged()


def test_who_comes_after_a_death_does_not_keep_the_dead_alive() -> None:
    """Newcomers are told of the dead by those who do not know yet, and must not tell each other."""
    sim = settled(9, members=DIRECT_PROOFS + 4, heartbeat_seconds=5.0)
    sim.kill(sim.members[0])
    for number in range(10):
        sim.add(f"late-{number}")
        sim.run(seconds=3)
    sim.run_until(sim.converged, limit=30)
    sim.run(seconds=40)
    assert sim.converged()


def test_a_liars_word_lasts_until_the_member_is_asked_itself() -> None:
    sim = settled(10)
    liar, victim, *others = sim.members
    entry = liar.node._views._entry(liar.peer_named(victim.name))
    details = structs.replace(entry.details, version=2**50, tags=("false",))
    entry = structs.replace(entry, details=details)
    me = liar.node.identity
    sim.announce(liar, codec.encode_datagram(Vouch("default", me.id, me.boot, [entry])))
    sim.run(seconds=0.1)
    fooled = [m for m in others if m.peer_named(victim.name).service.tags == ("false",)]
    assert len(fooled) > len(others) / 2
    sim.run_until(
        lambda: all(m.peer_named(victim.name).service.tags == () for m in others), limit=120
    )  # at each of its beacons about one in ten asks


def test_a_restarted_member_is_lost_before_it_is_found_again() -> None:
    sim = settled(11)
    old = sim.members[3]
    sim.restart(old)
    sim.run_until(agreed(sim), limit=30)
    for member in sim.members:
        if member.name != old.name:
            assert history(member, old.name) == ["discovered", "lost", "discovered"]


@pytest.mark.parametrize("members", [MANY, 2 * DIRECT_PROOFS + 4])
def test_a_cut_through_a_mesh_heals(members: int) -> None:
    """Into two small ones, or two large ones."""
    sim = settled(12, members)
    half = members // 2
    sim.partition(sim.members[:half], sim.members[half:])
    sim.run_until(
        lambda: all(len(m.known) in (half - 1, members - half - 1) for m in sim.members), limit=30
    )
    sim.repair()
    assert sim.run_until(sim.converged, limit=60) <= 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_after_any_churn_all_views_agree(seed: int) -> None:
    sim = Simulation(seed, members=MANY, loss=0.03, duplication=0.02)
    script = sim.random
    while sim.now < 10:
        sim.run(script.uniform(0.1, 0.6))
        member = script.choice(sim.members)
        deed = script.choice(("kill", "leave", "restart", "add", "add", "retag"))
        if deed == "retag":
            member.retag(f"at {sim.now}")
        elif deed == "add":
            sim.add()
        else:
            getattr(sim, deed)(member)
    sim.network.loss = 0.0
    sim.run_until(agreed(sim), limit=60)


# --- and the network stays quiet ---------------------------------------------------------------


def test_a_mesh_sends_a_hundred_beacons_a_second_and_no_great_burst() -> None:
    sim = Simulation(13, members=130)
    sim.run_until(sim.converged, limit=30)
    seen = announced(sim)
    start = sim.now
    sim.run(seconds=5)
    times = [when - start for when, datagram in seen if isinstance(datagram, Beacon)]
    assert len(times) / 5 < 1.3 * BEACONS_A_SECOND
    assert max(Counter(int(when) for when in times).values()) < 3 * BEACONS_A_SECOND


def test_who_changes_all_the_time_beacons_twenty_times_a_second_at_most() -> None:
    sim = settled(14, members=5)
    seen = announced(sim)
    for number in range(1000):
        sim.members[0].retag(f"{number}")
        sim.run(seconds=0.002)
    assert len([d for _, d in seen if d.id == sim.members[0].node.identity.id]) <= 45
    sim.run_until(agreed(sim), limit=1)


def asked(sim: Simulation, seconds: float) -> Counter[str]:
    """How often each is asked for its view."""
    counts: Counter[str] = Counter()
    for member in sim.members:
        requested = member.node._views.requested

        def count(request: ViewRequest, *rest: Any, to: str = member.name, call: Any = requested):
            counts[to] += 1
            call(request, *rest)

        member.node._views.requested = count
    sim.run(seconds=seconds)
    return counts


def test_a_mesh_that_agrees_compares_nothing() -> None:
    sim = settled(15)
    sim.run(seconds=20)
    assert asked(sim, seconds=10) == {}


def test_who_wants_others_members_than_all_is_not_asked_without_end() -> None:
    sim = settled(16)
    odd = sim.members[0]
    odd.hooks.add("service.validate", lambda service: service.name != "late")
    sim.add("late")
    sim.run(seconds=15)
    assert "late" not in odd.known
    assert all("late" in member.known for member in sim.members[1:-1])
    assert asked(sim, seconds=10)[odd.name] < 10 * 12


def test_links_stay_few() -> None:
    sim = settled(17)
    sim.run(seconds=20)
    links = sum(len(member.links) for member in sim.members) / 2
    assert links < 4 * MANY


# --- observers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [1, 5, MANY])
def test_an_observer_sees_everybody_and_is_seen_by_nobody(members: int) -> None:
    sim = settled(18, members)
    watcher = sim.add("watcher", observer=True)
    sim.members.remove(watcher)  # it is no member
    names = sorted(member.name for member in sim.members)
    sim.run_until(lambda: watcher.known == names, limit=10)
    others = sim.members
    sim.members = [*others, watcher]  # it hears beacons all the same
    watcher.send("hello", others[0].name)
    sim.run(seconds=5)
    gone = others[-1]
    if members > 1:
        sim.kill(gone)
        others = [member for member in sim.members if member is not watcher]
    late = sim.add("late", tags=("x",))
    others = [*others, late]
    names = sorted(member.name for member in others)
    sim.run_until(lambda: watcher.known == names, limit=20)
    late.retag("y")
    sim.run_until(lambda: watcher.peer_named("late").service.tags == ("y",), limit=20)
    sim.run(seconds=5)
    assert ("watcher", "hello") in others[0].received
    for member in others:
        assert history(member, "watcher") == []
        assert member.known == [name for name in names if name != member.name]


def test_an_observer_that_is_killed_is_forgotten_by_who_talked_to_it() -> None:
    sim = settled(19, members=3)
    watcher = sim.add("watcher", observer=True)
    sim.run(seconds=1)
    watcher.send("hello", "m1")
    sim.run(seconds=1)
    (peer,) = sim.members[0].node.peers._observers.values()
    assert peer.observer
    sim.kill(watcher)
    sim.run(seconds=10)
    assert sim.members[0].node.peers._observers == {}
    assert [what for member in sim.members for _, what, _ in member.log if what == "lost"] == []
