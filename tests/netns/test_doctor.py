"""``meshcluster doctor`` names what is blocked, on hosts where that is so."""

import os

import pytest

from .doctor import broken, examine
from .network import needs

PORT = 27677


def test_where_all_works_nothing_is_broken(network):
    here, there = network.lan(2)
    there.join("there", ttl=1)
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert broken(checks) == []
    assert checks["heard", "cluster 'default'"]["found"] == "1 member"
    assert checks["peer", "there unix"]["state"] == "skipped"
    assert "can be dialled" in checks["peer", "there tcp"]["found"]


def test_multicast_that_is_dropped_at_one_interface(network):
    (here,) = network.lan(1, ipv6=False)
    here.drop_multicast(interface="eth0")
    checks = examine(here, "--ttl", "1")
    assert broken(checks) == [("beacons", "eth0 10.77.0.1"), ("mdns", "eth0 10.77.0.1")]
    beacons = checks["beacons", "eth0 10.77.0.1"]
    assert "does not come back" in beacons["found"]
    assert f"allow incoming UDP port {PORT} to 239.255.77.67" in beacons["next"]


def test_multicast_that_may_not_be_sent(network):
    needs("nft")
    host = network.host()
    host.drop_multicast("output")
    beacons = examine(host)["beacons", "loopback 127.0.0.1"]
    assert "sending is forbidden" in beacons["found"]
    assert "allow outgoing" in beacons["next"]


def test_only_mdns_is_dropped(network):
    needs("nft")
    host = network.host()
    host.drop("input", "udp dport 5353")
    assert broken(examine(host)) == [("mdns", "loopback 127.0.0.1")]


def test_a_responder_that_does_not_share_its_port(network):
    host = network.host()
    host.script("""
import json, socket, sys
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("", 5353))
print(json.dumps("ready"), flush=True)
sys.stdin.read()
""")
    port = examine(host)["mdns", "port 5353"]
    assert port["state"] == "broken"
    assert "has it for itself" in port["found"]


def test_loopback_that_is_down(network):
    assert ("interface", "lo") in broken(examine(network.host("down")))


def test_a_protocol_that_is_blocked_on_this_host(network):
    needs("nft")
    host = network.host()
    host.drop("input", 'iifname "lo" meta l4proto tcp')
    checks = examine(host)
    assert broken(checks) == [("protocol", "tcp")]
    assert "firewall" in checks["protocol", "tcp"]["next"]
    assert checks["protocol", "unix"]["state"] == "good"


def test_no_network_at_ttl_1(network):
    checks = examine(network.host(), "--ttl", "1")
    assert broken(checks) == [("scope", "ttl=1")]


def test_an_interface_without_a_cable_is_skipped_and_why(network):
    (here,) = lan = network.lan(1)
    lan.unplug(here)
    cable = examine(here, "--ttl", "1")["interface", "eth0"]
    assert cable["state"] == "skipped"
    assert "no carrier" in cable["found"]


def test_an_interface_that_is_not_wanted_is_skipped_and_why(network):
    (here,) = network.lan(1)
    checks = examine(here, "--ttl", "1", "--interface", "!eth0")
    assert checks["interface", "eth0"]["state"] == "skipped"
    assert "!eth0" in checks["interface", "eth0"]["found"]


def test_other_meshes_and_versions_on_the_port(network):
    here, there = network.lan(2)
    there.join("other", ttl=1, cluster="other")
    there.script(f"""
import json, socket, sys, threading
shout = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stop = threading.Event()
def run():
    while not stop.wait(0.1):
        shout.sendto(b"mc\\x07later", ("239.255.77.67", {PORT}))
threading.Thread(target=run, daemon=True).start()
print(json.dumps("ready"), flush=True)
sys.stdin.read()
stop.set()
""")
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert "another mesh" in checks["heard", "cluster 'other'"]["found"]
    assert "version 7" in checks["heard", "others"]["found"]
    assert "it is in cluster 'other'" in checks["peer", "10.77.0.2 by multicast"]["found"]


@pytest.mark.parametrize("way", ["dropped", "rejected"])
def test_a_peer_whose_tcp_port_is_blocked(network, way):
    here, there = network.lan(2)
    there.join("there", ttl=1, protocols=["tcp"], protocol_options={"tcp": {"port": 5000}})
    there.firewall.add(
        "input",
        "tcp dport 5000 " + ("drop" if way == "dropped" else "reject with tcp reset"),
    )
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert broken(checks) == [("peer", "there tcp")]
    tcp = checks["peer", "there tcp"]
    assert "tcp at 10.77.0.2 port 5000" in tcp["found"]
    assert ("refused" if way == "rejected" else "no answer") in tcp["found"]
    assert "firewall" in tcp["next"]


def test_a_peer_where_no_member_is_and_one_that_is_off(network):
    here, there = lan = network.lan(2)
    by_unicast = ("peer", f"{there.address} by unicast")
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert "nobody listens" in checks[by_unicast]["found"]
    lan.unplug(there)
    there.drop("input", f"udp dport {PORT}")
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    assert "no answer" in checks[by_unicast]["found"]


def test_a_network_that_filters_multicast(network):
    here, there = lan = network.lan(2)
    there.join("there", ttl=1)
    lan.drop_multicast()
    checks = examine(here, "--ttl", "1", "--peer", there.address)
    unicast = checks["peer", f"{there.address} by unicast"]
    multicast = checks["peer", f"{there.address} by multicast"]
    assert multicast["state"] == "broken"
    assert "filtered" in unicast["next"] or "does not get through" in multicast["found"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a directory away")
def test_a_directory_of_somebody_else(network):
    host = network.host()
    host.runtime_dir.mkdir()
    os.chown(host.runtime_dir, 12345, -1)
    checks = examine(host)
    directory = checks["directory", str(host.runtime_dir)]
    assert "belongs to user 12345" in directory["found"]
    assert "MESHCLUSTER_RUNTIME_DIR" in directory["next"]
    assert ("protocol", "unix") not in checks


def test_another_secret_is_named_and_the_right_one_finds_all(network, tmp_path):
    here, there = network.lan(2)
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for path in (right, wrong):
        assert here.meshcluster("keygen", str(path)).returncode == 0
    there.join("there", ttl=1, secret=right.read_text().strip())
    near = ("--ttl", "1", "--peer", there.address)
    checks = examine(here, *near, "--secret-file", str(right))
    assert broken(checks) == []
    assert checks["heard", "cluster 'default'"]["found"] == "1 member"
    assert "can be dialled" in checks["peer", "there tcp"]["found"]
    checks = examine(here, *near, "--secret-file", str(wrong))
    told = checks["heard", "other secret"]["found"]
    assert there.address in told
    assert "seal with key" in told
    assert checks["heard", "cluster 'default'"]["found"] == "no members heard"
    assert checks["peer", f"{there.address} by unicast"]["state"] == "broken"
    assert "--secret-file" in examine(here, *near)["heard", "other secret"]["next"]
    for secret, count in ((["--secret-file", str(right)], 1), (["--secret-file", str(wrong)], 0)):
        done = here.meshcluster("members", "--ttl", "1", "--json", "--timeout", "3", *secret)
        assert done.stdout.count('"name": "there"') == count, (done.stdout, done.stderr)
