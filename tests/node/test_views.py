"""Large meshes: who is believed about whom, for how long, and how views become the same.

A mesh is large here with two members: ``DIRECT_PROOFS`` is 1, so that a bench holds it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from msgspec import structs

from meshcluster.config import Limits
from meshcluster.errors import HookRejected
from meshcluster.hooks.ready import localhost_only
from meshcluster.model import unix_address
from meshcluster.node import effects as fx
from meshcluster.node import views
from meshcluster.node.membership import Peer
from meshcluster.testing import Bench, connect, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    Beacon,
    Describe,
    Details,
    Entry,
    Leave,
    Probe,
    ProbeReply,
    View,
    ViewRequest,
    Vouch,
)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "DIRECT_PROOFS", 1)


def entry_of(bench: Bench, address: str = "", **said: Any) -> Entry:
    """What a member that knows a bench says of it; or what a liar says."""
    me = bench.node.identity
    details = structs.replace(bench.node.details, **said)
    return Entry(me.id, me.boot, address or bench.address[0], details)


def vouch(one: Bench, by: Bench, *entries: Entry, now: float = 1.0) -> None:
    """A bench hears another one vouch."""
    me = by.node.identity
    one.hear(by, Vouch("default", me.id, me.boot, list(entries)), now)


def beacon_of(bench: Bench, known: int = 2, view: int | None = None) -> Beacon:
    me, details = bench.node.identity, bench.node.details
    view = bench.node._views.fingerprint if view is None else view
    digest = codec.digest(details)
    return Beacon("default", me.id, me.boot, 1, digest, details.endpoints, known, view)


def peer_of(one: Bench, other: Bench) -> Peer:
    peer = one.node.peers.get(other.node.identity.key)
    assert peer is not None
    return peer


def prove(one: Bench, other: Bench, now: float) -> None:
    """``other`` announces itself and answers the probe that follows."""
    one.node.take_effects()
    one.hear(other, beacon_of(other), now)
    (probe,) = [d for d in one.datagrams() if isinstance(d, Probe)]
    me, details = other.node.identity, other.node.details
    one.hear(other, ProbeReply("default", me.id, me.boot, probe.nonce, 0, details, False), now)


def told(one: Bench) -> list[tuple[str, str]]:
    """What its users were told of members since the last look."""
    kinds = {fx.ServiceDiscovered: "+", fx.ServiceChanged: "=", fx.ServiceGone: "-"}
    return [(kinds[type(e)], e.service.name) for e in one.take(*kinds)]


def vouched(one: Bench) -> list[list[str]]:
    """Whom it vouched for since the last look, a list for each datagram."""
    return [
        [entry.details.name for entry in datagram.members]
        for datagram in one.datagrams()
        if isinstance(datagram, Vouch)
    ]


@contextmanager
def small() -> Iterator[None]:
    """While the mesh has not grown yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "DIRECT_PROOFS", 64)
        yield


def pair(**config: Any) -> tuple[Bench, Bench]:
    one, other = Bench(1, **config), Bench(2)
    with small():
        introduce(one, other)
    one.node.take_effects()
    return one, other


# --- whose word is taken -----------------------------------------------------------------------


@pytest.mark.usefixtures("large")
def test_in_a_large_mesh_a_members_word_makes_a_member() -> None:
    (one, other), third = pair(), Bench(3, tags=("web",))
    vouch(one, other, entry_of(third))
    assert told(one) == [("+", "n3")]
    peer = peer_of(one, third)
    assert peer.service is not None
    assert peer.service.tags == ("web",)
    assert (peer.address, peer.state, peer.proven) == (third.address, "told", False)


def test_in_a_small_mesh_a_word_is_only_a_reason_to_ask() -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(third))
    (effect,) = one.node.take_effects()
    assert isinstance(effect, fx.SendDatagram)
    assert isinstance(codec.decode_datagram(effect.data), Probe)
    assert effect.address == third.address
    assert one.known == ["n2"]


