"""What somebody on the network does to sealed members with datagrams: forged, replayed, reflected,
of other meshes. Views, events and tables stay as they were, and counters say what was dropped.
"""

import os
import time
import tracemalloc
from random import Random

import pytest

from meshcluster.model import Endpoint, Identity
from meshcluster.node import effects as fx
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.security.sealing import Seal
from meshcluster.testing.bench import Bench, carry, connect, mingle
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Event, GroupParcel, Leave
from meshcluster.wire.sealed import HEADER
from meshcluster.wire.txt import sealed_record

SECRET = bytes(range(32))
KEY = Key.of_bytes(SECRET, "default")
OTHER_KEY = Key.of_bytes(bytes(32), "default")
OTHER_CLUSTER = Key.of_bytes(SECRET, "another mesh")
SPOOFED = ("10.0.0.99", 4999)
OFFER = {
    "endpoints": [Endpoint("tcp", {"port": 1}), Endpoint("udp", {})],
    "spoken": {"tcp": False, "udp": False},
}
TOLD = (fx.ServiceDiscovered, fx.ServiceChanged, fx.ServiceGone, fx.EventsArrived)
FRAMES, TRACED = 100_000, 5_000
"""In one go (10^6 when it may take long), and how many of them are looked at for memory."""


def ring(*keys, required=True):
    return Keyring(keys or [KEY], required=required, is_secret=required)


def member(number, keyring=None, **config):
    return Bench(number, **OFFER, keyring=keyring or ring(), **config)


def pair():
    """Two who know each other, and all that went between them."""
    one, other = member(1), member(2)
    one.node.start(0.0)
    other.node.start(0.0)
    heard = mingle(one, other)
    assert (one.known, other.known) == (["n2"], ["n1"])
    return one, other, heard


def opened(data):
    return codec.decode_datagram(Seal(Identity(bytes(16), 1, "", "")).open(ring(), data).data)


def hears(bench, data, source=SPOOFED, now=1.0):
    bench.node.datagram_received(data, source, now)


def sealed_by(bench, datagram):
    """As a member itself seals it, with its next number."""
    return bench.node._guard._seal.seal(KEY, codec.encode_datagram(datagram))


def identity(bench):
    return "default", bench.node.identity.id, bench.node.identity.boot


def goodbye(bench):
    return Leave(*identity(bench))


def view(bench):
    """All that a user sees of the others, and what is kept of them."""
    return [(p.service, p.address, p.others, p.state) for p in bench.node.peers]


# --- a goodbye -------------------------------------------------------------------------------


def test_a_forged_goodbye_is_ignored():
    one, other, _ = pair()
    stranger = Seal(other.node.identity)
    plain = codec.encode_datagram(goodbye(other))
    hears(one, plain, other.address)
    hears(one, stranger.seal(OTHER_KEY, plain), other.address)
    broken = bytearray(stranger.seal(OTHER_KEY, plain))
    broken[3:7] = KEY.id
    hears(one, bytes(broken), other.address)
    assert one.known == ["n2"]
    assert one.dropped == {
        **one.dropped,
        "datagrams: not sealed": 1,
        "datagrams: sealed with a key that is not ours": 1,
        "datagrams: forged": 1,
    }


def test_the_goodbye_of_an_earlier_run_ends_no_later_one():
    one, other, _ = pair()
    other.node.leave(1.0)
    (leave,) = [e.data for e in other.take(fx.Announce)]
    hears(one, leave, other.address)
    assert one.known == []
    later = member(2, boot=2)
    later.node.start(2.0)
    mingle(one, later, now=2.0)
    assert one.known == ["n2"]
    one.take()
    hears(one, leave, other.address, 3.0)
    assert one.known == ["n2"]
    assert one.take(*TOLD) == []


def test_a_members_goodbye_is_believed_and_a_copy_of_it_does_nothing():
    one, other, _ = pair()
    other.node.leave(1.0)
    (leave,) = [e.data for e in other.take(fx.Announce)]
    hears(one, leave, other.address)
    assert one.known == []
    one.take()
    for _ in range(10):
        hears(one, leave, other.address)
    assert one.take(*TOLD) == []


