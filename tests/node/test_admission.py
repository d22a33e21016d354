"""Who is taken in, who changes, who is lost."""

import pytest

from meshcluster.errors import HookRejected
from meshcluster.model import unix_address
from meshcluster.node import effects as fx
from meshcluster.testing import Bench, introduce


def told(bench):
    kinds = (fx.ServiceDiscovered, fx.ServiceChanged, fx.ServiceGone)
    return [(type(effect).__name__, effect.service.name) for effect in bench.take(*kinds)]


@pytest.fixture
def known():
    """One knows other; what was told of that is used up."""
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    return one, other


def peer_of(one):
    (peer,) = one.node.peers
    return peer


def test_a_hook_placed_late_judges_those_who_are_known(known):
    one, _other = known

    def not_two(service):
        if service.name == "n2":
            raise HookRejected

    one.hooks.add("service.validate", not_two)
    one.node.judge_again(1.0)
    assert one.known == []
    assert told(one) == [("ServiceGone", "n2")]


def test_who_passes_a_late_hook_stays_as_it_is(known):
    one, _other = known
    one.hooks.add("service.validate", lambda service: True)
    one.node.judge_again(1.0)
    assert one.known == ["n2"]
    assert told(one) == []


def test_who_changes_its_name_in_one_run_is_not_believed(known):
    one, other = known
    peer = peer_of(one)
    other.node.identity = other.node.identity
    other.node.describe(1.0, name="n3", tags=("new",))
    one.node._admission.proved(peer, other.node.details, 1.0)
    assert one.known == ["n2"]
    assert told(one) == []


def test_a_member_met_by_unix_socket_has_an_ip_address_and_is_near():
    one, other = Bench(1, ttl=1), Bench(2, ttl=0)
    peer = one.node.peers.hear(other.node.identity.id, 1, unix_address(b"\2" * 16), 0.0)
    peer.local = True
    one.node._admission.proved(peer, other.node.details, 0.0)
    assert one.known == ["n2"]
    assert peer.service.address == "127.0.0.1"
    assert peer.service.lan


@pytest.fixture
def near():
    """One, in 10.0.0.0/24 at ttl=2, knows other, which is there."""
    one, other = Bench(1, own_networks=["10.0.0.1/24"], ttl=2), Bench(2)
    other.address = ("10.0.0.77", 5)
    introduce(one, other)
    one.node.take_effects()
    assert peer_of(one).service.lan
    return one


def test_who_is_near_is_seen_anew_when_our_networks_change(near):
    for networks, lan in ((["10.9.0.1/24"], False), (["10.0.0.2/16"], True)):
        changes = near.node.changes
        near.node.networks_changed(networks, 1.0)
        assert peer_of(near).service.lan is lan
        assert told(near) == [("ServiceChanged", "n2")]
        assert near.node.changes == changes + 1
    near.node.networks_changed(["10.0.0.2/16", "fd00::1/64"], 2.0)
    assert told(near) == []


def test_the_views_fingerprint_is_the_same_for_who_was_near_and_is_not(near):
    before = near.node._views.fingerprint
    near.node.networks_changed(["10.9.0.1/24"], 1.0)
    assert near.node._views.fingerprint == before


def test_a_hook_judges_again_who_is_near_no_more(near):
    near.hooks.add("service.validate", lambda service: service.lan)
    near.node.networks_changed(["10.9.0.1/24"], 1.0)
    assert (near.known, told(near)) == ([], [("ServiceGone", "n2")])


# --- one name on one host ---


def comes(one, other, now):
    """Another one beacons, and is proven; whom one asks about it is left open."""
    other.node.start(now)
    (beacon,) = other.take(fx.Announce)
    one.node.datagram_received(beacon.data, other.address, now)
    kept = []
    while effects := one.node.take_effects():
        for effect in effects:
            if isinstance(effect, fx.SendDatagram) and effect.address == other.address:
                other.node.datagram_received(effect.data, one.address, now)
            else:
                kept.append(effect)
        for effect in other.take(fx.SendDatagram):
            one.node.datagram_received(effect.data, other.address, now)
    return kept