def test_in_a_small_mesh_a_word_of_a_change_is_only_a_reason_to_ask() -> None:
    one, other = pair()
    vouch(one, other, entry_of(other, version=9, tags=("told",)))
    assert [type(d) for d in one.datagrams()] == [Probe]
    assert peer_of(one, other).service.tags == ()


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("who", ["stranger", "candidate", "member from another address"])
def test_a_strangers_word_is_worth_nothing(who: str) -> None:
    (one, other), third, liar = pair(), Bench(3), Bench(4)
    if who == "candidate":
        one.hear(liar, beacon_of(liar), 0.5)
    me = (other if who == "member from another address" else liar).node.identity
    one.hear(liar, Vouch("default", me.id, me.boot, [entry_of(third)]), 1.0)
    assert one.known == ["n2"]
    assert one.node.peers.get(third.node.identity.key) is None
    assert one.dropped["datagrams: words of strangers"] == 1


@pytest.mark.usefixtures("large")
def test_a_word_by_a_members_own_unix_socket_counts() -> None:
    (one, other), third = pair(), Bench(3)
    other.address = unix_address(other.node.identity.id)
    vouch(one, other, entry_of(third))
    assert one.known == ["n2", "n3"]


@pytest.mark.usefixtures("large")
def test_what_cannot_be_is_not_believed() -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(one, name="not you"))
    vouch(one, other, entry_of(third, observer=True))
    vouch(one, other, entry_of(third, address="127.0.0.1"))  # on whose machine?
    vouch(one, other, entry_of(third, port=0))  # has a UNIX socket only, on another machine
    assert told(one) == []
    assert len(list(one.node.peers)) == 1
    assert one.node.details.name == "n1"


@pytest.mark.usefixtures("large")
def test_details_that_no_member_could_say_itself_are_not_taken_from_another_one() -> None:
    one, other, third = Bench(1), Bench(2), Bench(3)
    introduce(one, other)
    near, _ = connect(one, other)
    one.node.take_effects()
    huge = tuple(f"{n:060}" for n in range(1100))
    for entry in (entry_of(third, tags=huge), entry_of(other, version=2, tags=huge)):
        one.node.frames_received(near, [codec.encode_frame(View([entry], b""))], 1.0)
    assert told(one) == []
    one.node.frames_received(
        near, [codec.encode_frame(Describe(entry_of(other, tags=huge).details))], 1.0
    )
    assert one.dropped["links: oversized details"] == 1


@pytest.mark.parametrize("address", ["localhost", "10.0.0", "", "unix:x", "10.0.0.1:80"])
def test_an_address_that_is_a_name_is_never_looked_up(address: str) -> None:
    (one, other), third = pair(), Bench(3)
    me = other.node.identity
    entry = Entry(third.node.identity.id, 1, address, third.node.details)
    one.hear(other, Vouch("default", me.id, me.boot, [entry]), 1.0)
    assert one.node.take_effects()[0].text.startswith("dropped malformed address")
    assert one.dropped == {"datagrams: malformed address": 1}


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"heartbeat_seconds": 0.0}, {"name": ""}, {"tags": ("\n",)}]
)
def test_a_malformed_entry_spoils_the_whole_word(wrong: dict[str, Any]) -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(third), entry_of(third, **wrong))
    assert len(one.dropped) == 1
    assert next(iter(one.dropped)).startswith("datagrams: malformed")
    assert one.known == ["n2"]


# --- until it speaks itself --------------------------------------------------------------------


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("how", ["by a reply", "by a link"])
def test_what_a_member_says_itself_stands_over_any_word(how: str) -> None:
    """Whatever a liar said of its version, tags, name and host."""
    (one, other), third = pair(), Bench(3, tags=("true",))
    lie = {"version": 2**60, "tags": ("false",), "name": "false", "host": "false"}
    vouch(one, other, entry_of(third, **lie))
    assert told(one) == [("+", "false")]
    if how == "by a reply":
        prove(one, third, 2.0)
    else:
        answer_dial(one, third)
    assert told(one) == [("=", "n3")]
    peer = peer_of(one, third)
    assert (peer.service.tags, peer.service.host) == (("true",), "host")
    assert (peer.state, peer.told) == ("alive", False)
    assert one.node.peers.twin(Peer(b"", 0, ("", 0), 0.0), "n3", "host") is peer
    assert one.node.peers.twin(Peer(b"", 0, ("", 0), 0.0), "false", "false") is None