# --- what went over the network, sent again --------------------------------------------------


def test_a_whole_capture_replayed_from_anywhere_changes_nothing():
    one, other, heard = pair()
    for now in (1.0, 2.0, 3.0):
        one.node.advance(now)
        other.node.advance(now)
        heard += mingle(one, other, now=now)
    before, peers = view(one), list(one.node.peers)
    for source in (SPOOFED, other.address, one.address):
        for data, _ in heard:
            hears(one, data, source, 10.0)
    assert view(one) == before
    assert list(one.node.peers) == peers
    assert one.take(*TOLD, fx.SendDatagram) == []
    assert one.dropped["datagrams: own copies"]
    assert one.dropped["datagrams: replayed"]


def test_a_capture_replayed_to_a_newcomer_hides_no_member_from_it():
    """Whoever has recorded a member's first beacons plays them from elsewhere, before each of its
    real ones: the newcomer asks there in vain, and then where the newer one came from.
    """
    _, other, heard = pair()
    beacons = [d for d, source in heard if source == other.address and type(opened(d)) is Beacon]
    newcomer = member(3)
    newcomer.node.start(10.0)
    newcomer.take()
    now = 10.0
    while now < 20.0 and newcomer.known == []:
        for data in beacons:
            hears(newcomer, data, SPOOFED, now)
        other.node.heartbeat(now)
        other.node.advance(now)
        mingle(newcomer, other, now=now)
        now += 0.05
        newcomer.node.advance(now)
    assert newcomer.known == ["n2"]
    assert [p.address for p in newcomer.node.peers] == [other.address]


def test_a_forged_record_hides_no_member():
    """The id of a key is no secret, and mDNS is anybody's."""
    newcomer, other = member(1), member(2)
    me = other.node.identity
    record = sealed_record(me.id, me.boot, KEY.id, "group", port=SPOOFED[1], ttl=1)
    now = 0.0
    while now < 5.0 and newcomer.known == []:
        newcomer.node.hints.heard(record, SPOOFED, now)
        newcomer.take()
        other.node.heartbeat(now)
        other.node.advance(now)
        mingle(newcomer, other, now=now)
        now += 0.05
        newcomer.node.advance(now)
    assert newcomer.known == ["n2"]
    before = view(newcomer)
    newcomer.node.hints.heard(record, SPOOFED, now)
    newcomer.node.hints.vanished(record, now)
    assert view(newcomer) == before
    assert newcomer.take(*TOLD) == []


def test_what_was_told_before_a_newcomer_came_is_not_told_to_it_again():
    one, other, heard = pair()
    told = [
        (sealed_by(other, GroupParcel(*identity(other), n, Event(0, 1, b"old"))), other.address)
        for n in range(1, 9)
    ]
    newcomer = member(3)
    for data, source in heard:  # an old beacon of the member makes the replayed run known
        hears(newcomer, data, source, 9.0)
    newcomer.node.start(10.0)
    mingle(one, other, newcomer, now=10.0)
    assert "n2" in newcomer.known
    newcomer.take()
    for data, source in told:
        hears(newcomer, data, source, 11.0)
    assert newcomer.take(fx.EventsArrived) == []
    assert newcomer.dropped["datagrams: replayed"] == len(told)


def test_copies_of_a_beacon_come_at_once_or_not_at_all():
    one, other, _ = pair()
    other.node.heartbeat(5.0)
    other.node.advance(5.0)
    (beacon,) = [e.data for e in other.take(fx.Announce)]
    hears(one, beacon, other.address, 5.0)
    hears(one, beacon, ("10.1.0.2", other.address[1]), 5.001)
    (peer,) = one.node.peers
    assert peer.others == ("10.1.0.2",)
    hears(one, beacon, ("10.2.0.2", other.address[1]), 9.0)
    assert peer.others == ("10.1.0.2",)


