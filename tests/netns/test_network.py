"""The networks themselves: each fault does what it says, and nothing is left of them."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import ground as ground_module
from .ground import LIMITS, PREFIX, neighbour_limits, sweep

POST = """
import json, socket, struct, sys, threading, time
came = []
box = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
box.bind(("", 5000))
group = struct.pack("4s4s", socket.inet_aton("239.1.2.3"), socket.inet_aton(sys.argv[1]))
box.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
box.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
def take():
    while True:
        came.append(int(box.recvfrom(2000)[0]))
threading.Thread(target=take, daemon=True).start()
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    match line.split():
        case [address, count]:
            for number in range(int(count)):
                box.sendto(str(number).encode(), (address, 5000))
        case [count]:
            end = time.monotonic() + 0.5
            while len(came) < int(count) and time.monotonic() < end:
                time.sleep(0.005)
    told = came[:]
    if len(line.split()) == 1:
        del came[: len(told)]  # before it is told: more may come at once
    print(json.dumps(told), flush=True)
"""


@pytest.fixture
def pair(network):
    """Two hosts on a LAN, and a post office on each: (lan, here, there)."""
    lan = network.lan(2)
    return (lan, *(host.script(POST, host.address) for host in lan))


def arrived(source, target, address, count=20):
    """How many of so many datagrams get from one to the other."""
    source.ask(f"{address} {count}")
    return len(target.ask(str(count)))


def test_a_cut_is_one_way_and_a_partition_is_not(pair):
    lan, here, there = pair
    one, two = lan.hosts
    arrived(here, there, two.address)  # addresses are resolved before anything is cut
    lan.cut([one], [two])
    assert arrived(here, there, two.address) == 0
    assert arrived(there, here, one.address) == 20
    lan.partition([one], [two])
    assert arrived(there, here, one.address) == 0
    lan.heal()
    assert arrived(here, there, two.address) == arrived(there, here, one.address) == 20


def test_multicast_is_filtered_and_unicast_is_not(pair):
    lan, here, there = pair
    assert arrived(here, there, "239.1.2.3") == 20
    lan.drop_multicast()
    assert arrived(here, there, "239.1.2.3") == 0
    assert arrived(here, there, lan.hosts[1].address) == 20
    lan.heal()
    lan.deafen(lan.hosts[1])
    assert arrived(here, there, "239.1.2.3") == 0
    assert arrived(there, here, "239.1.2.3") == 20


def test_isolated_clients_do_not_see_each_other(pair):
    lan, here, there = pair
    lan.isolate()
    assert arrived(here, there, "239.1.2.3") == 0


def test_a_part_is_lost(pair):
    lan, here, there = pair
    lan.hosts[1].lose(30)
    assert 100 < arrived(here, there, lan.hosts[1].address, 200) < 180


def test_a_slow_link_is_slow(pair):
    lan, here, there = pair
    lan.hosts[0].slow("256kbit")
    assert arrived(here, there, lan.hosts[1].address, 1000) < 1000


def test_a_host_gets_another_address_and_a_second_network(network):
    lan, other = network.lan(2), network.lan(1)
    one, two = lan.hosts
    one.readdress(lan, 99)
    other.connect(one)
    assert one.address == "10.77.0.99"
    posts = [host.script(POST, host.address) for host in (one, two, *other.hosts[:1])]
    assert arrived(posts[1], posts[0], "10.77.0.99") > 0
    assert arrived(posts[2], posts[0], other.address_of(one)) > 0


def test_a_tap_network_duplicates_delays_and_reorders(network):
    lan = network.tap_lan(2)
    here, there = (host.script(POST, host.address) for host in lan.hosts)
    assert arrived(here, there, lan.hosts[1].address) == 20
    lan.delay_seconds, lan.duplicates = (0.0, 0.03), 0.5
    here.ask(f"{lan.hosts[1].address} 100")
    came = there.ask("200")
    assert sorted(set(came)) == list(range(100))
    assert len(came) > 110
    assert came != sorted(came)


def test_what_a_killed_run_left_is_removed_by_the_next(ground):
    if not ground.is_root:
        pytest.skip("goes with its user namespace by itself")
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = f"{PREFIX}{ended.pid}n1"
    mine = ground.name()
    for name in (left, mine):
        ground.run("ip", "netns", "add", name)
    with subprocess.Popen(
        ["ip", "netns", "exec", left, sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as running:  # fmt: skip
        running.stdout.readline()
        sweep()
        assert running.wait(10) != 0
    listed = ground.run("ip", "netns")
    ground.run("ip", "netns", "del", mine)
    assert left not in listed
    assert mine in listed


def test_the_neighbour_tables_have_room(ground):
    if not ground.is_root or not os.access(LIMITS[0][0], os.W_OK):
        pytest.skip("needs root: smaller meshes work all the same")
    assert all(int(path.read_text()) >= wanted for path, wanted in LIMITS)


NOBODY = {"user": 65534, "group": 65534, "extra_groups": []}

BY_NOBODY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.netns.ground import Ground
from tests.netns.host import Host
from tests.netns.lan import Lan
ground = Ground()
hosts = [Host(ground, Path("/nowhere")) for _ in range(3)]
lan = Lan(hosts[0], 0)
for host in hosts[1:]:
    lan.connect(host)
lan.partition(hosts[1:2], hosts[2:])
print(ground.is_root, hosts[2].run("ip", "-br", "addr", "show", "eth0"))
for host in hosts:
    host.close()
ground.close()
"""


