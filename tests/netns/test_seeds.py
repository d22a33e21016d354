"""Hosts on a network that carries no multicast: with one seed all meet."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

IS_ROOT = hasattr(os, "getuid") and os.getuid() == 0
pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(not IS_ROOT, reason="needs root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs iproute2 (the command ip)"),
    pytest.mark.skipif(shutil.which("nft") is None, reason="needs nftables (command nft)"),
]

DROPPED = """
table inet quiet {
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr 224.0.0.0/4 drop
    ip6 daddr ff00::/8 udp dport != 0 drop
  }
}
"""

MEMBER = """
import json, queue, sys, time
import meshcluster
name, seeds = sys.argv[1], sys.argv[2:]
lost, heard = queue.Queue(), queue.Queue()
cluster = meshcluster.Cluster()
cluster.hook("query")(lambda question: [name, question.protocol])
cluster.hook("event")(lambda event: heard.put([event.data, event.protocol]))
cluster.hook("service.lost")(lambda service: lost.put([service.name, time.time()]))
with cluster.join(name=name, ttl=1, seeds=seeds):
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        reply = None
        match line.split():
            case ["wait", count]:
                reply = sorted(s.name for s in cluster.wait_for_services(int(count)))
            case ["known"]:
                reply = sorted(s.name for s in cluster.services)
            case ["ask", *protocols]:
                answers = cluster.query("who", protocols=protocols or None).wait(10)
                reply = sorted(answers.values())
            case ["lost"]:
                reply = lost.get(timeout=10)
            case ["retag", tag]:
                cluster.tags.append(tag)
            case ["find", tag]:
                reply = [s.name for s in cluster.wait_for_services(resolve=tag)]
            case ["leave"]:
                reply = time.time()
                cluster.leave()
        print(json.dumps(reply), flush=True)
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts(namespace, stack):
    """Makes hosts on one bridge, 10.78.0.1 and up, whose firewalls drop multicast."""

    def hosts(count):
        bridge = namespace()
        ip("-n", bridge, "link", "add", "br0", "type", "bridge")
        ip("-n", bridge, "link", "set", "br0", "up")
        names = []
        for number in range(1, count + 1):
            name = namespace()
            names.append(name)
            end = f"udp{os.getpid() % 10**6}e{number}"
            ip("link", "add", end, "netns", bridge, "type", "veth", "peer", "name", "eth0",
               "netns", name)  # fmt: skip
            ip("-n", bridge, "link", "set", end, "master", "br0", "up")
            ip("-n", name, "addr", "add", f"10.78.0.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")
            subprocess.run(
                ["ip", "netns", "exec", name, "nft", "-f", "-"],
                input=DROPPED, text=True, check=True,
            )  # fmt: skip
        return names

    return hosts


def dropped(host):
    """How many multicast packets a host's firewall has to tell of: its rule is there."""
    listed = subprocess.run(
        ["ip", "netns", "exec", host, "nft", "list", "ruleset"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return "224.0.0.0/4 drop" in listed.stdout


def test_without_a_seed_they_do_not_meet(hosts, start):
    one, other = hosts(2)
    first, second = start(one, MEMBER, "one"), start(other, MEMBER, "other")
    assert dropped(one)
    time.sleep(2)  # nothing can be waited for: nothing is to happen
    assert first.ask("known") == second.ask("known") == []


def test_with_one_seed_all_meet_talk_change_and_leave(hosts, start):
    names = hosts(5)
    members = [start(names[0], MEMBER, "m1")]
    began = time.monotonic()
    members += [start(name, MEMBER, f"m{n}", "10.78.0.1") for n, name in enumerate(names[1:], 2)]
    for number, member in enumerate(members, 1):
        others = [f"m{n}" for n in range(1, 6) if n != number]
        assert member.ask("wait 4") == others
    assert time.monotonic() - began < 8
    assert members[3].ask("ask") == [[f"m{n}", "tcp"] for n in (1, 2, 3, 5)]
    members[1].ask("retag new")
    assert members[4].ask("find new") == ["m2"]
    left_at = members[2].ask("leave")
    name, lost_at = members[3].ask("lost")
    assert name == "m3"
    assert lost_at - left_at < 3


def test_a_killed_seed_is_noticed_and_met_again_when_it_is_back(hosts, start):
    names = hosts(3)
    seed = start(names[0], MEMBER, "seed")
    others = [start(name, MEMBER, f"m{n}", "10.78.0.1:27677") for n, name in enumerate(names[1:])]
    for other in others:
        other.ask("wait 2")
    killed_at = time.time()
    seed.kill()
    for other in others:
        name, lost_at = other.ask("lost")
        assert name == "seed"
        assert lost_at - killed_at < 5
    again = start(names[0], MEMBER, "seed")
    assert again.ask("wait 2") == ["m0", "m1"]


def test_seeds_are_looked_up_by_name_and_each_time_anew(hosts, start, tmp_path):
    """`ip netns exec` gives a namespace its own /etc/hosts where there is one."""
    one, other = hosts(2)
    folder = f"/etc/netns/{other}"
    os.makedirs(folder)
    try:
        places = os.path.join(folder, "hosts")
        with open(places, "w") as file:
            file.write("127.0.0.1 localhost\n10.78.0.99 mesh.test\n")
        early = start(other, MEMBER, "early", "mesh.test")
        start_of_one = start(one, MEMBER, "one")
        with open(places, "w") as file:  # in place: the mount shows the same file
            file.write("127.0.0.1 localhost\n10.78.0.1 mesh.test\n")
        assert early.ask("wait 1") == ["one"]
        assert start_of_one.ask("wait 1") == ["early"]
    finally:
        shutil.rmtree(folder)


def test_the_command_finds_all_by_one_seed(hosts, start):
    names = hosts(4)
    members = [start(names[0], MEMBER, "m1")]
    members += [start(name, MEMBER, f"m{n}", "10.78.0.1") for n, name in enumerate(names[1:3], 2)]
    for member in members:
        member.ask("wait 2")
    done = subprocess.run(
        ["ip", "netns", "exec", names[3], sys.executable, "-m", "meshcluster", "members",
         "--ttl", "1", "--seed", "10.78.0.1", "--json"],
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(each["name"] for each in json.loads(done.stdout)) == ["m1", "m2", "m3"]