def answer_dial(one: Bench, other: Bench) -> None:
    """``one`` dials ``other``, of which it was only told."""
    prove(other, one, 2.0)
    other.node.take_effects()
    session = peer_of(one, other).session("", one.node.config.limits)
    one.node.take_effects()
    one.node._links.want(session, 2.0)
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", one.address[0], 2.0, local=False)
    near = one.node.link_opened("tcp", other.address[0], 2.0, local=False, number=dial.number)
    other.node.frames_received(far, one.node.take_frames(near), 2.0)
    one.node.frames_received(near, other.node.take_frames(far), 2.0)


@pytest.mark.usefixtures("large")
def test_who_says_itself_that_it_is_an_observer_is_no_member() -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(third))
    third.node._ourselves.details = structs.replace(third.node.details, observer=True)
    prove(one, third, 2.0)
    assert one.known == ["n2"]


@pytest.mark.usefixtures("large")
def test_a_word_of_something_newer_is_taken_and_of_something_older_or_of_another_name_is_not() -> (
    None
):
    one, other = pair()
    third = Bench(3)
    vouch(one, other, entry_of(third, version=5, tags=("five",)))
    for said in (
        {"version": 4, "tags": ("four",)},
        {"version": 5, "tags": ("five again",)},
        {"version": 9, "name": "another"},
        {"version": 9, "host": "another"},
        {"version": 9, "observer": True},
    ):
        vouch(one, other, entry_of(third, **said))
    assert told(one) == [("+", "n3")]
    vouch(one, other, entry_of(third, version=6, tags=("six",)))
    assert told(one) == [("=", "n3")]
    assert peer_of(one, third).service.tags == ("six",)


@pytest.mark.usefixtures("large")
def test_a_false_word_about_a_proven_member_ends_with_its_next_answer() -> None:
    one, other = pair()
    third = Bench(3, tags=("true",))
    prove(one, third, 1.0)
    vouch(one, other, entry_of(third, version=2**60, tags=("false",)))
    assert peer_of(one, third).service.tags == ("false",)
    prove(one, third, 2.0)  # its beacon has another digest, so it is asked
    assert peer_of(one, third).service.tags == ("true",)


@pytest.mark.usefixtures("large")
def test_a_beacon_from_its_own_address_confirms_a_word() -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(third))
    assert peer_of(one, third).told
    one.hear(third, beacon_of(third), 2.0)
    assert not peer_of(one, third).told


UNASKED = 10**9
"""Of so large a mesh practically nobody is asked."""


@pytest.mark.usefixtures("large")
def test_a_word_of_somebody_heard_just_before_is_confirmed_already() -> None:
    (one, other), third = pair(), Bench(3)
    one.hear(third, beacon_of(third, UNASKED), 0.9)
    assert one.node.peers.get(third.node.identity.key) is None
    vouch(one, other, entry_of(third), now=1.0)
    assert not peer_of(one, third).told


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("entry", [{"tags": ("false",)}, {"address": "10.9.9.9"}])
def test_a_word_of_something_else_than_was_heard_is_not(entry: dict[str, Any]) -> None:
    (one, other), third = pair(), Bench(3)
    one.hear(third, beacon_of(third, UNASKED), 0.9)
    vouch(one, other, entry_of(third, **entry), now=1.0)
    assert peer_of(one, third).told


