"""Announcements go to the group, and to those alone whom the group does not reach."""

import msgspec

from meshcluster.model import Identity, Service
from meshcluster.node import effects as fx
from meshcluster.node.announcing import LOOK_INTERVALS, Announcing
from meshcluster.node.membership import Peer
from meshcluster.testing.bench import Bench, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, DirectBeacon, Leave, Suspect


def pair(**config):
    one, other = Bench(1, **config), Bench(2, **config)
    introduce(one, other)
    one.node.take_effects()
    other.node.take_effects()
    return one, other


def sent(bench):
    """What goes to one address each: (kind, address)."""
    effects = bench.take(fx.SendDatagram)
    return [(type(codec.decode_datagram(e.data)), e.address) for e in effects]


def beacon(bench, now):
    bench.node._discovery.beacon(now)
    announced, *_ = [e for e in bench.node.effects if isinstance(e, fx.Announce)]
    return codec.decode_datagram(announced.data)


def test_a_member_heard_on_the_group_lately_is_told_by_the_group():
    one, other = pair()
    one.hear(other, beacon(other, 9.0), 9.0)
    one.node.take_effects()
    assert isinstance(beacon(one, 10.0), Beacon)
    assert sent(one) == []


def test_one_not_heard_there_for_three_intervals_is_told_by_unicast():
    one, other = pair()
    beacon(one, 2.9)
    assert sent(one) == []
    beacon(one, 3.1)
    assert sent(one) == [(DirectBeacon, other.address)]


def test_what_comes_by_unicast_does_not_count_as_the_group():
    one, other = pair()
    beacon(other, 4.0)
    (direct,) = [codec.decode_datagram(e.data) for e in other.take(fx.SendDatagram)]
    one.hear(other, direct, 4.0)
    assert other.node.peers
    one.node.take_effects()
    beacon(one, 4.1)
    assert sent(one) == [(DirectBeacon, other.address)]


def test_once_heard_on_the_group_again_unicast_ends():
    one, other = pair()
    heard = beacon(other, 20.0)
    beacon(one, 20.0)
    assert len(sent(one)) == 1
    one.hear(other, heard, 20.0)
    one.node.take_effects()
    beacon(one, 21.0)
    assert sent(one) == []


def test_a_member_that_seldom_beacons_is_given_its_own_time():
    one, other = Bench(1), Bench(2, heartbeat_seconds=10.0)
    introduce(one, other)
    one.node.take_effects()
    beacon(one, 29.0)
    assert sent(one) == []
    beacon(one, 31.0)
    assert len(sent(one)) == 1


def test_goodbyes_go_the_same_way():
    one, other = pair()
    one.node.leave(5.0)
    assert sent(one) == [(Leave, other.address)]


def test_asking_who_is_there_is_for_the_group():
    one, _ = pair()
    one.node.discover(5.0)
    assert sent(one) == []


def reached(one, now):
    (peer,) = list(one.node.peers)
    return one.node._announcing.reaches(peer, now)


def test_the_group_reaches_whom_we_hear_there():
    one, other = pair()
    assert reached(one, 0.0)
    assert not reached(other, 0.0), "it has answered a probe, but was never heard there"
    other.hear(one, beacon(one, 1.0), 1.0)
    assert reached(other, 4.0)
    assert not reached(other, 4.1)


def test_not_one_that_tells_us_alone_for_it_does_not_hear_us_there():
    one, other = pair()
    beacon(other, 5.0)
    (direct,) = [codec.decode_datagram(e.data) for e in other.take(fx.SendDatagram)]
    for now in (4.0, 5.0, 6.0, 7.0, 8.0, 8.1):
        one.hear(other, Beacon(*msgspec.structs.astuple(direct)), now)
        if now == 5.0:
            one.hear(other, direct, now)
        assert reached(one, now) == (now in (4.0, 8.1))


def test_nor_one_that_answers_elsewhere_for_it_takes_messages_from_there_alone():
    """Its beacons come by IPv6, say, and it answers by IPv4, where multicast is blocked."""
    one, other = pair()
    (peer,) = list(one.node.peers)
    peer.reached_at, other.address = 9.0, ("10.0.0.1%eth0", 1)
    one.hear(other, beacon(other, 10.0), 10.0)
    one.node.take_effects()
    assert not reached(one, 10.0)
    beacon(one, 10.0)
    assert sent(one) == []


class Counted(list):
    """Members, and how often all of them were looked at."""

    looks = 0

    def __iter__(self):
        self.looks += 1
        return super().__iter__()


def test_in_a_large_mesh_not_everybody_is_looked_at_for_each_announcement():
    peers, effects = Counted(), []
    for number in range(1000):
        peer = Peer(number.to_bytes(16), 1, ("10.0.0.1", number), 0.0)
        peer.service = Service(Identity(peer.id, 1, f"n{number}", "host"))
        peer.grouped_at = 0.0 if number < 2 else 100.0
        peers.append(peer)
    announcing = Announcing(peers, effects, lambda: 10.0)
    suspect = Suspect("default", bytes(16), 1, peers[5].key, 1)

    def told(datagram, now):
        effects.clear()
        announcing.announce(datagram, now)
        return [e.address[1] for e in effects if isinstance(e, fx.SendDatagram)]

    for tenth in range(9):
        assert told(suspect, 101.0 + tenth * LOOK_INTERVALS) == [0, 1]
    assert peers.looks == 1
    peers[0].grouped_at = 101.0  # heard there again
    peers[1].service = None  # lost
    peers[2].grouped_at = 0.0  # silent since the look
    assert told(suspect, 101.95) == []
    assert told(suspect, 101.0 + LOOK_INTERVALS * 10.0) == [2]
    peers[3].grouped_at = 0.0
    assert told(Leave("default", bytes(16), 1), 102.01) == [2, 3]
    assert peers.looks == 3
