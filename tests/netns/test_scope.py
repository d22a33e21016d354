"""How far beacons reach: ttl=0 stays on its host."""

from pathlib import Path

import pytest

FORGER = Path(__file__).with_name("forger.py")
GROUP, PORT = "239.255.77.67", 27677  # hosts of our own: the defaults disturb nobody

BRISK = {"heartbeat_seconds": 0.2}

SHOUTER = f"""
import socket, sys
shout = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
shout.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 4)
own = int(sys.argv[1])
for _ in range(20):
    for address in (("{GROUP}", {PORT}), ("10.77.0.1", {PORT}), ("10.77.0.1", own)):
        try:
            shout.sendto(b"a stranger's datagram", address)
        except ConnectionRefusedError:
            pass
"""

FIVE_BEACONS = "counted('datagrams: own copies', 5)"
"""Waits until the member has sent so many, and heard them itself."""

OWN_PORTS = "[each._cluster.joined.node.details.port for each in (cluster, *others)]"


def own_port(process):
    """The UDP port of a member's own, as the kernel tells it."""
    with open(f"/proc/{process.popen.pid}/net/udp") as table:
        ports = {int(line.split()[1].partition(":")[2], 16) for line in table.readlines()[1:]}
    (port,) = ports - {PORT}  # of IPv4; that of IPv6 has the same number
    return port


def test_with_only_loopback_up_two_members_meet(network):
    host = network.host()
    one, other = host.join("one"), host.join("other")
    assert one.ask("met()") == [["other", "127.0.0.1", True]]
    assert other.ask("met()") == [["one", "127.0.0.1", True]]
    assert one.ask("answers()") == [["other", "unix"]]


def test_at_ttl_0_nothing_leaves_a_host_while_its_interfaces_flap_and_nothing_forged_is_heard(
    network,
):
    here, there, _ = lan = network.lan(3)
    capture = lan.capture()
    one, witness = here.join("one", **BRISK), lan.hosts[2].join("witness", ttl=1, **BRISK)
    one.ask("join_others(19)")
    ports = [str(PORT), *map(str, one.ask(OWN_PORTS))]
    for _ in range(2):
        lan.unplug(here)
        one.ask(FIVE_BEACONS)
        lan.plug(here)
        here.ip("link set eth0 down", "link set eth0 up")
        done = there.python(str(FORGER), here.mac, here.address, *ports)
        assert done.returncode == 0, done.stderr
        dropped = one.ask(FIVE_BEACONS)
    assert len(one.ask("met(19)")) == 19
    late = "datagrams: replies nobody asked for"  # to a question asked twice, where all are slow
    assert dropped.keys() - {late} == {"datagrams: own copies"}
    heard = witness.ask("counted('datagrams: of another cluster', 0)")
    assert heard["datagrams: of another cluster"] == 4  # each round one from each neighbour
    assert witness.ask("names()") == []
    assert capture.frames(here) == []
    assert capture.frames(there)


def test_at_ttl_1_neighbours_meet_and_the_capture_sees_it(network):
    here, there = lan = network.lan(2)
    capture = lan.capture()
    one, other = here.join("one", ttl=1), there.join("other", ttl=1)
    assert one.ask("met()") == [["other", "10.77.0.2", False]]
    assert other.ask("met()") == [["one", "10.77.0.1", False]]
    assert one.ask("answers()") == [["other", "tcp"]]
    assert capture.frames(here)
    assert capture.frames(there)


def test_what_an_open_mesh_seals_for_its_own_host_stays_there(network):
    here, _ = lan = network.lan(2)
    capture = lan.capture()
    one, other = (here.join(name, ttl=1, **BRISK) for name in ("one", "other"))
    assert one.ask("met()") == [["other", "10.77.0.1", True]]
    assert other.ask("met()") == [["one", "10.77.0.1", True]]
    one.ask(FIVE_BEACONS)
    heads = [bytes.fromhex(frame.head) for frame in capture.frames(here)]
    assert any(b"mc\x01" in head for head in heads)
    assert not any(b"ms\x01" in head for head in heads)


def test_at_ttl_0_a_neighbour_at_ttl_1_is_not_heard(network):
    here, there = network.lan(2)
    inside, outside = here.join("inside", **BRISK), there.join("outside", ttl=1, **BRISK)
    outside.ask(FIVE_BEACONS)
    inside.ask(FIVE_BEACONS)
    assert outside.ask("names()") == inside.ask("names()") == []


@pytest.mark.parametrize("ttl", [0, 1])
def test_what_a_neighbour_injects_is_heard_only_beyond_ttl_0(network, ttl):
    here, there = network.lan(2, ipv6=False)
    member = here.join("member", ttl=ttl, **BRISK)
    done = there.python("-c", SHOUTER, str(own_port(member)))
    assert done.returncode == 0, done.stderr
    dropped = member.ask(FIVE_BEACONS)
    assert member.ask("names()") == []
    strangers = sum(n for reason, n in dropped.items() if "own copies" not in reason)
    assert strangers == (0 if ttl == 0 else 60), dropped


def test_a_host_without_a_network_joins_and_is_told_so(network):
    done = network.host().python("-c", "import meshcluster; meshcluster.join(ttl=1).leave()")
    is_open, warning = done.stderr.splitlines()
    assert "ttl=1 without secret=" in is_open
    assert "no interface but loopback can be used" in warning