@pytest.mark.usefixtures("large")
def test_who_was_heard_long_ago_or_lost_since_is_not_confirmed_by_that() -> None:
    """Else those who heard a dead member once would tell on of it for ever."""
    (one, other), third, fourth = pair(), Bench(3), Bench(4)
    one.hear(third, beacon_of(third, UNASKED), 0.9)
    vouch(one, other, entry_of(third), now=1.0 + views.LOST_SECONDS)
    assert peer_of(one, third).told
    one.hear(fourth, beacon_of(fourth, UNASKED), 2.0)
    prove(one, fourth, 2.0)
    one.node._admission.lose(peer_of(one, fourth), "left", 2.1)
    vouch(one, other, entry_of(fourth), now=2.2 + views.LOST_SECONDS)
    assert peer_of(one, fourth).told


@pytest.mark.usefixtures("large")
def test_a_member_found_at_another_address_than_told_is_shown_there() -> None:
    (one, other), third = pair(), Bench(3)
    vouch(one, other, entry_of(third, address="10.9.9.9"))
    assert peer_of(one, third).service.address == "10.9.9.9"
    prove(one, third, 2.0)
    assert told(one)[-1] == ("=", "n3")
    assert peer_of(one, third).service.address == third.address[0]


@pytest.mark.usefixtures("large")
def test_who_is_only_told_of_is_probed_soon_whatever_is_said_of_its_heartbeat() -> None:
    (one, other), ghost = pair(), Bench(3)
    vouch(one, other, entry_of(ghost, heartbeat_seconds=900_000.0))
    now = 1.0
    while "n3" in one.known:
        now = one.node.deadline()
        assert now < 15.0
        one.node.advance(now)


# --- how long the dead stay dead ---------------------------------------------------------------


@pytest.mark.usefixtures("large")
def test_nobodys_word_brings_back_who_was_lost_until_all_must_know() -> None:
    (one, other), third = pair(), Bench(3)
    prove(one, third, 1.0)
    one.node._admission.lose(peer_of(one, third), "does not answer", 1.0)
    told(one)
    vouch(one, other, entry_of(third), now=10.9)
    assert told(one) == []
    vouch(one, other, entry_of(third), now=11.1)
    assert told(one) == [("+", "n3")]


@pytest.mark.usefixtures("large")
def test_the_slower_its_heartbeat_the_longer() -> None:
    """Others notice as late."""
    (one, other), third = pair(), Bench(3, heartbeat_seconds=10.0)
    prove(one, third, 1.0)
    one.node._admission.lose(peer_of(one, third), "does not answer", 1.0)
    told(one)
    vouch(one, other, entry_of(third), now=30.0)
    assert told(one) == []
    vouch(one, other, entry_of(third), now=31.1)
    assert told(one) == [("+", "n3")]


@pytest.mark.usefixtures("large")
def test_who_was_lost_comes_back_by_its_own_answer_at_once() -> None:
    one, _ = pair()
    third = Bench(3)
    prove(one, third, 1.0)
    one.node._admission.lose(peer_of(one, third), "does not answer", 1.0)
    told(one)
    prove(one, third, 1.5)
    assert told(one) == [("+", "n3")]


@pytest.mark.usefixtures("large")
def test_the_lost_are_remembered_within_bounds() -> None:
    one, other = pair(limits=Limits(candidates=4))
    for number in range(10, 30):
        ghost = Bench(number)
        vouch(one, other, entry_of(ghost))
        one.node._admission.lose(peer_of(one, ghost), "left", 1.0)
    assert len(one.node._views._lost) == 4


# --- vouching ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("large")
def test_who_proved_a_newcomer_vouches_for_it_within_a_moment() -> None:
    one, _ = pair()
    prove(one, Bench(3), 1.0)
    assert vouched(one) == []
    one.node.advance(1.0 + views.VOUCH_SECONDS)
    assert vouched(one) == [["n3"]]
    one.node.advance(2.0)
    assert vouched(one) == []


@pytest.mark.usefixtures("large")
def test_it_does_not_where_another_member_has_said_the_same() -> None:
    (one, other), third = pair(), Bench(3)
    prove(one, third, 1.0)
    vouch(one, other, entry_of(third))
    one.node.advance(1.5)
    assert vouched(one) == []


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("who", ["stranger", "liar"])
def test_it_does_where_a_stranger_said_it_or_a_member_something_else(who: str) -> None:
    (one, other), third = pair(), Bench(3)
    prove(one, third, 1.0)
    if who == "stranger":
        vouch(one, Bench(4), entry_of(third))
    else:
        vouch(one, other, entry_of(third, tags=("false",)))
    one.node.advance(1.5)
    assert vouched(one) == [["n3"]]


