"""Hosts with several networks, with IPv6 alone, with cables that come out: members meet on each."""

import os
import shutil
import time

import pytest

from .conftest import ip

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not IS_ROOT, reason="needs root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 (the command ip)"),
]

MEMBER = """
import json, queue, sys, time
import meshcluster
name, ttl, options = sys.argv[1], int(sys.argv[2]), json.loads((sys.argv[3:] or ["{}"])[0])
heard, lost = queue.Queue(), []
cluster = meshcluster.Cluster()
cluster.hook("query")(lambda question: [name, question.protocol])
cluster.hook("service.lost")(lambda service: lost.append(service.tags[0]))
cluster.hook("service.discovered")(lambda service: heard.put(service.tags[0]))
with cluster.join([name], ttl=ttl, heartbeat_seconds=0.5, **options):
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        reply = None
        match line.split():
            case ["wait", count]:
                found = cluster.wait_for_services(int(count))
                reply = sorted([s.tags[0], s.address] for s in found)
            case ["known"]:
                reply = sorted([s.tags[0], s.address] for s in cluster.services)
            case ["until", tag, address]:
                began = time.monotonic()
                while [tag, address] not in [[s.tags[0], s.address] for s in cluster.services]:
                    assert time.monotonic() < began + 15, cluster.services
                    time.sleep(0.02)
                reply = time.monotonic() - began
            case ["find", tag]:
                began = time.monotonic()
                cluster.wait_for_services(resolve=tag, timeout=20)
                reply = time.monotonic() - began
            case ["ask"]:
                reply = sorted(cluster.query("who").wait(10).values())
            case ["lost"]:
                reply = lost
            case ["dropped"]:
                reply = cluster.dropped
        print(json.dumps(reply), flush=True)
"""


@pytest.fixture
def cable(stack):
    """Joins two namespaces by a cable; its ends have these names and addresses."""
    numbers = iter(range(100))

    def cable(one, other, *, names=("eth0", "eth0"), addresses=()):
        number = next(numbers)
        ends = [f"mci{os.getpid() % 10**6}v{number}{side}" for side in "ab"]
        ip("link", "add", ends[0], "netns", one, "type", "veth", "peer", "name", ends[1],
           "netns", other)  # fmt: skip
        for host, end, name in zip((one, other), ends, names, strict=True):
            ip("-n", host, "link", "set", end, "name", name)
        for host, name, address in zip((one, other), names, addresses, strict=False):
            ip("-n", host, "addr", "add", address, "dev", name)
        for host, name in zip((one, other), names, strict=True):
            ip("-n", host, "link", "set", name, "up")

    return cable


@pytest.fixture
def pair(namespace, cable):
    """Two hosts, joined by a cable with an IPv4 network on it."""
    hosts = namespace(), namespace()
    cable(*hosts, addresses=("10.77.0.1/24", "10.77.0.2/24"))
    return hosts


def names(found):
    return [name for name, _ in found]


def test_a_host_on_two_networks_talks_to_peers_on_both(namespace, cable, start):
    middle, left, right = namespace(), namespace(), namespace()
    cable(middle, left, names=("eth0", "eth0"), addresses=("10.1.0.1/24", "10.1.0.2/24"))
    cable(middle, right, names=("eth1", "eth0"), addresses=("10.2.0.1/24", "10.2.0.2/24"))
    one, two, three = start(left, MEMBER, "left", "1"), start(right, MEMBER, "right", "1"), None
    three = start(middle, MEMBER, "middle", "1")
    assert names(three.ask("wait 2")) == ["left", "right"]
    one.ask("until middle 10.1.0.1")  # heard by IPv6 first, it is there for a moment
    two.ask("until middle 10.2.0.1")
    assert three.ask("ask") == [["left", "tcp"], ["right", "tcp"]]
    assert one.ask("ask") == two.ask("ask") == [["middle", "tcp"]]


def test_interfaces_says_which_networks_are_used(namespace, cable, start):
    middle, left, right = namespace(), namespace(), namespace()
    cable(middle, left, names=("eth0", "eth0"), addresses=("10.1.0.1/24", "10.1.0.2/24"))
    cable(middle, right, names=("eth1", "eth0"), addresses=("10.2.0.1/24", "10.2.0.2/24"))
    denied, used = start(right, MEMBER, "denied", "1"), start(left, MEMBER, "used", "1")
    member = start(middle, MEMBER, "middle", "1", '{"interfaces": ["!eth1"]}')
    assert names(member.ask("wait 1")) == ["used"]
    used.ask("until middle 10.1.0.1")
    assert denied.ask("known") == []
    assert names(member.ask("known")) == ["used"]


def test_neighbours_of_this_host_alone_are_known_beside_it_and_not_off_it(pair, start):
    here, there = pair
    inside = start(here, MEMBER, "inside", "0")
    neighbour = start(here, MEMBER, "neighbour", "1")
    outside = start(there, MEMBER, "outside", "1")
    neighbour.ask("until inside 127.0.0.1")
    neighbour.ask("until outside 10.77.0.2")
    inside.ask("until neighbour 127.0.0.1")
    outside.ask("until neighbour 10.77.0.1")
    assert names(neighbour.ask("ask")) == ["inside", "outside"]
    assert names(inside.ask("ask")) == ["neighbour"]
    assert names(outside.ask("known")) == ["neighbour"]


