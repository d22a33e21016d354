"""Protocols that are blocked under traffic, and networks that fall apart and heal: the next way
takes over, the best one returns, and every message is handled once and in order, or reported.
"""

import itertools
import re
import time

import pytest

from .history import assert_once_or_reported
from .network import needs

WAYS = ["tcp", "zeromq", "udp"]
VERDICTS = ["drop", "reject with tcp reset"]
UNIX = re.compile(r"/[0-9a-f]{8}/[0-9a-f]{16}\.sock$")
CALM = 0.02
"""Seconds between two messages of one member where there are many."""


def joined(*named, **options):
    """A member on each host, by name, when all know all."""
    members = {name: host.join(name, wait=False, ttl=1, **options) for name, host in named}
    for member in members.values():
        assert len(member.ask(f"met({len(members) - 1})")) == len(members) - 1
    return members


def talk(members, pause=0.005):
    for member in members.values():
        member.ask(f"talk({pause})")


def hush(members):
    for member in members.values():
        member.ask("hush()")


def block(hosts, port, verdict):
    """The firewalls of hosts take no packets to a port or from it."""
    rules = (f"tcp dport {port} {verdict}", f"tcp sport {port} {verdict}")
    for host in hosts:
        for chain in ("input", "output"):
            host.firewall.add(chain, *rules)


def assert_all_hear_by(protocol, members):
    assert_hear_by([(protocol, members)])


def assert_hear_by(meshes):
    """The members of each mesh, which are two, hear each other by its protocol; when."""
    for protocol, members in meshes:
        for member, other in zip(members.values(), reversed(members), strict=True):
            member.begin(f"until_by({protocol!r}, {other!r})")
    heard = [[member.reply() for member in members.values()] for _, members in meshes]
    for at, (protocol, members) in zip(heard, meshes, strict=True):
        assert all(at), f"{list(members)} do not hear each other by {protocol}"
    return [max(at) for at in heard]


class Pair:
    """A member on each of two hosts, at ports of its own. ``protocols``: best first."""

    def __init__(self, number, hosts, protocols, verdict):
        self.hosts = hosts
        self.verdict = verdict
        self.protocols = protocols
        self.ports = {protocols[0]: 5000 + number, protocols[1]: 5500 + number}
        self.block(*self.ports)
        options = {scheme: {"port": port} for scheme, port in self.ports.items()}
        self.members = {
            name: host.join(name, wait=False, ttl=1, cluster=f"pair {number}", mdns=False,
                            protocols=protocols, protocol_options=options)
            for name, host in zip("ab", hosts, strict=True)
        }  # fmt: skip

    def block(self, *schemes):
        for scheme in schemes:
            block(self.hosts, self.ports[scheme], self.verdict)

    def reports(self, scheme):
        """How often each member was told that it could not be opened."""
        reason = f"reports that {scheme} could not be opened"
        return [m.ask("cluster.dropped").get(reason, 0) for m in self.members.values()]

    def told_since(self, scheme, before):
        """The members that were told so more often than ``before``."""
        counts = zip(self.members.values(), self.reports(scheme), before, strict=True)
        return [member for member, now, then in counts if now > then]


def told_of_each(pairs, before):
    """Waits until somebody was told that its endpoint could not be opened; who was, by pair. In a
    pair whose new link was dialled by who remembers the old way as failed, nobody is.
    """
    end = time.monotonic() + 20
    while True:
        told = {
            pair: pair.told_since(pair.protocols[0], then)
            for pair, then in zip(pairs, before, strict=True)
        }
        if any(told.values()):
            return told
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_each_protocol_is_blocked_in_turn(network):
    """Two pairs prefer TCP, two ZeroMQ; the packets of one each are dropped, of the other refused.
    First both protocols are blocked, so that UDP is all there is; then the one preferred.
    """
    hosts = network.lan(2).hosts
    orders = [WAYS, ["zeromq", "tcp", "udp"]]
    pairs = [
        Pair(number, hosts, protocols, verdict)
        for number, (protocols, verdict) in enumerate(itertools.product(orders, VERDICTS))
    ]
    for pair in pairs:
        for member in pair.members.values():
            assert len(member.ask("met(1)")) == 1
        talk(pair.members, CALM)
    assert_hear_by([("udp", pair.members) for pair in pairs])
    for host in hosts:
        host.heal()
    assert_hear_by([(pair.protocols[0], pair.members) for pair in pairs])
    before = [pair.reports(pair.protocols[0]) for pair in pairs]
    blocked_at = time.time()
    for pair in pairs:
        pair.block(pair.protocols[0])
    changed = assert_hear_by([(pair.protocols[1], pair.members) for pair in pairs])
    told = told_of_each(pairs, before)
    for pair, members in told.items():
        if pair.protocols[0] == "tcp":  # that of ZeroMQ may answer itself by its UNIX socket
            assert all(member.ask("renewed('tcp')") for member in members)
    for host in hosts:
        host.heal()
    healed_at = time.time()
    back = assert_hear_by([(pair.protocols[0], pair.members) for pair in pairs])
    for pair, there, again in zip(pairs, changed, back, strict=True):
        hush(pair.members)
        history = assert_once_or_reported(pair.members)
        print(
            f"{pair.protocols[0]}, {pair.verdict}: the next after {there - blocked_at:.2f} s, back "
            f"after {again - healed_at:.2f} s; {history.protocols['a to b']}, {history}"
        )