@pytest.mark.usefixtures("large")
def test_who_proves_a_word_false_says_what_is_true() -> None:
    (one, other), third = pair(), Bench(3)
    for _ in range(2):
        vouch(one, other, entry_of(third, version=5, tags=("false",)))
    prove(one, third, 1.1)
    one.node.advance(2.0)
    assert vouched(one) == [["n3"]]


def test_in_a_small_mesh_nobody_vouches() -> None:
    one, _ = pair()
    prove(one, Bench(3), 1.0)
    one.node.advance(1.5)
    assert vouched(one) == []


@pytest.mark.usefixtures("large")
def test_a_proven_change_is_vouched_for_too_and_a_word_is_not_passed_on() -> None:
    one, other = pair()
    third = Bench(3)
    prove(one, third, 1.0)
    one.node.advance(1.5)
    one.node.take_effects()
    vouch(one, other, entry_of(third, version=2, tags=("told",)), entry_of(Bench(4)))
    one.node.advance(2.0)
    assert vouched(one) == []
    third.node._ourselves.details = structs.replace(third.node.details, version=3, tags=("new",))
    prove(one, third, 2.0)
    one.node.advance(2.4)
    assert vouched(one) == [["n3"]]


@pytest.mark.usefixtures("large")
def test_many_are_vouched_for_in_datagrams_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PROVERS", 1000.0)
    one, _ = pair()
    for number in range(3, 40):
        prove(one, Bench(number, tags=("x" * 60,)), 1.0)
    one.node.take_effects()
    one.node.advance(1.5)
    sizes = [len(effect.data) for effect in one.node.effects if isinstance(effect, fx.Announce)]
    assert max(sizes) <= 1200
    names = [name for datagram in vouched(one) for name in datagram]
    assert names == [f"n{n}" for n in range(3, 40)]


@pytest.mark.usefixtures("large")
def test_details_too_large_for_a_datagram_are_left_to_links() -> None:
    one, _ = pair()
    tags = tuple(f"{n:060}" for n in range(30))
    for number in (3, 5):
        prove(one, Bench(number), 1.0)
    one.node.describe(1.0)
    big = Bench(4, tags=tags)
    peer = one.node.peers.hear(big.node.identity.id, 1, big.address, 1.0)
    peer.proven = True
    one.node._admission.proved(peer, big.node.details, 1.0)
    one.node.take_effects()
    one.node.advance(1.5)
    assert sorted(name for datagram in vouched(one) for name in datagram) == ["n3", "n5"]


@pytest.mark.usefixtures("large")
def test_loopback_addresses_and_observers_are_never_told_of() -> None:
    one, _ = pair()
    near = Bench(3)
    near.address = ("127.0.0.1", near.address[1])
    prove(one, near, 1.0)
    watcher = Bench(4, observer=True)
    peer = one.node.peers.hear(watcher.node.identity.id, 1, watcher.address, 1.0)
    one.node._admission.proved(peer, watcher.node.details, 1.0)
    one.node.take_effects()
    one.node.advance(1.5)
    assert vouched(one) == []


# --- views -------------------------------------------------------------------------------------


def test_members_who_know_the_same_have_the_same_view_in_whatever_order_they_came() -> None:
    benches = [Bench(number) for number in range(1, 5)]
    for one in benches:
        assert one.node._views.fingerprint != 0
        for other in reversed(benches):
            if other is not one:
                prove(one, other, 1.0)
    assert len({bench.node._views.fingerprint for bench in benches}) == 1
    for one in benches[1:]:
        one.node._admission.lose(peer_of(one, benches[0]), "left", 1.0)
    fingerprints = [bench.node._views.fingerprint for bench in benches]
    assert len(set(fingerprints[1:])) == 1
    assert fingerprints[0] != fingerprints[1]


