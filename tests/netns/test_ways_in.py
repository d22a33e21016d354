"""``meshcluster join --ttl 1`` on three hosts: whatever the network drops, all see all and answer
by every protocol, and ``meshcluster doctor`` names what is dropped.
"""

import pytest

from .command import Command
from .doctor import broken, examine

BEACONS, MDNS = "meta pkttype multicast udp dport 27677", "meta pkttype multicast udp dport 5353"
PROTOCOLS = ("tcp", "zeromq", "udp")


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    """Commands answer nobody who proved nothing."""
    monkeypatch.setenv("MESHCLUSTER_SECRET", "a secret of these hosts")


def all_see_all_and_answer(hosts, *options, seeds=()):
    """A command on each host, and a member beside the first that asks them by each protocol."""
    words = [word for seed in seeds for word in ("--seed", seed)]
    commands = [Command(host, f"m{number}", *words) for number, host in enumerate(hosts)]
    asker = hosts[0].join("asker", wait=False, ttl=1, seeds=list(seeds))
    names = {"asker", *(each.name for each in commands)}
    for each in commands:
        each.sees(*(names - {each.name}))
    assert {name for name, _, _ in asker.ask(f"met({len(commands)})")} == names - {"asker"}
    for protocol in PROTOCOLS:
        assert answers(asker, protocol, len(commands)) == [protocol] * len(commands)
        for each in commands:
            assert each.fact("answered", data=protocol)["protocol"] == protocol


def answers(asker, protocol, count):
    """What all have answered by a protocol. A datagram may be lost, so by udp they are asked up to
    three times.
    """
    for seconds in (3, 3, 20) if protocol == "udp" else (20,):
        found = asker.ask(f"answers({protocol!r}, {seconds}, protocols=[{protocol!r}])")
        if len(found) == count:
            break
    return found


def test_where_nothing_is_dropped(network):
    lan = network.lan(3)
    all_see_all_and_answer(lan.hosts)
    checks = examine(lan.hosts[2], "--ttl", "1", "--peer", lan.hosts[0].address)
    assert broken(checks) == []
    assert checks["peer", "10.77.0.1 by mdns"]["state"] == "good"


def test_where_there_is_ipv6_alone(network):
    lan = network.lan(3, ipv4=False)
    all_see_all_and_answer(lan.hosts)
    peer = lan.hosts[0].link_local
    checks = examine(lan.hosts[2], "--ttl", "1", "--peer", peer)
    assert broken(checks) == []
    assert checks["peer", f"{peer} by unicast"]["state"] == "good"
    assert checks["peer", f"{peer} by mdns"]["state"] == "good"


def test_where_beacons_are_dropped_and_mdns_alone_is_left(network):
    lan = network.lan(3)
    lan.drop(BEACONS)
    all_see_all_and_answer(lan.hosts)
    checks = examine(lan.hosts[2], "--ttl", "1", "--peer", lan.hosts[0].address)
    assert broken(checks) == [("peer", "10.77.0.1 by multicast")]
    multicast = checks["peer", "10.77.0.1 by multicast"]
    assert "multicast does not get through between us" in multicast["found"]
    assert "let the network pass UDP port 27677" in multicast["next"]
    assert checks["peer", "10.77.0.1 by mdns"]["state"] == "good"


def test_where_mdns_is_dropped(network):
    lan = network.lan(3)
    lan.drop(MDNS)
    all_see_all_and_answer(lan.hosts)
    checks = examine(lan.hosts[2], "--ttl", "1", "--peer", lan.hosts[0].address)
    assert broken(checks) == []
    mdns = checks["peer", "10.77.0.1 by mdns"]
    assert mdns["state"] == "note"
    assert "mDNS does not get through between us" in mdns["found"]
    assert "UDP port 5353" in mdns["next"]


def test_where_all_multicast_is_dropped_and_one_seed_is_named(network):
    lan = network.lan(3)
    lan.drop_multicast()
    seed = lan.hosts[0].address
    all_see_all_and_answer(lan.hosts, seeds=[seed])
    checks = examine(lan.hosts[2], "--ttl", "1", "--seed", seed, "--peer", lan.hosts[1].address)
    assert checks["seed", seed]["state"] == "good"
    assert broken(checks) == [("peer", "10.77.0.2 by multicast")]
    multicast = checks["peer", "10.77.0.2 by multicast"]
    assert "multicast does not get through between us" in multicast["found"]
    assert "name 10.77.0.2 as a seed" in multicast["next"]
    assert checks["peer", "10.77.0.2 by mdns"]["state"] == "note"


def test_where_loopback_carries_no_multicast(network):
    lan = network.lan(2)
    here, there = lan
    here.drop_multicast(interface="lo")
    all_see_all_and_answer([here, here, there])
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert broken(checks) == [("beacons", "loopback 127.0.0.1"), ("mdns", "loopback 127.0.0.1")]
    assert "does not come back" in checks["beacons", "loopback 127.0.0.1"]["found"]
    assert checks["peer", "10.77.0.2 by multicast"]["state"] == "good"


def test_meshes_on_one_host_are_seeds_each_of_its_own(network):
    """They share a port and a secret, and a datagram to it goes to one of them."""
    here, there = lan = network.lan(2)
    lan.drop_multicast()
    meshes = ("first", "second", "third")
    for each in meshes:
        here.join(f"{each} seed", ttl=1, cluster=each)
    members = [
        there.join(each, wait=False, ttl=1, cluster=each, seeds=[here.address]) for each in meshes
    ]
    found = [[name for name, _, _ in member.ask("met()")] for member in members]
    assert found == [[f"{each} seed"] for each in meshes]