def test_what_a_member_told_one_is_no_word_to_another():
    """All have one key: a datagram that is redirected opens everywhere."""
    one, other, _ = pair()
    third = member(3)
    third.node.start(1.0)
    mingle(one, other, third, now=1.0)
    session = next(p for p in other.node.peers if p.key == third.node.identity.key)
    udp = session.session("udp", other.node.config.limits)
    udp.put(Event(0, 1, b"for the third"))
    other.node.wake(udp, 2.0)
    (sent,) = other.take(fx.SendDatagram)
    hears(one, sent.data, other.address, 2.0)
    assert one.take(fx.EventsArrived) == []
    assert one.dropped["parcels: to somebody else"] == 1
    hears(third, sent.data, other.address, 2.0)
    assert [e.body for got in third.take(fx.EventsArrived) for e in got.events] == [
        b"for the third"
    ]


# --- a handshake that is sent back -----------------------------------------------------------


def test_who_is_answered_with_its_own_handshake_talks_to_nobody():
    """Whoever sits where a member is dialled hands its handshake on to a door of the dialler."""
    one, _, _ = pair()
    session = next(iter(one.node.peers)).session("", one.node.config.limits)
    one.node._links.want(session, 1.0)
    (dial,) = one.take(fx.DialEndpoint)
    near = one.node.link_opened("tcp", SPOOFED[0], 1.0, local=False, number=dial.number)
    far = one.node.link_opened("tcp", SPOOFED[0], 1.0, local=False)
    for _ in range(5):
        one.node.frames_received(far, one.node.take_frames(near), 1.0)
        one.node.frames_received(near, one.node.take_frames(far), 1.0)
    assert session.link is None
    assert (near.session, far.session) == (None, None)
    assert one.dropped["links refused: another member listens there now"] == 1
    assert one.known == ["n2"]


def test_a_handshake_that_is_played_again_opens_nothing():
    one, other, _ = pair()
    session = next(iter(other.node.peers)).session("", other.node.config.limits)
    other.node._links.want(session, 1.0)
    (dial,) = other.take(fx.DialEndpoint)
    near = other.node.link_opened("tcp", one.address[0], 1.0, local=False, number=dial.number)
    far = one.node.link_opened("tcp", other.address[0], 1.0, local=False)
    spoken = []
    for _ in range(3):
        there = other.node.take_frames(near)
        spoken += there
        one.node.frames_received(far, there, 1.0)
        other.node.frames_received(near, one.node.take_frames(far), 1.0)
    assert far.session is not None
    one.take()
    again = one.node.link_opened("tcp", other.address[0], 2.0, local=False)
    one.node.frames_received(again, spoken, 2.0)
    assert again.session is None
    assert far.session.link is far
    assert one.dropped["links: forged frame"] == 1
    assert one.take(*TOLD) == []


# --- a key that was removed ------------------------------------------------------------------


def test_a_link_that_was_begun_by_a_key_is_nothing_once_that_is_removed():
    """Who has a leaked key may have begun a link, and say hello when the key is gone."""
    one, other = member(1, ring(KEY, OTHER_KEY)), member(2, ring(KEY))
    one.node.start(0.0)
    other.node.start(0.0)
    mingle(one, other)
    session = next(iter(other.node.peers)).session("", other.node.config.limits)
    other.node._links.want(session, 1.0)
    (dial,) = other.take(fx.DialEndpoint)
    far = one.node.link_opened("tcp", other.address[0], 1.0, local=False)
    near = other.node.link_opened("tcp", one.address[0], 1.0, local=False, number=dial.number)
    one.node.frames_received(far, other.node.take_frames(near), 1.0)
    other.node.frames_received(near, one.node.take_frames(far), 1.0)
    one.node.keyring.use(OTHER_KEY.id)
    one.node.keyring.remove(KEY.id)
    one.node.keys_changed(2.0)
    one.node.frames_received(far, other.node.take_frames(near), 2.0)  # the hello
    assert far.session is None
    assert one.dropped["links: link by a key that was removed"] == 1


