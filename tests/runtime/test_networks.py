"""What the node learns of this machine's networks."""

import pytest

from meshcluster.announcers import MulticastAnnouncer
from meshcluster.interfaces import Interface, InterfaceAddress, Skipped
from meshcluster.runtime.networks import follow_networks, own_networks

GROUP = "239.255.77.67"


def made(name, ip, prefix):
    return Interface(name, 2, (InterfaceAddress(ip, prefix),))


@pytest.fixture
def announcer():
    announcer = MulticastAnnouncer(GROUP, 27677, 1)
    announcer.used = (made("eth0", "10.0.0.5", 24),)
    return announcer


def test_the_networks_are_those_of_the_interfaces(announcer):
    announcer.skipped = (Skipped(made("tun0", "10.8.0.2", 24), "no multicast"),)
    assert own_networks([announcer]) == {"10.0.0.5/24", "10.8.0.2/24"}


def test_of_a_denied_interface_only_our_own_address_counts(announcer):
    announcer.skipped = (Skipped(made("eth1", "10.1.0.5", 24), "denied", denied=True),)
    assert own_networks([announcer]) == {"10.0.0.5/24", "10.1.0.5/32"}


def test_on_this_host_alone_there_are_none():
    assert own_networks([MulticastAnnouncer(GROUP, 27677, 0)]) == frozenset()


def test_a_change_is_told_to_the_node(announcer):
    told = []

    class Node:
        def networks_changed(self, networks, now):
            told.append((networks, now))

    class Driver:
        node = Node()

        def touch(self, function):
            function(self, 7.0)

    follow_networks([announcer], Driver())
    announcer.used = (made("eth0", "10.0.0.9", 24),)
    announcer.changed()
    assert told == [({"10.0.0.9/24"}, 7.0)]
