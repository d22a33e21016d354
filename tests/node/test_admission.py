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
