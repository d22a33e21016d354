"""Cables that come out, addresses that change hands, hosts that sleep: members are back at once,
nobody is there twice, and every message is handled once and in order, or reported.
"""

import statistics
import time

import pytest

from .history import assert_once_or_reported

QUICK = {"ttl": 1, "heartbeat_seconds": 0.2, "expire_seconds": 2}
GROUP = "239.255.77.67"
BACK_SECONDS = 2.0
FIRST, SECOND = 1, 101


def joined(hosts, **options):
    """A member on each host, called as it is numbered, when all know all."""
    members = {
        f"m{number}": host.join(f"m{number}", wait=False, **{"ttl": 1, **options})
        for number, host in enumerate(hosts)
    }
    for name, member in members.items():
        found = [name for name, _, _ in member.ask(f"met({len(members) - 1})")]
        assert found == sorted(members.keys() - {name})
    return members


def talk(members):
    for member in members.values():
        member.ask("talk()")


def hush(members):
    for member in members.values():
        member.ask("hush()")


def assert_each_hears_each(members, more=5):
    for name, member in members.items():
        for other in members.keys() - {name}:
            assert member.ask(f"handled({other!r}, {more})"), f"{name} hears nothing of {other}"


def assert_all_are_there_once(members):
    for name, member in members.items():
        others = sorted(members.keys() - {name})
        member.ask(f"met({len(others)})")
        assert member.ask("names()") == others
        losses = member.ask("Counter(each for each, _ in losses.queue)")
        found = member.ask("discoveries")
        assert all(found[each] == 1 + losses.get(each, 0) for each in others)


def cut(lan, *, rounds, seconds, **options):
    """A cable that is out so long, so often; each time its host comes back with another address."""
    here = lan.hosts[0]
    capture = lan.capture()
    members = joined(lan, **options)
    talk(members)
    assert_each_hears_each(members)
    took, met = [], []
    for number in range(rounds):
        lan.unplug(here)
        here.readdress(lan, SECOND if number % 2 == 0 else FIRST)
        time.sleep(seconds)  # the fault itself
        plugged_at = time.time()
        lan.plug(here)
        for member, other in (("m1", "m0"), ("m0", "m1")):
            members[member].begin(f"handled({other!r})")
        replies = [member.reply() for member in members.values()]
        assert all(replies), f"silent in round {number}"
        met.append(time.time() - plugged_at)
        beacons = [f.time for f in capture.frames(here, since=plugged_at) if f.to == GROUP]
        took.append(min(beacons) - plugged_at)
    hush(members)
    history = assert_once_or_reported(members)
    print(
        f"{rounds} rounds of {seconds} s: beacons back after {statistics.median(took):.2f} s, "
        f"at most {max(took):.2f}; messages after {statistics.median(met):.2f}, at most "
        f"{max(met):.2f}; {history}"
    )
    assert max(took) < BACK_SECONDS
    assert_all_are_there_once(members)
    assert members["m1"].ask(f"until_at({here.address!r})")


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [20, pytest.param(50, marks=pytest.mark.long)])
def test_again_and_again_a_cable_is_out_and_the_address_swapped(network, rounds):
    cut(network.lan(2, ipv6=False), rounds=rounds, seconds=0.1, heartbeat_seconds=0.2)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("rounds", "seconds"), [(50, 3), (5, 60)])
def test_a_cable_is_out_for_long_and_the_address_swapped(network, rounds, seconds):
    cut(network.lan(2, ipv6=False), rounds=rounds, seconds=seconds)


