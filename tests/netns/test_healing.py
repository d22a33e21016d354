"""Protocols that are blocked under traffic, and networks that fall apart and heal: the next way
takes over, the best one returns, and every message is handled once and in order, or reported.
"""

import time

import pytest

from .history import assert_once_or_reported

TCP, ZEROMQ = 5001, 5002
PORTS = {"tcp": {"port": TCP}, "zeromq": {"port": ZEROMQ}}


def joined(*named, **options):
    """A member on each host, by name, when all know all."""
    members = {name: host.join(name, wait=False, ttl=1, **options) for name, host in named}
    for member in members.values():
        assert len(member.ask(f"met({len(members) - 1})")) == len(members) - 1
    return members


def talk(members):
    for member in members.values():
        member.ask("talk()")


def hush(members):
    for member in members.values():
        member.ask("hush()")


def block(host, port, verdict):
    """A firewall of that host takes no packets to a port or from it."""
    for chain in ("input", "output"):
        rules = (f"tcp dport {port} {verdict}", f"tcp sport {port} {verdict}")
        host.firewall.add(chain, *rules)


def assert_all_hear_by(protocol, members):
    for member in members.values():
        for other in members.keys() - {member_name(member, members)}:
            member.begin(f"until_by({protocol!r}, {other!r})")
            assert member.reply(), f"{other} is not heard by {protocol}"


def member_name(member, members):
    return next(name for name, each in members.items() if each is member)


@pytest.mark.slow
@pytest.mark.parametrize("verdict", ["drop", "reject with tcp reset"], ids=["drop", "reject"])
def test_each_protocol_blocked_in_turn_and_the_next_takes_over(network, verdict):
    hosts = network.lan(2).hosts
    for host in hosts:
        block(host, TCP, verdict)
        block(host, ZEROMQ, verdict)
    members = joined(
        *zip(("m0", "m1"), hosts, strict=True), protocols=["tcp", "zeromq", "udp"],
        protocol_options=PORTS,
    )  # fmt: skip
    talk(members)
    assert_all_hear_by("udp", members)
    for host in hosts:
        host.heal()
    assert_all_hear_by("tcp", members)
    took = []
    for port, protocol in ((TCP, "zeromq"), (ZEROMQ, "tcp")):
        began = time.monotonic()
        for host in hosts:
            block(host, port, verdict)
        assert_all_hear_by(protocol, members)
        took.append(time.monotonic() - began)
        for host in hosts:
            host.heal()
        began = time.monotonic()
        assert_all_hear_by("tcp", members)
        took.append(time.monotonic() - began)
    hush(members)
    history = assert_once_or_reported(members)
    print([f"{seconds:.2f}" for seconds in took], history.protocols, history)
    assert history.reported == 0
    told = [m.ask("cluster.dropped").get("reports that tcp could not be opened") for m in
            members.values()]  # fmt: skip
    assert any(told), "nobody was told"
    if verdict != "drop":
        assert any("renewed" in m.ask("endpoints()")["tcp"] for m in members.values())


@pytest.mark.slow
def test_a_partition_outlasts_what_tcp_waits_for_and_heals(network):
    """One pair is patient and stays known; of the other pair each loses the other."""
    here, there = network.lan(2).hosts
    patient = joined(("m0", here), ("m1", there), cluster="patient", heartbeat_seconds=10)
    brisk = joined(("m2", here), ("m3", there), cluster="brisk", heartbeat_seconds=0.5)
    for members in (patient, brisk):
        talk(members)
        assert_all_hear_by("tcp", members)
    lan = here.lans[0]
    lan.partition([here], [there])
    assert brisk["m2"].ask("lost()")[0] == "m3"
    time.sleep(7)  # TCP gives up after 5
    lan.heal()
    for members in (brisk, patient):
        healed_at = time.monotonic()
        for name, other in zip(members, reversed(members), strict=True):
            members[name].begin(f"handled({other!r}, 5)")
        assert all(member.reply() for member in members.values())
        print(f"used again after {time.monotonic() - healed_at:.2f} s")
        assert time.monotonic() - healed_at < 3
    for members in (brisk, patient):
        hush(members)
        print(assert_once_or_reported(members))
        assert patient["m0"].ask("discoveries") == {"m1": 1}
