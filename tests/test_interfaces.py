"""Which interfaces there are, which of them are used, and why the others are not."""

import socket
import sys

import pytest

from meshcluster import ConfigError, interfaces
from meshcluster.interfaces import Interface, InterfaceAddress, spoken, usable, written

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the interface is called lo there")


def address(text):
    ip, _, prefix = text.partition("/")
    return InterfaceAddress(ip, int(prefix or 32))


def made(name, *addresses, index=2, **flags):
    return Interface(name, index, tuple(map(address, addresses)), **flags)


LO = made("lo", "127.0.0.1/8", index=1, is_loopback=True)
ETH = made("eth0", "10.0.0.5/24")
DOCKER = made("docker0", "172.17.0.1/16")


def names(found, **choice):
    return [each.name for each in usable(found, **choice)[0]]


def reason(interface, **choice):
    (skipped,) = usable([interface], **choice)[1]
    return skipped.reason


def test_loopback_is_there_with_its_index_addresses_and_flags():
    (loopback,) = [each for each in interfaces.interfaces() if each.is_loopback]
    assert loopback.scope == "host"
    assert loopback.is_up
    assert loopback.can_multicast
    assert InterfaceAddress("127.0.0.1", 8) in loopback.addresses
    assert socket.if_indextoname(loopback.index) == loopback.name


def test_each_is_there_once():
    found = [each.index for each in interfaces.interfaces()]
    assert sorted(set(found)) == found


def test_networks_are_written_with_prefix_and_scope():
    link_local = InterfaceAddress("fe80::1", 64, 7)
    found = Interface("eth0", 7, (address("10.0.0.5/24"), address("fd00::2/64"), link_local))
    assert found.networks == ("10.0.0.5/24", "fd00::2/64", "fe80::1%eth0/64")
    assert [each.ip for each in found.v4] == ["10.0.0.5"]
    assert [each.ip for each in found.v6] == ["fe80::1", "fd00::2"]


def test_without_a_choice_all_that_work_are_used():
    assert names([LO, ETH, DOCKER]) == ["lo", "eth0", "docker0"]


@pytest.mark.parametrize(
    ("chosen", "used"),
    [
        (["eth0"], ["lo", "eth0"]),
        (["eth*"], ["lo", "eth0"]),
        (["!docker*"], ["lo", "eth0"]),
        (["10.0.0.0/8"], ["lo", "eth0"]),
        (["10.0.0.5"], ["lo", "eth0"]),
        (["eth0", "docker0", "!172.16.0.0/12"], ["lo", "eth0"]),
        (["wlan0"], ["lo"]),
    ],
)
def test_a_choice_allows_and_denies(chosen, used):
    assert names([LO, ETH, DOCKER], chosen=chosen) == used


def test_on_this_host_alone_only_loopback_is_used():
    assert names([LO, ETH], ttl=0) == ["lo"]
    assert "ttl=0" in reason(ETH, ttl=0)


@pytest.mark.parametrize(
    ("interface", "why"),
    [
        (made("eth1", "10.1.0.1/24", is_up=False), "down"),
        (made("br0", "10.2.0.1/24", is_running=False), "no carrier"),
        (made("tun0", "10.3.0.1/24", can_multicast=False), "no multicast"),
        (made("eth2"), "no address"),
        (made("lo", "127.0.0.1/8", is_loopback=True, is_up=False), "down"),
    ],
)
def test_what_is_skipped_has_a_reason(interface, why):
    assert why in reason(interface)


def test_the_words_of_a_choice_are_the_reason():
    assert reason(DOCKER, chosen=["!docker*"]) == "denied by interfaces=['!docker*']"
    assert reason(DOCKER, chosen=["eth0"]) == "not among interfaces="


@pytest.mark.parametrize("word", ["", "!", "10.0.0.0/99", "eth0/24"])
def test_a_word_that_means_nothing_is_refused(word):
    with pytest.raises(ConfigError, match="interfaces="):
        usable([ETH], chosen=[word])


def test_a_socket_address_is_told_and_written_as_it_is():
    assert spoken(("10.0.0.5", 4)) == "10.0.0.5"
    assert written("10.0.0.5", 4) == ("10.0.0.5", 4)
    assert spoken(("fd00::2", 4, 0, 0)) == "fd00::2"
    assert written("fd00::2", 4) == ("fd00::2", 4, 0, 0)


@linux_only
def test_a_link_local_address_keeps_its_interface():
    assert spoken(("fe80::1", 4, 0, 1)) == "fe80::1%lo"
    assert written("fe80::1%lo", 4) == ("fe80::1", 4, 0, 1)
    assert written("fe80::1%1", 4) == ("fe80::1", 4, 0, 1)


def test_an_interface_that_went_is_an_error_of_the_system():
    with pytest.raises(OSError, match=r".+"):
        written("fe80::1%nosuchinterface", 4)


def test_netifaces_tells_the_same_as_ifaddr(monkeypatch):
    pytest.importorskip("netifaces", reason="the extra netifaces is not installed")
    assert interfaces.provider() == "netifaces"
    through_netifaces = interfaces.interfaces()
    monkeypatch.setattr(interfaces, "_by_netifaces", lambda: None)
    assert interfaces.provider() == "ifaddr"
    for one, other in zip(through_netifaces, interfaces.interfaces(), strict=True):
        assert one.name == other.name
        assert set(one.addresses) == set(other.addresses)
