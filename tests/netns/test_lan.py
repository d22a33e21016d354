"""Members on a local network: they meet, and what happens to cables and switches mends itself."""

import json
import statistics
import sys
import time
from pathlib import Path

FORKED = Path(__file__).with_name("forked.py")
BRISK = {"ttl": 1, "heartbeat_seconds": 0.5}


def joined(lan, **options):
    """A member on each host, called as it is numbered; they start beside each other."""
    members = [
        host.join(f"m{number}", wait=False, **{"ttl": 1, **options})
        for number, host in enumerate(lan.hosts)
    ]
    for member in members:
        member.ready()
    return members


def assert_all_know_all(members):
    names = [f"m{number}" for number in range(len(members))]
    for number, member in enumerate(members):
        found = [name for name, _, _ in member.ask(f"met({len(members) - 1})")]
        assert found == [name for name in names if name != f"m{number}"]


def test_thirty_hosts_know_all_within_two_seconds_at_the_median(network):
    lan = network.lan(30)
    places = [[host.name, str(host.runtime_dir)] for host in lan]
    members = lan.hosts[0].start(sys.executable, str(FORKED), json.dumps(places))
    joined_at, complete_at, discoveries = zip(*members.ask(), strict=True)
    assert all(times == [1] * 29 for times in discoveries)
    took = [at - max(joined_at) for at in complete_at]
    print(f"median {statistics.median(took):.2f} s, last {max(took):.2f} s after all had joined")
    assert statistics.median(took) < 2.0
    members.release()
    assert members.popen.wait(20) == 0  # all have left


def test_cable_out_for_three_seconds_and_all_is_as_before(network):
    lan = network.lan(2)
    capture = lan.capture()
    here, there = joined(lan)
    assert_all_know_all([here, there])
    here.ask("tell('before')")
    assert there.ask("heard()") == ["before", "tcp"]
    lan.unplug(lan.hosts[0])
    here.ask("tell('while the cable is out')")
    time.sleep(3.0)
    lan.plug(lan.hosts[0])
    plugged_at = time.time()
    assert there.ask("heard()")[0] == "while the cable is out"
    here.ask("tell('after')")
    assert there.ask("heard()")[0] == "after"
    assert [here.ask("names()"), there.ask("names()")] == [["m1"], ["m0"]]
    assert here.ask("discoveries") == {"m1": 1}
    while not any(f.is_udp for f in capture.frames(lan.hosts[0], since=plugged_at)):
        assert time.time() < plugged_at + 2.0, "no beacon"
        time.sleep(0.01)


def test_a_partition_that_heals_makes_one_mesh_again(network):
    lan = network.lan(3)
    one, two, three = members = joined(lan, **BRISK)
    assert_all_know_all(members)
    lan.partition(lan.hosts[:1], lan.hosts[1:])
    assert sorted(one.ask("lost()")[0] for _ in range(2)) == ["m1", "m2"]
    assert two.ask("lost()")[0] == "m0"
    assert two.ask("names()") == ["m2"]
    lan.heal()
    assert_all_know_all(members)
    assert sorted(map(tuple, three.ask("answers()"))) == [("m0", "tcp"), ("m1", "tcp")]


def test_with_a_tenth_lost_all_meet_all_the_same(network):
    lan = network.lan(4)
    for host in lan:
        host.lose(10)
    assert_all_know_all(joined(lan, **BRISK))


def test_delay_reordering_duplicates_and_loss_change_nothing_of_order(network):
    lan = network.tap_lan(2, seed=3)
    lan.delay_seconds, lan.loss, lan.duplicates = (0.001, 0.02), 0.02, 0.1
    here, there = joined(lan, **BRISK)
    assert_all_know_all([here, there])
    here.ask("[tell(n) for n in range(200)] and None")
    assert there.ask("[heard()[0] for _ in range(200)]") == list(range(200))
