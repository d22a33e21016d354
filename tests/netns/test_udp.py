"""Messages in datagrams between hosts: a broadcast is one datagram on each network."""

import time

from meshcluster.wire.frames import GroupParcel

GROUPS = ["239.255.77.67", "ff02::efff:4d43"]
TOLD = GroupParcel.__struct_config__.tag
BY_UDP = "protocols=['udp']"


def until(member, condition):
    """Looks until a member finds it so, for at most twenty seconds; ``peers`` are its peers."""
    end = time.monotonic() + 20
    while not member.ask(condition.replace("peers", "cluster._driver.node.peers")):
        assert time.monotonic() < end
        time.sleep(0.05)


def met_on_the_group(*members):
    """Waits until each knows so many others and has heard a beacon of each, and none is known by
    word alone: who sends as such is asked first, and its message is lost.
    """
    for member, count in members:
        member.ask(f"met({count})")
        until(member, "all(peer.beaconed_at > 0 and peer.shown for peer in peers)")


def tells(member, word):
    member.ask(f"tell({word!r}, {BY_UDP})")


def gone_to(capture, host=None):
    """Where datagrams with a message to everybody went."""
    return sorted(frame.to for frame in capture.frames(host) if frame.kind == TOLD)


def test_a_broadcast_is_one_datagram_to_each_group_and_heard_once(network):
    lan = network.lan(3)
    capture = lan.capture()
    members = [host.join(f"m{n}", wait=False, ttl=1) for n, host in enumerate(lan)]
    near, apart = (host.join("inside") for host in lan.hosts[:2])
    near.ask("join_others(1)")
    here, there, elsewhere = members
    met_on_the_group((here, 4), (there, 3), (elsewhere, 2), (near, 2), (apart, 1))
    tells(here, "hello")
    here.ask("tell('by link')")
    for member in (there, elsewhere, near):  # two ways: nothing tells which is first
        told = [member.ask("heard()"), member.ask("heard()")]
        assert ["hello", "udp"] in told
        assert sorted(data for data, _ in told) == ["by link", "hello"]
    assert gone_to(capture) == gone_to(capture, lan.hosts[0]) == GROUPS

    tells(near, "inside")  # its neighbours by loopback, and nobody by the LAN
    assert here.ask("heard()") == ["inside", "udp"]
    here.ask("tell('on this host', channel=1, protocols=['udp'])")
    assert near.ask("heard()") == ["on this host", "udp"]
    there.ask("tell('to all')")
    assert [m.ask("heard()")[0] for m in (here, elsewhere, apart)] == ["to all"] * 3
    assert gone_to(capture) == GROUPS
    assert here.ask("counted('datagrams: own copies', 0)").get("parcels: of strangers", 0) == 0


def test_a_host_that_multicast_does_not_reach_gets_it_alone(network):
    lan = network.lan(4, ipv6=False)
    capture = lan.capture()
    deaf = lan.hosts[3]
    lan.deafen(deaf)
    members = [
        host.join(f"m{n}", wait=False, ttl=1, heartbeat_seconds=0.2) for n, host in enumerate(lan)
    ]
    met_on_the_group(*((member, 3) for member in members[:3]))
    until(members[0], "any(peer.direct_at > 0 for peer in peers)")
    tells(members[0], "hello")
    for member in members[1:]:
        assert member.ask("heard()") == ["hello", "udp"]
    assert gone_to(capture) == sorted([GROUPS[0], deaf.address])


def test_what_went_for_want_of_a_link_is_delivered_when_confirmed_and_told_when_lost(network):
    one, other = network.lan(2, ipv6=False)
    here, there = one.join("m0", ttl=1), other.join("m1", ttl=1, protocols=["udp"])
    assert [here.ask("met()")[0][0], there.ask("met()")[0][0]] == ["m1", "m0"]
    here.ask("cluster.hook('send.lost')(lambda l: events.put([m.data for m in l.messages])) and 0")
    here.ask("tell('small')")
    assert there.ask("heard()") == ["small", "udp"]
    until(here, "not cluster.undelivered")
    there.pause()
    here.ask("tell('to the dead')")
    until(here, "cluster.dropped.get('messages sent by udp as a last resort') == 2")
    assert here.ask("[service.name for service in cluster.undelivered]") == ["m1"]
    there.kill()
    assert here.ask("heard()") == ["to the dead"]
    assert here.ask("cluster.undelivered") == []