def test_two_on_one_host_that_hear_each_other_twice_keep_their_better_address(pair, start):
    here, _ = pair
    one, other = start(here, MEMBER, "one", "1"), start(here, MEMBER, "other", "1")
    one.ask("until other 10.77.0.1")
    other.ask("until one 10.77.0.1")
    assert names(one.ask("ask")) == ["other"]
    assert one.ask("lost") == []


def test_with_ipv6_alone_members_meet_and_talk(namespace, cable, start):
    here, there = namespace(), namespace()
    cable(here, there)
    one, other = start(here, MEMBER, "one", "1"), start(there, MEMBER, "other", "1")
    ((name, address),) = one.ask("wait 1")
    assert name == "other"
    assert address.startswith("fe80::")
    assert address.endswith("%eth0")
    assert one.ask("ask") == [["other", "tcp"]]
    assert other.ask("ask") == [["one", "tcp"]]


@pytest.mark.slow
def test_a_cable_that_was_out_carries_beacons_again_within_two_seconds(pair, start):
    here, there = pair
    one = start(here, MEMBER, "one", "1")
    ip("-n", here, "link", "set", "eth0", "down")
    other = start(there, MEMBER, "other", "1")
    assert one.ask("known") == []
    for _ in range(3):
        ip("-n", here, "link", "set", "eth0", "up")
        assert one.ask("find other") < 2
        assert other.ask("find one") < 2
        ip("-n", here, "link", "set", "eth0", "down")
        time.sleep(0.2)  # the fault itself
    ip("-n", here, "link", "set", "eth0", "up")
    assert names(one.ask("known")) == ["other"]


def test_a_network_that_comes_after_joining_is_used_at_once(namespace, cable, start):
    here, there = namespace(), namespace()
    one, other = start(here, MEMBER, "one", "1"), start(there, MEMBER, "other", "1")
    cable(here, there, addresses=("10.77.0.1/24", "10.77.0.2/24"))
    assert one.ask("find other") < 2
    assert other.ask("find one") < 2


def test_an_address_that_is_swapped_is_followed_and_nobody_is_lost(pair, start):
    here, there = pair
    one, other = start(here, MEMBER, "one", "1"), start(there, MEMBER, "other", "1")
    other.ask("until one 10.77.0.1")
    one.ask("wait 1")
    for old, new in (("10.77.0.1", "10.77.0.9"), ("10.77.0.9", "10.77.0.1")):
        ip("-n", here, "addr", "del", f"{old}/24", "dev", "eth0")
        ip("-n", here, "addr", "add", f"{new}/24", "dev", "eth0")
        assert other.ask(f"until one {new}") < 5
        assert other.ask("ask") == [["one", "tcp"]]
    assert other.ask("lost") == []


def test_a_second_address_makes_nobody_leave(pair, start):
    here, there = pair
    one, other = start(here, MEMBER, "one", "1"), start(there, MEMBER, "other", "1")
    assert other.ask("wait 1") == [["one", "10.77.0.1"]]
    ip("-n", here, "addr", "add", "10.88.0.1/24", "dev", "eth0")
    late = start(there, MEMBER, "late", "1")
    assert late.ask("wait 2") == [["one", "10.77.0.1"], ["other", "10.77.0.2"]]
    assert other.ask("lost") == one.ask("lost") == []


def test_who_is_in_no_network_of_ours_is_refused(pair, start):
    here, there = pair
    ip("-n", there, "addr", "del", "10.77.0.2/24", "dev", "eth0")
    ip("-n", there, "addr", "add", "192.168.9.9/24", "dev", "eth0")
    ip("netns", "exec", here, "sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
    one, stranger = start(here, MEMBER, "one", "1"), start(there, MEMBER, "stranger", "1")
    reason = "datagrams: from outside our networks"
    deadline = time.monotonic() + 10
    while one.ask("dropped").get(reason, 0) < 3:
        assert time.monotonic() < deadline
    assert one.ask("known") == stranger.ask("known") == []


@pytest.mark.slow
@pytest.mark.parametrize(("live", "dead"), [(5, 20), (25, 0)])
def test_with_25_interfaces_each_finds_the_other_soon_and_has_one_link_to_it(network, live, dead):
    here, there = network.host(), network.host()
    for n in range(live):
        here.ip(f"link add eth{n} type veth peer name eth{n} netns {there.name}")
        for last, host in enumerate((here, there), 1):
            host.ip(f"addr add 10.100.{n}.{last}/24 dev eth{n}", f"link set eth{n} up")
    for n in range(dead):
        here.ip(f"link add dead{n} type bridge", f"addr add 10.200.{n}.1/24 dev dead{n}",
                f"link set dead{n} up")  # fmt: skip
    one, other = members = here.join("one", ttl=1), there.join("other", ttl=1)
    joined_at = other.ask("joining_at")
    took = [member.ask("complete(1)") - joined_at for member in members]
    print(f"{max(took):.2f} s")
    assert max(took) < 3
    for member in members:
        member.begin("answers()")
    assert [member.reply() for member in members] == [[["other", "tcp"]], [["one", "tcp"]]]
    assert wait_until(lambda: [len(links(host)) for host in (here, there)], [1, 1])
    assert one.ask("discoveries") == {"other": 1}


def links(host):
    """The TCP connections of a host."""
    return host.run("ss", "-Htn", "state", "established").splitlines()


def wait_until(look, wanted, seconds=10):
    """What is seen in the end: what is wanted, if that comes in time."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted and time.monotonic() < end:
        time.sleep(0.05)
    return seen == wanted
