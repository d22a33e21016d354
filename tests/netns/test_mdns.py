"""Members that no beacon reaches find each other by mDNS, and avahi understands them."""

import json
import os
import shutil
import subprocess
import time

import pytest

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
AVAHI = ("avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon")
pytestmark = [
    pytest.mark.netns,
    pytest.mark.process,
    pytest.mark.skipif(not IS_ROOT, reason="needs root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 (the command ip)"),
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs nftables (the command nft)"),
]

GROUP, PORT = "239.255.77.67", 27677  # namespaces of our own: the defaults disturb nobody

MEMBER = """
import asyncio, json, sys, time
import meshcluster

async def main():
    cluster = meshcluster.AsyncCluster()
    mdns = {"yes": True, "no": False, "default": None}.get(sys.argv[3])
    if sys.argv[3] == "own":
        from zeroconf.asyncio import AsyncZeroconf
        mdns = AsyncZeroconf(interfaces=["10.77.0.1"])
    cluster.hook("query")(lambda question: "answer of " + sys.argv[1])
    began = time.monotonic()
    await cluster.join(sys.argv[1:2], ttl=int(sys.argv[2]), mdns=mdns, heartbeat_seconds=0.2)
    print(json.dumps("joined"), flush=True)
    loop = asyncio.get_running_loop()
    async for line in lines(loop):
        word = line.strip()
        if word == "wait":
            found = await cluster.wait_for_services(timeout=15)
            took = time.monotonic() - began
            answers = await cluster.query("?", timeout=10)
            reply = [[[s.tags[0], s.address, s.local, answers[s]] for s in found], took]
        elif word == "alone":
            while cluster.services:
                await asyncio.sleep(0.02)
            reply = "alone"
        elif word == "leave":
            await cluster.leave()
            reply = [len(asyncio.all_tasks()), "zeroconf" in sys.modules]
        elif word == "own":
            reply = [mdns.zeroconf.done, len(mdns.zeroconf.registry.async_get_service_infos())]
            await mdns.async_close()
        elif word == "known":
            reply = [[s.tags[0] for s in cluster.services], cluster.dropped]
        elif word == "identity":
            node = cluster.joined.node
            reply = [node.identity.id.hex(), node.identity.boot, node.details.port]
        elif word == "addresses":
            reply = [s.address for s in cluster.services]
        print(json.dumps(reply), flush=True)
    await cluster.leave()

async def lines(loop):
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()
    transport.close()

asyncio.run(main())
"""

