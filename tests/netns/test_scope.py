"""How far beacons reach, in network namespaces of the tests own: ttl=0 stays on its host."""

import os
import shutil
import subprocess
import sys

import pytest

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not IS_ROOT, reason="needs root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 (the command ip)"),
]

GROUP, PORT = "239.255.77.67", 27677  # namespaces of our own: the defaults disturb nobody

MEMBER = """
import json, sys, time
import meshcluster
with meshcluster.join(sys.argv[1:2], ttl=int(sys.argv[2]), heartbeat_seconds=0.2) as cluster:
    cluster.hook("query")(lambda question: "answer of " + sys.argv[1])
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        if line.strip() == "wait":
            found = cluster.wait_for_services()
            answers = cluster.query("?").wait(10)
            reply = [[s.tags[0], s.address, s.local, answers[s]] for s in found]
        elif line.strip() == "sent":
            target, began = cluster.dropped.get("datagrams: own copies", 0) + 5, time.monotonic()
            while cluster.dropped.get("datagrams: own copies", 0) < target:
                assert time.monotonic() < began + 20
                time.sleep(0.05)
            reply = [[s.tags[0] for s in cluster.services], cluster.dropped]
        print(json.dumps(reply), flush=True)
"""

SNIFFER = """
import json, socket, sys, threading
packets = 0
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind((sys.argv[1], 0))
def sniff():
    global packets
    while True:
        data = wire.recv(65535)
        packets += data[12:14] == b"\\x08\\0" and data[23:24] == b"\\x11"  # IPv4, UDP
threading.Thread(target=sniff, daemon=True).start()
print(json.dumps("joined"), flush=True)
for line in sys.stdin:
    print(json.dumps(packets), flush=True)
"""

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


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def neighbours(namespace):
    """Two namespaces that are joined by a cable."""
    names = [namespace(), namespace()]
    ends = [f"mct{os.getpid() % 10**6}v{number}" for number in range(2)]
    ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1],
       "netns", names[1])  # fmt: skip
    for number, (name, end) in enumerate(zip(names, ends, strict=True), 1):
        ip("-n", name, "link", "set", end, "name", "eth0")
        ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")
    return names


def own_port(process, namespace):
    """The UDP port of a member's own, as the kernel tells it."""
    path = f"/proc/{process.popen.pid}/net/udp"
    with open(path) as table:
        ports = {int(line.split()[1].partition(":")[2], 16) for line in table.readlines()[1:]}
    (port,) = ports - {PORT}  # of IPv4; that of IPv6 has the same number
    return port


def test_with_only_loopback_up_two_members_meet(namespace, start):
    host = namespace()
    one, other = start(host, MEMBER, "one", "0"), start(host, MEMBER, "other", "0")
    assert one.ask("wait") == [["other", "127.0.0.1", True, "answer of other"]]
    assert other.ask("wait") == [["one", "127.0.0.1", True, "answer of one"]]


def test_at_ttl_0_neighbours_are_invisible_and_nothing_leaves_the_host(neighbours, start):
    here, there = neighbours
    sniffer = start(there, SNIFFER, "eth0")
    members = [start(here, MEMBER, "here", "0"), start(there, MEMBER, "there", "0")]
    companion = start(here, MEMBER, "companion", "0")
    assert companion.ask("wait") == [["here", "127.0.0.1", True, "answer of here"]]
    assert members[0].ask("sent")[0] == ["companion"]
    assert members[1].ask("sent")[0] == []
    assert sniffer.ask() == 0


def test_at_ttl_1_neighbours_meet_and_the_sniffer_sees_it(neighbours, start):
    here, there = neighbours
    sniffer = start(there, SNIFFER, "eth0")
    one, other = start(here, MEMBER, "one", "1"), start(there, MEMBER, "other", "1")
    assert one.ask("wait") == [["other", "10.77.0.2", False, "answer of other"]]
    assert other.ask("wait") == [["one", "10.77.0.1", False, "answer of one"]]
    assert sniffer.ask() > 0


def test_at_ttl_0_a_neighbour_at_ttl_1_is_not_heard(neighbours, start):
    here, there = neighbours
    inside, outside = start(here, MEMBER, "inside", "0"), start(there, MEMBER, "outside", "1")
    assert outside.ask("sent")[0] == []
    assert inside.ask("sent")[0] == []


@pytest.mark.parametrize("ttl", [0, 1])
def test_what_a_neighbour_injects_is_heard_only_beyond_ttl_0(neighbours, start, ttl):
    here, there = neighbours
    member = start(here, MEMBER, "member", str(ttl))
    port = own_port(member, here)
    command = ["ip", "netns", "exec", there, sys.executable, "-c", SHOUTER, str(port)]
    subprocess.run(command, check=True, timeout=30)
    known, dropped = member.ask("sent")
    strangers = sum(n for reason, n in dropped.items() if "own copies" not in reason)
    assert known == []
    assert strangers == (0 if ttl == 0 else 40), dropped


def test_a_host_without_a_network_joins_and_is_told_so(namespace):
    code = "import meshcluster; meshcluster.join(ttl=1).leave()"
    command = ["ip", "netns", "exec", namespace(), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    (warning,) = done.stderr.splitlines()
    assert "no interface but loopback can be used" in warning