def test_who_keeps_to_our_host_is_in_no_view_that_is_told_beyond_it() -> None:
    one, other, neighbour = Bench(1), Bench(2), Bench(3)
    neighbour.address = ("127.0.0.1", 1003)
    for each in (other, neighbour):
        prove(one, each, 1.0)
    prove(other, one, 1.0)
    ours = one.node._views
    assert ours.fingerprint == other.node._views.fingerprint
    assert (ours.known, ours.known_beyond) == (3, 2)
    assert (ours.known_to("10.0.0.7"), ours.known_to("127.0.0.1")) == (2, 3)
    peer_of(one, neighbour).address = ("10.0.0.3", 1003)
    one.node._admission.proved(peer_of(one, neighbour), neighbour.node.details, 2.0)
    assert (ours.known_beyond, ours.fingerprint == other.node._views.fingerprint) == (3, False)
    one.node._admission.lose(peer_of(one, neighbour), "left", 3.0)
    assert (ours.known_beyond, ours.fingerprint == other.node._views.fingerprint) == (2, True)


def test_a_view_changes_with_what_a_member_says_of_itself() -> None:
    one, other = pair()
    before = one.node._views.fingerprint
    one.node.describe(1.0, tags=("new",))
    between = one.node._views.fingerprint
    other.node._ourselves.details = structs.replace(other.node.details, version=2, tags=("new",))
    prove(one, other, 1.0)
    assert len({before, between, one.node._views.fingerprint}) == 3


def looking(one: Bench, other: Bench, known: int, view: int, now: float) -> list[type]:
    """What it writes to the link after hearing such beacons in a row, and waiting."""
    for _ in range(views.DIFFERING):
        one.hear(other, beacon_of(other, known, view), now)
    one.node.advance(now + 0.7)
    (session,) = peer_of(one, other).sessions.values()
    return [type(codec.decode_frame(f)) for f in one.node.take_frames(session.link)]


def linked() -> tuple[Bench, Bench]:
    one, other = Bench(1), Bench(2)
    with small():
        introduce(one, other)
        connect(one, other)
    one.node.take_effects()
    return one, other


@pytest.mark.usefixtures("large")
def test_who_has_another_view_is_asked_whom_it_knows() -> None:
    one, other = linked()
    assert ViewRequest in looking(one, other, 2, 12345, 1.0)


@pytest.mark.usefixtures("large")
def test_who_has_the_same_view_or_had_it_just_now_or_a_small_one_is_not() -> None:
    one, other = linked()
    own = one.node._views.fingerprint
    one.node.describe(0.9, tags=("new",))
    assert ViewRequest not in looking(one, other, 2, one.node._views.fingerprint, 1.0)
    assert ViewRequest not in looking(one, other, 2, own, 2.0)  # was on its way
    assert ViewRequest not in looking(one, other, 1, 12345, 3.0)


@pytest.mark.usefixtures("large")
def test_a_single_one_that_differs_is_not_asked_it_asks_itself() -> None:
    """Else all would ask it, and open a link to it."""
    one, other = linked()
    for number in range(3 * views.DIFFERING):
        view = one.node._views.fingerprint if number % views.DIFFERING == 0 else 12345
        one.hear(other, beacon_of(other, 100, view), 1.0)
    one.node.advance(2.0)
    (session,) = peer_of(one, other).sessions.values()
    assert one.node.take_frames(session.link) == []


@pytest.mark.usefixtures("large")
def test_without_news_comparisons_become_rare() -> None:
    one, other = linked()
    times = []
    now = 1.0
    while now < 200.0:
        if ViewRequest in looking(one, other, 2, 12345, now):
            times.append(now)
        now += 1.0
    assert 3 < len(times) < 12
    assert times[-1] - times[-2] > 30