SNIFFER = """
import json, socket, sys, threading
packets = 0
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.bind(("eth0", 0))
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


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def neighbours(namespace):
    """Two namespaces that are joined by a cable."""
    names = [namespace(), namespace()]
    ends = [f"mcm{os.getpid() % 10**6}v{number}" for number in range(2)]
    ip("link", "add", ends[0], "netns", names[0], "type", "veth", "peer", "name", ends[1],
       "netns", names[1])  # fmt: skip
    for number, (name, end) in enumerate(zip(names, ends, strict=True), 1):
        ip("-n", name, "link", "set", end, "name", "eth0")
        ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")
    return names


def change_address(namespace, old, new):
    """As when a host gets another lease."""
    ip("-n", namespace, "addr", "del", f"{old}/24", "dev", "eth0")
    ip("-n", namespace, "addr", "add", f"{new}/24", "dev", "eth0")
    ip("-n", namespace, "route", "replace", "224.0.0.0/4", "dev", "eth0")


def drop(namespace, port):
    """Multicast to this port reaches nobody in the namespace; counted."""
    rules = f"""
    table inet mcmdns {{
      chain input {{
        type filter hook input priority 0; policy accept;
        udp dport {port} meta pkttype {{ multicast, broadcast }} counter drop
      }}
    }}"""
    command = ["ip", "netns", "exec", namespace, "nft", "-f", "-"]
    subprocess.run(command, input=rules, text=True, check=True)


def dropped(namespace):
    """How many packets the rule has met: a rule that met none proves nothing."""
    command = ["ip", "netns", "exec", namespace, "nft", "-j", "list", "table", "inet", "mcmdns"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    (rule,) = [each["rule"] for each in listed["nftables"] if "rule" in each]
    return sum(part["counter"]["packets"] for part in rule["expr"] if "counter" in part)


def found(reply):
    members, took = reply
    assert took < 5
    return members


def test_where_beacons_are_blocked_mdns_alone_suffices(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    one, other = (
        start(here, MEMBER, "one", "1", "default"),
        start(there, MEMBER, "other", "1", "yes"),
    )
    assert found(one.ask("wait")) == [["other", "10.77.0.2", False, "answer of other"]]
    assert found(other.ask("wait")) == [["one", "10.77.0.1", False, "answer of one"]]
    assert all(dropped(each) for each in neighbours)
    assert other.ask("leave")[0] == 1  # the asking one
    assert one.ask("alone") == "alone"


def test_members_with_a_secret_meet_by_mdns_alone_and_no_others(neighbours, start, monkeypatch):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    monkeypatch.setenv("MESHCLUSTER_SECRET", "another secret than theirs")
    stranger = start(there, MEMBER, "stranger", "1", "yes")
    monkeypatch.setenv("MESHCLUSTER_SECRET", "a secret of these two")
    one, other = start(here, MEMBER, "one", "1", "yes"), start(there, MEMBER, "other", "1", "yes")
    assert found(one.ask("wait")) == [["other", "10.77.0.2", False, "answer of other"]]
    assert found(other.ask("wait")) == [["one", "10.77.0.1", False, "answer of one"]]
    assert all(dropped(each) for each in neighbours)
    names, drops = one.ask("known")
    assert names == ["other"]
    assert drops["hints: of another cluster, or another secret"] > 0
    assert stranger.ask("known")[0] == []
    other.ask("leave")
    assert one.ask("alone") == "alone"


def test_by_ipv6_alone_as_well(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        ip("-n", each, "addr", "flush", "dev", "eth0", "scope", "global")
        drop(each, PORT)
    wait_for_link_local(*neighbours)
    one, other = start(here, MEMBER, "one", "1", "yes"), start(there, MEMBER, "other", "1", "yes")
    ((tag, address, local, answer),) = found(one.ask("wait"))
    assert (tag, local, answer) == ("other", False, "answer of other")
    assert address.startswith("fe80::")
    assert address.endswith("%eth0")
    assert [each[0] for each in found(other.ask("wait"))] == ["one"]
    assert all(dropped(each) for each in neighbours)


def wait_for_link_local(*namespaces):
    """Until nobody else was found to have the address, which takes the kernel a second or two."""
    for each in namespaces:
        command = ["ip", "-n", each, "-6", "addr", "show", "dev", "eth0", "scope", "link"]
        deadline = time.monotonic() + 10
        while True:
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            if "fe80" in shown and "tentative" not in shown:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_own_zeroconf_is_used_by_a_member_and_stays_open(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    one = start(here, MEMBER, "one", "1", "own")
    other = start(there, MEMBER, "other", "1", "yes")
    assert found(other.ask("wait")) == [["one", "10.77.0.1", False, "answer of one"]]
    one.ask("leave")
    assert one.ask("own") == [False, 0]
    assert other.ask("alone") == "alone"


def test_where_mdns_is_blocked_beacons_alone_suffice(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        drop(each, 5353)
    one, other = start(here, MEMBER, "one", "1", "yes"), start(there, MEMBER, "other", "1", "yes")
    assert found(one.ask("wait")) == [["other", "10.77.0.2", False, "answer of other"]]
    assert found(other.ask("wait")) == [["one", "10.77.0.1", False, "answer of one"]]


def test_who_is_killed_is_lost_though_its_record_stays(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    one, other = start(here, MEMBER, "one", "1", "yes"), start(there, MEMBER, "other", "1", "yes")
    one.ask("wait")
    other.kill()
    assert one.ask("alone") == "alone"
    again = start(there, MEMBER, "again", "1", "yes")
    assert [each[0] for each in found(again.ask("wait"))] == ["one"]
    assert [each[0] for each in one.ask("wait")[0]] == ["again"]


def test_an_address_that_changes_is_followed(neighbours, start):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    one = start(here, MEMBER, "one", "1", "yes")
    other = start(there, MEMBER, "other", "1", "yes")
    one.ask("wait")
    change_address(there, "10.77.0.2", "10.77.0.9")
    deadline = time.monotonic() + 20
    while one.ask("addresses") != ["10.77.0.9"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert other.ask("known")[0] == ["one"]


def test_at_ttl_0_mdns_keeps_to_the_host(neighbours, start):
    here, there = neighbours
    sniffer = start(there, SNIFFER)
    for each in neighbours:
        drop(each, PORT)
    inside = start(here, MEMBER, "inside", "0", "yes")
    companion = start(here, MEMBER, "companion", "0", "yes")
    assert found(inside.ask("wait")) == [["companion", "127.0.0.1", True, "answer of companion"]]
    assert sniffer.ask() == 0
    outside = start(there, MEMBER, "outside", "1", "yes")
    assert companion.ask("wait")[0][0][0] == "inside"
    deadline = time.monotonic() + 10
    while sniffer.ask() < 5:  # the neighbour's own announcements
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert outside.ask("known")[0] == []
    assert [each.ask("known")[0] for each in (inside, companion)] == [["companion"], ["inside"]]


def test_at_ttl_0_mdns_is_not_used_unless_asked_for(namespace, start):
    member = start(namespace(), MEMBER, "one", "0", "default")
    other = start(namespace(), MEMBER, "two", "0", "no")
    assert [member.ask("leave"), other.ask("leave")] == [[1, False], [1, False]]


# --- avahi -----------------------------------------------------------------------------------

DAEMON = """
mount -t tmpfs tmpfs /run; mkdir -p /run/dbus /run/avahi-daemon; hostname avone
dbus-daemon --system --nofork --nopidfile 2>/dev/null &
for try in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep .05; done
printf "[server]\\nhost-name=avone\\nallow-interfaces=eth0\\n[rlimits]\\n" > /run/a.conf
avahi-daemon -f /run/a.conf --no-drop-root --no-chroot --no-rlimits >/dev/null 2>&1 &
for try in $(seq 100); do avahi-browse -at >/dev/null 2>&1 && break; sleep .05; done
echo '"joined"'
while read line; do eval "$line"; done
kill $(jobs -p)
"""

WATCH = (
    "avahi-browse -p _meshcluster._tcp | while read -r line; do case $line in "
    '+*) touch /run/came;; -*) echo "$EPOCHREALTIME" >> /run/gone;; esac; done &\n'
)

needs_avahi = pytest.mark.skipif(
    any(shutil.which(each) is None for each in AVAHI),
    reason="needs avahi-daemon, avahi-utils and dbus",
)


class Avahi:
    """A daemon of its own in a namespace, with a shell beside it."""

    def __init__(self, namespace):
        command = ["ip", "netns", "exec", namespace, "unshare", "-m", "-u", "-p", "-f",
                   "--kill-child", "--propagation", "private", "bash", "-c", DAEMON]  # fmt: skip
        self._popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._popen.stdout.readline().strip() == '"joined"'

    def run(self, command):
        """What a command prints, line by line."""
        self._popen.stdin.write(f"{command}; echo END\n")
        self._popen.stdin.flush()
        return list(iter(self._popen.stdout.readline, "END\n"))

    def begin(self, command):
        self._popen.stdin.write(f"{command} >/dev/null 2>&1 &\n")
        self._popen.stdin.flush()

    def seen(self):
        """The services that it has resolved by now."""
        return [
            line.strip() for line in self.run("avahi-browse -rtp _meshcluster._tcp")
            if line.startswith("=")
        ]  # fmt: skip

    def wait_until(self, good, seconds):
        deadline, began = time.monotonic() + seconds, time.monotonic()
        while not good(lines := self.seen()):
            assert time.monotonic() < deadline, lines
        return time.monotonic() - began, lines

    def watch(self):
        """From now on it is noted which services go, and when."""
        self._popen.stdin.write(WATCH)
        self._until("test -e /run/came && echo yes")

    def removed_at(self):
        """When the first service went."""
        return float(self._until("cat /run/gone 2>/dev/null")[0].replace(",", "."))

    def _until(self, command):
        """What a command prints, once it prints something."""
        deadline = time.monotonic() + 10
        while not (lines := self.run(command)):
            assert time.monotonic() < deadline, command
            time.sleep(0.02)
        return lines

    def end(self):
        self._popen.kill()
        self._popen.communicate()


@pytest.fixture
def avahi(stack):
    def avahi(namespace):
        made = Avahi(namespace)
        stack.callback(made.end)
        return made

    return avahi


@needs_avahi
def test_avahi_sees_a_member_with_its_txt_its_new_address_and_its_goodbye(neighbours, start, avahi):
    here, there = neighbours
    daemon = avahi(there)
    member = start(here, MEMBER, "one", "1", "yes")
    _, lines = daemon.wait_until(lambda lines: any("10.77.0.1" in line for line in lines), 10)
    fields = next(line for line in lines if "10.77.0.1" in line).split(";")
    assert fields[4] == "_meshcluster._tcp"
    assert fields[7] == "10.77.0.1"
    assert '"cluster=default"' in fields[9]
    assert '"ttl=1"' in fields[9]
    change_address(here, "10.77.0.1", "10.77.0.9")
    shown, _ = daemon.wait_until(lambda lines: any("10.77.0.9" in line for line in lines), 15)
    assert shown < 5
    daemon.watch()
    left_at = time.time()
    member.ask("leave")
    gone = daemon.removed_at() - left_at
    print(f"address {shown:.2f} s, goodbye {gone:.3f} s")
    assert gone < 1.25  # RFC 6762, 10.1: one second after the goodbye has come


@needs_avahi
def test_what_avahi_publishes_is_seen_and_judged(neighbours, start, avahi):
    here, there = neighbours
    daemon = avahi(there)
    daemon.begin("avahi-publish -s stranger _meshcluster._tcp 5999 v=1 id=nonsense")
    member = start(here, MEMBER, "one", "1", "yes")
    deadline = time.monotonic() + 10
    while not member.ask("known")[1].get("mdns: records malformed"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@needs_avahi
def test_a_member_is_met_by_the_service_that_avahi_publishes_of_it(neighbours, start, avahi):
    here, there = neighbours
    for each in neighbours:
        drop(each, PORT)
    one, other = start(here, MEMBER, "one", "1", "yes"), start(there, MEMBER, "other", "1", "no")
    member_id, boot, port = other.ask("identity")
    avahi(there).begin(
        "avahi-publish -s other _meshcluster._tcp 5999 v=1 cluster=default version=1 digest=00 "
        f"group={GROUP}:{PORT} id={member_id} boot={boot} udp={port} ttl=1"
    )
    assert one.ask("wait")[0] == [["other", "10.77.0.2", False, "answer of other"]]
    assert other.ask("wait")[0] == [["one", "10.77.0.1", False, "answer of one"]]