def test_two_living_members_of_one_name_are_kept_and_told_of():
    one, first, second = Bench(1), Bench(2, name="web"), Bench(3, name="web")
    assert comes(one, first, 0.0)
    (asked,) = [e for e in comes(one, second, 1.0) if isinstance(e, fx.SendDatagram)]
    assert one.known == ["web"], "the first is asked whether it lives"
    assert asked.address == first.address
    first.node.take_effects()
    first.node.datagram_received(asked.data, one.address, 1.0)
    (reply,) = first.take(fx.SendDatagram)
    one.node.datagram_received(reply.data, first.address, 1.0)
    told = one.take(fx.ServiceDiscovered, fx.ServiceConflict, fx.Report)
    discovered, conflict, report = told
    assert discovered.service.id == conflict.service.id == second.node.identity.id.hex()
    assert "two members of one host are named web" in report.text
    assert one.known == ["web", "web"]


def test_a_restart_under_its_name_takes_the_place_of_the_dead_and_is_no_conflict():
    one, first, second = Bench(1), Bench(2, name="web"), Bench(3, name="web")
    comes(one, first, 0.0)
    comes(one, second, 1.0)
    one.refuse(first.address, 1.0)
    told = one.take(fx.ServiceDiscovered, fx.ServiceGone, fx.ServiceConflict, fx.Report)
    assert [type(each) for each in told] == [fx.ServiceGone, fx.ServiceDiscovered]
    assert told[0].reason == "crashed"
    assert one.known == ["web"]


def test_of_two_that_waited_for_the_dead_the_second_waits_for_the_first():
    one, *runs = Bench(1), Bench(2, name="web"), Bench(3, name="web"), Bench(4, name="web")
    for second, run in enumerate(runs):
        comes(one, run, float(second))
    one.refuse(runs[0].address, 2.0)
    assert one.known == ["web"]
    one.refuse(runs[1].address, 2.0)
    assert one.known == ["web"]
    (peer,) = one.node.peers
    assert peer.id == runs[2].node.identity.id
    assert one.take(fx.ServiceConflict, fx.Report) == []


def test_who_has_our_own_name_is_told_of():
    one, other = Bench(1, name="web"), Bench(2, name="web")
    told = comes(one, other, 0.0)
    assert [e.service.name for e in told if isinstance(e, fx.ServiceConflict)] == ["web"]
    (report,) = [e for e in told if isinstance(e, fx.Report)]
    assert "and this one" in report.text


def test_an_observer_may_have_any_name():
    one, other = Bench(1, name="web", observer=True), Bench(2, name="web")
    told = comes(one, other, 0.0)
    assert one.known == ["web"]
    assert [e for e in told if isinstance(e, fx.ServiceConflict | fx.Report)] == []


def test_who_was_refused_and_dials_us_is_not_judged_again():
    one, other, asked = Bench(1), Bench(2), []
    one.hooks.add("service.validate", lambda service: asked.append(service.name) or False)
    comes(one, other, 0.0)
    assert asked == ["n2"]
    comes(other, one, 0.0)
    peer = next(iter(other.node.peers))
    other.node._links.want(peer.session("", other.node.config.limits), 1.0)
    (dial,) = other.take(fx.DialEndpoint)
    near = other.node.link_opened("tcp", "10.0.0.1", 1.0, local=False, number=dial.number)
    far = one.node.link_opened("tcp", "10.0.0.2", 1.0, local=False)
    one.node.frames_received(far, other.node.take_frames(near), 1.0)
    assert asked == ["n2"]
    assert one.known == []
    assert one.dropped["links refused: a hook of the member refused us"] == 1


def test_who_waited_and_answers_where_the_dead_did_is_discovered_once():
    one, first, second = Bench(1), Bench(2, name="web"), Bench(3, name="web")
    comes(one, first, 0.0)
    comes(one, second, 1.0)
    assert one.known == ["web"], "it waits"
    second.address = first.address
    told = comes(one, second, 2.0)
    kinds = [type(each) for each in told if isinstance(each, fx.ServiceDiscovered | fx.ServiceGone)]
    assert kinds == [fx.ServiceGone, fx.ServiceDiscovered]
    assert one.known == ["web"]