def nobodys_python():
    """A Python that an ordinary user may run, and which may read this repository."""
    check = "import sys; open(sys.argv[1]); sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            command = [python, "-c", check, __file__]
            if subprocess.run(command, **NOBODY, stderr=subprocess.DEVNULL).returncode == 0:
                return python
    pytest.skip("needs a Python and a repository that an ordinary user may read")
    return ""


def test_an_ordinary_user_has_networks_too(ground):
    if not ground.is_root:
        pytest.skip("all tests are run by an ordinary user")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [nobodys_python(), "-P", "-c", BY_NOBODY, str(root)], **NOBODY, cwd="/",
        env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    if "needs root or user namespaces" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False eth0")
    assert "10.77.0.2/16" in done.stdout


@pytest.fixture
def limits(monkeypatch, tmp_path):
    """Two limits and a memory of our own; tells what each is now."""
    paths = [tmp_path / "low", tmp_path / "high"]
    for path, before in zip(paths, ("128", "100000"), strict=True):
        path.write_text(before)
    monkeypatch.setattr(ground_module, "LIMITS", [(path, 8192) for path in paths])
    monkeypatch.setattr(ground_module, "LIMITS_FILE", tmp_path / "memory")
    return lambda: [path.read_text() for path in paths]


def test_limits_are_raised_and_restored_by_the_last_that_needs_them(limits):
    with neighbour_limits():
        with neighbour_limits():
            assert limits() == ["8192", "100000"]
        assert limits() == ["8192", "100000"]
    assert limits() == ["128", "100000"]


def test_where_there_are_none_to_raise_nothing_is_remembered(limits):
    for path, _ in ground_module.LIMITS:
        path.unlink()
    with neighbour_limits():
        pass
    assert not ground_module.LIMITS_FILE.exists()


def test_limits_that_a_killed_run_left_are_restored_by_the_next(limits):
    program = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.netns import ground
ground.LIMITS = [(Path(path), 8192) for path in sys.argv[3:]]
ground.LIMITS_FILE = Path(sys.argv[2])
with ground.neighbour_limits():
    print(flush=True)
    input()
"""
    paths = [ground_module.LIMITS_FILE, *(path for path, _ in ground_module.LIMITS)]
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, *map(str, (root, *paths))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        running.stdout.readline()
        running.kill()
    assert limits() == ["8192", "100000"]
    with neighbour_limits():
        assert limits() == ["8192", "100000"]
    assert limits() == ["128", "100000"]


def test_a_network_leaves_nothing(network, ground):
    lan = network.lan(2)
    names = {lan.switch.name, *(host.name for host in lan)}
    process = lan.hosts[0].join("one")
    network.close()
    listed = {line.split()[0] for line in ground.run("ip", "netns").splitlines()}
    assert not names & listed
    assert not Path(f"/proc/{process.popen.pid}").exists()
