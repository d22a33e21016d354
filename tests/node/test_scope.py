"""How far a mesh reaches: this host, this LAN, or whatever is routed."""

import pytest

from meshcluster.node.scope import Scope, rank

OURS = ["127.0.0.1/8", "10.0.0.1/24", "fe80::1%eth0/64", "fd00::1/64"]
HERE, NEAR, FAR, SOCKET = "127.0.0.1", "10.0.0.77", "10.9.0.1", "unix:abc"


@pytest.mark.parametrize(
    ("ttl", "covered"),
    [(0, [HERE, SOCKET]), (1, [HERE, NEAR, SOCKET]), (2, [HERE, NEAR, FAR, SOCKET])],
)
def test_who_may_take_part(ttl, covered):
    scope = Scope(ttl, OURS)
    assert [each for each in (HERE, NEAR, FAR, SOCKET) if scope.covers(each)] == covered


def test_the_link_local_addresses_of_ipv6_are_on_our_lan():
    scope = Scope(1, OURS)
    assert scope.covers("fe80::77%eth0")
    assert scope.covers("fd00::77")
    assert not scope.covers("fd01::77")


def test_who_proved_to_be_local_takes_part_wherever_it_was_heard():
    assert Scope(0).covers(FAR, local=True)


def test_what_our_user_named_takes_part_at_ttl_1():
    scope = Scope(1, OURS)
    scope.allow([FAR])
    assert scope.covers(FAR)
    assert not Scope(0, OURS).covers(FAR)


def test_the_networks_follow_the_interfaces():
    scope = Scope(1, OURS)
    scope.change(["10.9.0.5/16"])
    assert (scope.covers(FAR), scope.covers(NEAR)) == (True, False)
    assert (scope.is_own("10.9.0.5"), scope.is_own("10.0.0.1")) == (True, False)


def test_our_own_addresses_are_own_with_their_interface():
    scope = Scope(1, OURS)
    assert scope.is_own("fe80::1%eth0")
    assert not scope.is_own("fe80::2%eth0")
    assert scope.is_own("127.9.9.9")


def test_others_are_told_of_addresses_that_mean_the_same_to_them():
    assert Scope(1, [*OURS, "10.5.0.1/32"]).hosts == ("10.0.0.1", "fd00::1")
    assert Scope(0).hosts == ()


def test_members_of_this_host_alone_are_told_of_on_this_host_only():
    scope = Scope(1, OURS)
    assert scope.tellable(HERE, local=True)
    assert not scope.tellable(HERE, local=False)
    assert scope.tellable(NEAR, local=False)
    assert not Scope(0).tellable(NEAR, local=True)


def test_an_address_that_reaches_further_is_better():
    assert sorted([NEAR, "fe80::1%eth0", HERE, SOCKET], key=rank) == [
        SOCKET, HERE, "fe80::1%eth0", NEAR,
    ]  # fmt: skip