def test_a_link_that_flaps_leaves_nothing_behind(network):
    lan = network.lan(3)
    members = joined(lan)
    talk(members)
    assert_each_hears_each(members)
    told, seen = (("m0", "m1"), ("m1", "m0"), ("m2", "m0"), ("m2", "m1")), []
    for _ in range(2):
        flaps, ends_at = 0, time.monotonic() + 1.5
        while time.monotonic() < ends_at:
            lan.hosts[0].ip("link set eth0 down", "link set eth0 up")
            lan.unplug(lan.hosts[1])
            lan.plug(lan.hosts[1])
            flaps += 1
        up_at = time.monotonic()
        for name, other in told:
            assert members[name].ask(f"handled({other!r})")
        print(f"{flaps} flaps, messages back after {time.monotonic() - up_at:.2f} s")
        assert flaps > 3
        seen.append({name: member.ask("resources()") for name, member in members.items()})
    hush(members)
    print(assert_once_or_reported(members))
    assert_all_are_there_once(members)
    for name, resources in seen[0].items():
        assert all(now <= then for now, then in zip(seen[1][name], resources, strict=True)), seen
        assert members[name].ask("tasks()") < 20


def test_two_hosts_that_swap_addresses_are_each_found_again(network):
    """The ports are the same on all hosts, so that whoever dials an old address gets the other."""
    lan = network.lan(3, ipv6=False)
    one, other, _ = lan.hosts
    ports = {"protocol_options": {"tcp": {"port": 5001}, "zeromq": {"port": 5002}}}
    members = joined(lan.hosts, protocols=["tcp", "zeromq", "udp"], **ports)
    talk(members)
    assert_each_hears_each(members)
    for with_cables_in in (True, False):
        if not with_cables_in:
            lan.unplug(one, other)
        numbers = lan.numbers[one], lan.numbers[other]
        other.readdress(lan, numbers[0])
        one.readdress(lan, numbers[1])
        lan.plug(one, other)
        for host in lan:
            host.ip("neigh flush dev eth0")  # as the announcement of an address does (ARP)
        swapped_at = time.monotonic()
        for name, host in (("m0", one), ("m1", other)):
            assert members["m2"].ask(f"at({name!r}, {host.address!r})")
        assert_each_hears_each(members)
        print(f"found at the new addresses after {time.monotonic() - swapped_at:.2f} s")
    hush(members)
    history = assert_once_or_reported(members)
    print(history)
    assert_all_are_there_once(members)


def test_members_that_sleep_longer_than_they_are_waited_for(network):
    """They are lost, and found again when they wake; what was sent meanwhile is reported. They
    themselves lose nobody, not each other either.
    """
    lan = network.lan(2)
    asleep, awake = lan.hosts
    members = {
        name: host.join(name, **QUICK)
        for name, host in (("m0", asleep), ("m1", asleep), ("m2", awake), ("m3", awake))
    }
    for member in members.values():
        member.ask("met(3)")
    talk(members)
    assert_each_hears_each(members)
    for name in ("m0", "m1"):
        members[name].pause()
    for name in ("m2", "m3"):
        members[name].ask("until_known(1)")
    time.sleep(1)  # longer than they wait for anybody
    for name in ("m0", "m1"):
        members[name].resume()
    woken_at = time.monotonic()
    assert_each_hears_each(members)
    back = time.monotonic() - woken_at
    hush(members)
    history = assert_once_or_reported(members)
    print(f"back after {back:.2f} s; {history}")
    assert history.reported > 0
    for name, member in members.items():
        found = member.ask("discoveries")
        slept = name in ("m0", "m1")
        assert {found[other] for other in ("m0", "m1") if other != name} == {1 if slept else 2}
        assert {found[other] for other in ("m2", "m3") if other != name} == {1}
    assert_all_are_there_once(members)


def test_ten_hosts_on_one_link_without_ipv4_and_addresses_that_change(network):
    lan = network.lan(10, ipv4=False)
    members = joined(lan.hosts)
    talk(members)
    for number, host in enumerate(lan.hosts[:3]):
        host.ip("addr flush dev eth0 scope link", f"addr add fe80::77:{number}/64 dev eth0")
    for number in range(3):
        member = members[f"m{9 - number}"]
        assert member.ask(f"at('m{number}', 'fe80::77:{number}%eth0')")
    hush(members)
    history = assert_once_or_reported(members)
    print(history)
    assert_all_are_there_once(members)
    assert all(set(m.ask("discoveries").values()) == {1} for m in members.values())
