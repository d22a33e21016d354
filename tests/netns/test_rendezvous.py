"""Members of one user on one host meet without any network, in the runtime directory."""

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
]
needs_nft = pytest.mark.skipif(shutil.which("nft") is None, reason="needs nftables (command nft)")

MEMBER = """
import json, queue, sys, time
import meshcluster
name, (mesh, port) = sys.argv[1], (sys.argv[2:] or ["default", "27677"])
heard, lost = queue.Queue(), queue.Queue()
cluster = meshcluster.Cluster()
cluster.hook("event")(lambda event: heard.put([event.data, event.protocol]))
cluster.hook("query")(lambda question: [name, question.protocol])
cluster.hook("service.lost")(lambda service: lost.put([service.tags[0], time.time()]))
with cluster.join([name], cluster=mesh, port=int(port)):
    print(json.dumps("joined"), flush=True)
    for line in sys.stdin:
        reply = None
        match line.split():
            case ["known"]:
                reply = [[s.tags[0], s.address, s.local] for s in cluster.services]
            case ["wait", count]:
                found = cluster.wait_for_services(int(count))
                reply = sorted([s.tags[0], s.address, s.local] for s in found)
            case ["tell"]:
                cluster.broadcast("hello from " + name)
            case ["heard"]:
                reply = heard.get(timeout=10)
            case ["ask"]:
                reply = sorted(cluster.query("who").wait(10).values())
            case ["retag", tag]:
                cluster.tags.append(tag)
            case ["find", tag]:
                reply = [s.tags[0] for s in cluster.wait_for_services(resolve=tag)]
            case ["lost"]:
                reply = lost.get(timeout=10)
            case ["leave"]:
                reply = time.time()
                cluster.leave()
        print(json.dumps(reply), flush=True)
"""

DROPPED = """
table inet quiet {{
  chain {hook} {{
    type filter hook {hook} priority 0; policy accept;
    ip daddr 224.0.0.0/4 drop
  }}
}}
"""


@pytest.fixture(
    params=[
        pytest.param("input", marks=needs_nft, id="multicast is dropped"),
        pytest.param("output", marks=needs_nft, id="multicast is forbidden"),
        pytest.param("down", id="loopback is down"),
        pytest.param("gone down", id="loopback has gone down"),
    ]
)
def host(request, namespace):
    """A host where multicast does not work, in this way."""
    if request.param == "down":
        return namespace("down")
    if request.param == "gone down":
        return namespace("up", "down")
    name = namespace()
    subprocess.run(
        ["ip", "netns", "exec", name, "nft", "-f", "-"],
        input=DROPPED.format(hook=request.param), text=True, check=True,
    )  # fmt: skip
    return name


@pytest.fixture
def quiet(namespace):
    """A host without any IP."""
    return namespace("down")


def files(runtime_dir, host):
    """What lies in the runtime directory of a host, below its directories."""
    return sorted((runtime_dir / host).glob("*/*"))


def test_two_members_meet_and_talk(host, start):
    one, other = start(host, MEMBER, "one"), start(host, MEMBER, "other")
    assert one.ask("wait 1") == [["other", "127.0.0.1", True]]
    assert other.ask("wait 1") == [["one", "127.0.0.1", True]]
    one.ask("tell")
    assert other.ask("heard") == ["hello from one", "unix"]
    assert other.ask("ask") == [["one", "unix"]]


def test_a_killed_member_is_noticed_and_swept_away(host, start, runtime_dir):
    one, other = start(host, MEMBER, "one"), start(host, MEMBER, "other")
    one.ask("wait 1")
    other.ask("wait 1")
    killed_at = time.time()
    other.kill()
    name, lost_at = one.ask("lost")
    assert name == "other"
    assert lost_at - killed_at < 3
    assert one.ask("known") == []


def test_a_member_that_leaves_is_missed_at_once(host, start):
    one, other = start(host, MEMBER, "one"), start(host, MEMBER, "other")
    one.ask("wait 1")
    other.ask("wait 1")  # no link between them: only the goodbye can tell
    left_at = other.ask("leave")
    name, lost_at = one.ask("lost")
    assert name == "other"
    assert lost_at - left_at < 0.5


def test_a_change_of_tags_is_heard(host, start):
    one, other = start(host, MEMBER, "one"), start(host, MEMBER, "other")
    one.ask("wait 1")
    other.ask("wait 1")
    other.ask("retag new")
    assert one.ask("find new") == ["other"]


def test_members_with_more_to_say_than_a_datagram_holds_meet(host, start):
    wordy = start(host, MEMBER, "wordy")
    for number in range(30):
        wordy.ask(f"retag {number:050}")
    one = start(host, MEMBER, "one")
    assert one.ask("wait 1") == [["wordy", "127.0.0.1", True]]
    assert wordy.ask("wait 1") == [["one", "127.0.0.1", True]]
    left_at = one.ask("leave")
    assert wordy.ask("lost")[1] - left_at < 0.5


def test_twenty_members_all_meet(quiet, start):
    members = [start(quiet, MEMBER, f"m{number:02}") for number in range(20)]
    for number, member in enumerate(members):
        found = [name for name, _, _ in member.ask("wait 19")]
        assert found == [f"m{other:02}" for other in range(20) if other != number]


def test_who_comes_next_removes_what_the_killed_left(quiet, start, runtime_dir):
    dead = start(quiet, MEMBER, "dead")
    left = files(runtime_dir, quiet)
    assert len(left) == 4  # a lock and a socket, for links and for meeting
    dead.kill()
    assert files(runtime_dir, quiet) == left
    member = start(quiet, MEMBER, "next")
    assert len(files(runtime_dir, quiet)) == 4
    assert not {*files(runtime_dir, quiet)} & {*left}
    member.ask("leave")
    assert files(runtime_dir, quiet) == []


def test_who_meets_a_killed_member_removes_it(quiet, start, runtime_dir):
    one, other = start(quiet, MEMBER, "one"), start(quiet, MEMBER, "other")
    one.ask("wait 1")
    other.kill()
    one.ask("lost")
    meeting = [path for path in files(runtime_dir, quiet) if path.parent.name.startswith("meet-")]
    assert len(meeting) == 2


@pytest.mark.parametrize("apart", [("another", "27677"), ("default", "27678")])
def test_meshes_kept_apart_by_name_or_port_do_not_meet(quiet, start, apart):
    one, stranger = start(quiet, MEMBER, "one"), start(quiet, MEMBER, "stranger", *apart)
    other, friend = start(quiet, MEMBER, "other"), start(quiet, MEMBER, "friend", *apart)
    assert one.ask("wait 1") == [["other", "127.0.0.1", True]]
    assert stranger.ask("wait 1") == [["friend", "127.0.0.1", True]]
    assert other.ask("wait 1") == [["one", "127.0.0.1", True]]
    assert friend.ask("wait 1") == [["stranger", "127.0.0.1", True]]
    known = [len(member.ask("known")) for member in (one, other, stranger, friend)]
    assert known == [1, 1, 1, 1]


@pytest.mark.parametrize("loopback", [["down"], ["up", "down"]], ids=["never up", "down again"])
def test_joining_warns_once_and_says_what_would_help(namespace, loopback):
    code = "import meshcluster; meshcluster.join().leave()"
    command = ["ip", "netns", "exec", namespace(*loopback), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    (warning,) = done.stderr.splitlines()
    assert "the loopback interface is down ('ip link set lo up' brings it up)" in warning
    assert "Members of this user on this host still meet" in warning