@pytest.mark.slow
def test_on_one_host_unix_and_tcp_are_blocked_in_turn(network):
    needs("nft")
    host = network.host()
    members = {
        name: host.join(name, wait=False, protocols=["unix", *WAYS], heartbeat_seconds=0.2,
                        protocol_options={"tcp": {"port": port}})
        for name, port in (("a", 5001), ("b", 5002))
    }  # fmt: skip
    for member in members.values():
        assert len(member.ask("met(1)")) == 1
    talk(members)
    assert_all_hear_by("unix", members)
    sockets = [each for each in host.runtime_dir.glob("*/*.sock") if UNIX.search(str(each))]
    assert len(sockets) == 2
    for each in sockets:
        each.unlink()
        each.mkdir()  # they cannot be opened anew either
    for member in members.values():
        member.ask("break_links()")
    assert_all_hear_by("tcp", members)
    for port in (5001, 5002):
        block([host], port, "reject with tcp reset")
    assert_all_hear_by("zeromq", members)
    host.heal()
    for each in sockets:
        each.rmdir()
    assert_all_hear_by("unix", members)
    hush(members)
    history = assert_once_or_reported(members)
    print(history.protocols, history)
    assert history.reported == 0


@pytest.mark.slow
def test_a_partition_outlasts_what_tcp_waits_for_and_heals(network):
    """One pair is patient and stays known; of the other pair each loses the other."""
    here, there = network.lan(2).hosts
    slow = {"probe_seconds": 10, "answer_seconds": 3, "suspect_seconds": 20, "late_seconds": 1}
    patient = joined(("m0", here), ("m1", there), cluster="patient", timing=slow)
    brisk = joined(("m2", here), ("m3", there), cluster="brisk", heartbeat_seconds=0.5)
    for members in (patient, brisk):
        talk(members)
        assert_all_hear_by("tcp", members)
    lan = here.lans[0]
    lan.partition([here], [there])
    time.sleep(6.5)  # TCP gives up after 5, and the patient pair 3 later
    assert brisk["m2"].ask("until_known(0)") == []
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
    assert brisk["m2"].ask("discoveries") == {"m3": 2}


def test_a_partition_of_one_direction_and_a_slow_link(network):
    """Who is not heard is known to live by what others say; a link that is slow loses nobody."""
    lan = network.lan(3)
    deaf, heard, slow = lan.hosts
    members = joined(("deaf", deaf), ("heard", heard), ("slow", slow), heartbeat_seconds=0.5)
    slow.slow("1mbit")
    talk(members)
    for name, member in members.items():
        for other in members.keys() - {name}:
            assert member.ask(f"handled({other!r}, 10)")
    lan.cut([heard], [deaf])
    time.sleep(6.5)  # longer than who is silent to all is kept
    assert sorted(members["deaf"].ask("names()")) == ["heard", "slow"]
    lan.heal()
    healed_at = time.monotonic()
    for name, other in (("deaf", "heard"), ("heard", "deaf")):
        assert members[name].ask(f"handled({other!r}, 5)")
    print(f"heard again after {time.monotonic() - healed_at:.2f} s")
    hush(members)
    print(assert_once_or_reported(members))
    assert members["slow"].ask("discoveries") == {"deaf": 1, "heard": 1}
    assert members["deaf"].ask("discoveries") == {"heard": 1, "slow": 1}
