"""By which interface and address beacons go out, and which sockets hear them."""

import socket

import pytest

from meshcluster import ConfigError
from meshcluster.announcers import groups
from meshcluster.announcers.groups import LOOPBACK_WAY, group_v6, open_group, open_own, ways
from meshcluster.interfaces import Interface, InterfaceAddress

GROUP = "239.255.77.67"
LO = Interface("lo", 1, (InterfaceAddress("127.0.0.1", 8),), is_loopback=True)


def eth(*addresses):
    made = (each.partition("/") for each in addresses)
    found = (InterfaceAddress(ip, int(prefix)) for ip, _, prefix in made)
    return Interface("eth0", 2, tuple(found))


def told(*interfaces):
    return [(way.name, way.ip, way.hears) for way in ways(interfaces)]


def test_loopback_comes_last_and_by_ipv4_alone():
    found = told(LO, eth("10.0.0.5/24"))
    assert found == [("eth0", "10.0.0.5", True), ("loopback", "127.0.0.1", True)]


def test_each_network_of_an_interface_gets_a_beacon_and_one_socket_hears():
    found = told(eth("10.0.0.5/24", "10.0.0.6/24", "10.1.0.5/24"))
    assert found == [("eth0", "10.0.0.5", True), ("eth0", "10.1.0.5", False)]


def test_ipv6_goes_out_once_from_the_link():
    found = told(eth("fd00::2/64", "fe80::1/64", "10.0.0.5/24"))
    assert found == [("eth0", "10.0.0.5", True), ("eth0", "fe80::1", True)]


def test_the_group_of_ipv6_ends_as_that_of_ipv4():
    assert group_v6(GROUP) == "ff02::efff:4d43"
    assert group_v6("ff02::fb") == "ff02::fb"


@pytest.mark.parametrize(("ttl", "count"), [(0, 1), (1, 1 + socket.has_ipv6)])
def test_the_own_sockets_share_one_port_number(ttl, count):
    own = open_own(ttl)
    try:
        assert len(own) == count
        assert len({each.getsockname()[1] for each in own}) == 1
        assert own[0].getsockname()[0] == ("127.0.0.1" if ttl == 0 else "0.0.0.0")
    finally:
        for each in own:
            each.close()


def test_two_sockets_of_a_host_hear_one_group(beacon_port):
    one = open_group(LOOPBACK_WAY, GROUP, beacon_port)
    try:
        open_group(LOOPBACK_WAY, GROUP, beacon_port).close()
    finally:
        one.close()


def test_a_system_that_does_not_keep_ttl_0_on_the_host_is_found_out(monkeypatch):
    monkeypatch.setattr(groups, "aim", lambda own, way: None)  # as if it were not heeded
    with pytest.raises(ConfigError, match="ttl=0"):
        open_own(0)