def ask(one: Bench, other: Bench, keys: bytes, now: float = 1.0) -> list[View]:
    """``other`` asks over its link; the answers."""
    (session,) = peer_of(one, other).sessions.values()
    one.node.frames_received(session.link, [codec.encode_frame(ViewRequest(keys))], now)
    frames = map(codec.decode_frame, one.node.take_frames(session.link))
    return [frame for frame in frames if isinstance(frame, View)]


def name_of(bench: Bench) -> bytes:
    return bench.node.identity.key + codec.digest(bench.node.details)


def test_an_answer_tells_whom_the_asker_did_not_name_and_asks_for_whom_it_named_alone() -> None:
    one, other = linked()
    third, fourth, fifth = Bench(3), Bench(4), Bench(5)
    for bench in (third, fourth):
        prove(one, bench, 1.0)
    (view,) = ask(one, other, name_of(third) + name_of(fifth) + name_of(one))
    assert [entry.details.name for entry in view.members] == ["n4"]
    assert view.unknown == name_of(fifth)


def test_a_member_named_with_other_details_is_told_again() -> None:
    one, other = linked()
    third = Bench(3)
    prove(one, third, 1.0)
    (view,) = ask(one, other, third.node.identity.key + b"another.")
    assert [entry.details.name for entry in view.members] == ["n3"]


def test_where_there_is_nothing_to_tell_nothing_is_answered() -> None:
    one, other = linked()
    third = Bench(3)
    prove(one, third, 1.0)
    assert ask(one, other, name_of(third)) == []


def test_the_asker_itself_and_what_we_were_only_told_are_not_in_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = linked()
    third, fourth = Bench(3), Bench(4)
    prove(one, third, 1.0)
    monkeypatch.setattr(views, "DIRECT_PROOFS", 1)
    vouch(one, other, entry_of(fourth))
    (view,) = ask(one, other, b"")
    assert [entry.details.name for entry in view.members] == ["n3"]


def test_who_asks_without_end_is_answered_ten_times_a_second() -> None:
    one, other = linked()
    prove(one, Bench(3), 1.0)
    answers = [ask(one, other, b"", now=1.0 + n / 1000) for n in range(1000)]
    assert 8 <= sum(map(len, answers)) <= 11


def test_answers_that_are_not_read_are_bounded() -> None:
    one, other = linked()
    prove(one, Bench(3), 1.0)
    (session,) = peer_of(one, other).sessions.values()
    for number in range(1000):
        frame = codec.encode_frame(ViewRequest(b""))
        one.node.frames_received(session.link, [frame], 1.0 + number)
    assert len(session.link.out) <= 64


@pytest.mark.parametrize("keys", [b"x", b"x" * 31, b"x" * 33, bytes(32), b"\xff" * 3200])
def test_names_that_are_none_harm_nobody(keys: bytes) -> None:
    one, other = linked()
    prove(one, Bench(3), 1.0)
    (view,) = ask(one, other, keys)
    assert len(view.members) == 1
    assert len(view.unknown) in (0, 32)


@pytest.mark.usefixtures("large")
def test_a_view_is_taken_as_words_are_and_what_it_asks_for_is_told() -> None:
    one, other = linked()
    third, fourth = Bench(3), Bench(4)
    prove(one, third, 1.0)
    told(one)
    (session,) = peer_of(one, other).sessions.values()
    frame = View([entry_of(fourth)], name_of(third) + name_of(Bench(9)))
    one.node.frames_received(session.link, [codec.encode_frame(frame)], 1.0)
    assert told(one) == [("+", "n4")]
    frames = map(codec.decode_frame, one.node.take_frames(session.link))
    views_sent = [frame for frame in frames if isinstance(frame, View)]
    assert [[e.details.name for e in view.members] for view in views_sent] == [["n3"]]


def test_who_waits_for_its_namesake_twice_is_admitted_once() -> None:
    """Else its fingerprint would cancel itself, and our view be wrong for good."""
    (one, other), third = pair(), Bench(3, name="n2")
    me = third.node.identity
    prove(one, third, 1.0)
    one.hear(third, Leave("default", me.id, me.boot), 1.1)
    prove(one, third, 1.2)
    assert told(one) == []
    one.node._admission.lose(peer_of(one, other), "does not answer", 2.0)
    assert told(one) == [("-", "n2"), ("+", "n2")]
    alone = Bench(1)
    prove(alone, third, 1.0)
    assert one.node._views.fingerprint == alone.node._views.fingerprint