def test_a_link_by_a_key_that_is_removed_while_it_is_used_is_opened_by_the_other_one():
    one, other = member(1, ring(KEY, OTHER_KEY)), member(2, ring(KEY, OTHER_KEY))
    one.node.start(0.0)
    other.node.start(0.0)
    mingle(one, other)
    near, far = connect(one, other)
    assert (near.entrance.key_id, far.entrance.key_id) == (KEY.id, KEY.id)
    for bench in (one, other):
        bench.node.keyring.use(OTHER_KEY.id)
        bench.node.keyring.remove(KEY.id)
        bench.node.keys_changed(1.0)
    (dial,) = one.take(fx.DialEndpoint)
    far = other.node.link_opened("tcp", one.address[0], 1.0, local=False)
    near = one.node.link_opened("tcp", other.address[0], 1.0, local=False, number=dial.number)
    carry(one, near, other, far, 1.0)
    assert (near.entrance.key_id, far.entrance.key_id) == (OTHER_KEY.id, OTHER_KEY.id)
    assert near.session.link is near
    assert one.known == ["n2"]


def test_other_secrets_are_told_of_and_not_for_ever():
    one, _, _ = pair()
    wrong = member(3, ring(OTHER_KEY))
    said = []
    for now in range(0, 130):
        wrong.node.heartbeat(float(now))
        wrong.node.advance(float(now))
        for each in wrong.take(fx.Announce):
            hears(one, each.data, wrong.address, float(now))
        said += [(now, e.text) for e in one.take(fx.Report) if "our secret" in e.text]
    assert [now for now, _ in said] == [0], "a host is named again after an hour"
    assert "1 host cannot" in said[0][1]
    assert wrong.address[0] in said[0][1]


# --- in numbers ------------------------------------------------------------------------------


def hostile_frames(one, other, heard, random):
    """One kind after the other, for ever."""
    forger = Seal(other.node.identity)
    stranger = Identity(b"s" * 16, 7, "s", "h")
    foreign, wrong = Seal(stranger), Seal(stranger)
    beacon = codec.encode_datagram(Beacon("default", b"s" * 16, 7, 1, bytes(8), ()))
    while True:
        data, source = random.choice(heard)
        yield data, random.choice([source, SPOOFED, one.address])
        yield OTHER_CLUSTER.id.join([b"ms\1", os.urandom(80)]), SPOOFED
        yield foreign.seal(OTHER_CLUSTER, beacon), SPOOFED
        yield wrong.seal(OTHER_KEY, beacon), other.address
        forged = bytearray(forger.seal(OTHER_KEY, codec.encode_datagram(goodbye(other))))
        forged[3:7] = KEY.id
        yield bytes(forged), other.address
        changed = bytearray(data)
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        yield bytes(changed), source
        yield (
            HEADER.pack(b"ms\1", KEY.id, os.urandom(16), random.getrandbits(63), 1)
            + os.urandom(40),
            (f"10.9.{random.randrange(256)}.{random.randrange(256)}", 5000),
        )
        yield beacon, SPOOFED
        yield codec.encode_datagram(goodbye(other)), other.address


@pytest.mark.parametrize(
    "count", [FRAMES, pytest.param(10**6, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_forged_replayed_reflected_and_foreign_frames_change_nothing(count):
    one, other, heard = pair()
    for now in (1.0, 2.0, 3.0):
        one.node.advance(now)
        other.node.advance(now)
        heard += mingle(one, other, now=now)
    before, random = view(one), Random(6)
    frames = hostile_frames(one, other, heard, random)
    told, began = [], time.perf_counter()
    for number in range(count):
        data, source = next(frames)
        hears(one, data, source, 4.0)
        if number == count - TRACED:  # which makes all slower
            tracemalloc.start()
        if not number % 1000:
            told += one.take(*TOLD, fx.SendDatagram)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    seconds = time.perf_counter() - began
    told += one.take(*TOLD, fx.SendDatagram)
    print(f"{count} frames in {seconds:.1f} s, {count / seconds:.0f}/s; peak {peak} bytes more")
    assert told == []
    assert view(one) == before
    assert one.node.peers.strangers == 0
    assert peak < 1_000_000
    assert sum(n for reason, n in one.dropped.items() if reason.startswith("datagrams")) >= count
    other.node.heartbeat(4.5)  # and the member is understood as before
    other.node.advance(4.5)
    mingle(one, other, now=4.5)
    (peer,) = one.node.peers
    assert peer.heard_at == 4.5