# --- hooks and places --------------------------------------------------------------------------


@pytest.mark.usefixtures("large")
def test_who_a_hook_refuses_is_not_taken_in_by_anybodys_word() -> None:
    (one, other), third = pair(), Bench(3)
    asked: list[str] = []

    def validate(service: Any) -> bool:
        asked.append(service.name)
        raise HookRejected("no")

    one.hooks.add("service.validate", validate)
    prove(one, third, 1.0)
    for now in (1.1, 1.2, 1.3):
        vouch(one, other, entry_of(third), now=now)
    assert told(one) == []
    assert asked == ["n3"]


@pytest.mark.usefixtures("large")
def test_who_is_refused_for_what_others_say_may_still_speak_for_itself() -> None:
    (one, other), third = pair(), Bench(3, tags=("good",))
    one.hooks.add("service.validate", lambda service: "good" in service.tags)
    vouch(one, other, entry_of(third, tags=("bad",)))
    assert told(one) == []
    prove(one, third, 2.0)
    assert told(one) == [("+", "n3")]


def on_this_host(number: int, **config: Any) -> Bench:
    bench = Bench(number, ttl=0, **config)
    bench.address = ("127.0.0.1", 1000 + number)
    return bench


@pytest.mark.usefixtures("large")
def test_on_one_host_who_is_told_of_is_on_this_host_too() -> None:
    one, other, third = (on_this_host(n) for n in (1, 2, 3))
    one.hooks.add("service.validate", localhost_only)
    introduce(one, other)
    one.node.take_effects()
    vouch(one, other, entry_of(third))
    service = peer_of(one, third).service
    assert service.local
    assert service.lan
    assert "localhost" in service.words


@pytest.mark.usefixtures("large")
def test_a_remote_members_word_makes_nobody_local() -> None:
    one, other = Bench(1, own_networks=["10.0.0.1/24"]), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    vouch(one, other, entry_of(Bench(3), address="10.0.0.1"))
    assert [peer.local for peer in one.node.peers] == [False, False]


@pytest.mark.usefixtures("large")
def test_who_turns_out_to_be_elsewhere_is_not_local_any_more() -> None:
    one, other, third = Bench(1, own_networks=["10.0.0.1/24"]), Bench(2), Bench(3)
    introduce(one, other)
    peer_of(one, other).local = True
    one.node.take_effects()
    vouch(one, other, entry_of(third, address="10.0.0.1"))
    assert peer_of(one, third).local
    prove(one, third, 2.0)
    assert not peer_of(one, third).local
    assert not peer_of(one, third).service.local


@pytest.mark.usefixtures("large")
def test_a_member_without_udp_is_told_of_on_its_own_host_and_met_by_its_unix_socket() -> None:
    one, other, third = (on_this_host(n) for n in (1, 2, 3))
    introduce(one, other)
    one.node.take_effects()
    vouch(one, other, entry_of(third, port=0))
    assert peer_of(one, third).address == unix_address(third.node.identity.id)


# --- how often we beacon -----------------------------------------------------------------------


@pytest.mark.parametrize(("known", "seconds"), [(1, 1.0), (100, 1.0), (250, 2.5), (1000, 10.0)])
def test_a_hundred_beacons_a_second_is_all_that_a_mesh_sends(known: int, seconds: float) -> None:
    one = Bench(1)
    for number in range(known - 1):
        member_id = (number + 10).to_bytes(16, "big")
        peer = one.node.peers.hear(member_id, 1, ("10.0.0.9", number), 0.0)
        peer.describe(Details(1, f"m{number}", "h", (), (), {}, 1, 1.0), b"digest..")
        one.node.peers.admit(peer)
    assert one.node._views.interval(1.0) == seconds
    assert one.node._views.interval(20.0) == 20.0
