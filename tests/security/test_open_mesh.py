"""A mesh without a secret: members of one user on one host seal what they tell each other, and
nobody else is taken for one of them, whoever comes first.
"""

import pytest

from meshcluster.model import Endpoint
from meshcluster.node import effects as fx
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.testing.bench import Bench, carry, mingle
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    Beacon,
    Dead,
    Details,
    Entry,
    Hello,
    Leave,
    ProbeReply,
    Suspect,
    View,
    Vouch,
)

KEY = Key.of_bytes(bytes(range(32)), "default")
STRANGER = ("10.0.0.99", 4999)
OFFER = {
    "endpoints": [Endpoint("tcp", {"port": 1}), Endpoint("udp", {})],
    "spoken": {"tcp": False, "udp": False},
}
VERSION = 2**60


def neighbour(number, **config):
    """A member with the host's key."""
    return Bench(number, **OFFER, keyring=Keyring([KEY], required=False), **config)


def details(name="liar", **changes):
    said = {
        "version": VERSION, "name": name, "host": "host", "tags": ("evil",),
        "endpoints": (Endpoint("tcp", {"port": 666}),), "props": {}, "port": STRANGER[1],
        "heartbeat_seconds": 1.0,
    }  # fmt: skip
    return Details(**{**said, **changes})


def says(bench, kind, whose, *rest, now=0.0):
    """A stranger says something in the open with the id and run of somebody."""
    me = whose.node.identity
    data = codec.encode_datagram(kind("default", me.id, me.boot, *rest))
    bench.node.datagram_received(data, STRANGER, now)


def comes_first(bench, whose, now=0.0, name="liar"):
    """A stranger with the id and run of somebody is proven before that one says anything."""
    number = 2**62
    says(bench, Beacon, whose, VERSION, bytes(8), (), 2, 0, number, now=now)
    (probe,) = [codec.decode_datagram(e.data) for e in bench.take(fx.SendDatagram)]
    says(bench, ProbeReply, whose, probe.nonce, 0, details(name), False, 2, now=now)


def peer_of(bench, other):
    return bench.node.peers.get(other.node.identity.key)


def seen(bench):
    return [(p.service.name, p.service.authenticated) for p in bench.node.peers]


@pytest.mark.parametrize("name", ["liar", "n2"])
def test_who_came_first_in_the_open_gives_way_to_who_seals(name):
    one, other = neighbour(1), neighbour(2)
    comes_first(one, other, name=name)
    assert seen(one) == [(name, False)]
    other.node.start(1.0)
    mingle(one, other, now=1.0)
    assert seen(one) == [("n2", True)]
    (peer,) = one.node.peers
    assert peer.service.tags == ()
    assert peer.address == other.address
    assert peer.endpoints == tuple(OFFER["endpoints"])
    for now in (2.0, 3.0):  # and no number that the stranger told hides what it says
        other.node.heartbeat(now)
        other.node.advance(now)
        mingle(one, other, now=now)
        assert peer.heard_at == now


def test_what_was_refused_in_the_open_is_judged_anew_when_it_is_sealed():
    one, other = neighbour(1), neighbour(2)

    one.hooks.add("service.validate", lambda service: service.authenticated)
    said = other.node.details
    says(one, Beacon, other, said.version, codec.digest(said), said.endpoints)
    (probe,) = [codec.decode_datagram(e.data) for e in one.take(fx.SendDatagram)]
    says(one, ProbeReply, other, probe.nonce, 0, said, False)
    assert seen(one) == []
    other.node.start(1.0)
    mingle(one, other, now=1.0)
    assert seen(one) == [("n2", True)]


def test_who_is_asked_elsewhere_at_the_moment_is_asked_where_it_seals():
    one, other = neighbour(1), neighbour(2)
    says(one, Beacon, other, VERSION, bytes(8), ())  # and no answer to what that brings
    one.take()
    other.node.start(0.01)
    mingle(one, other, now=0.01)
    assert seen(one) == [("n2", True)]


def test_nothing_in_the_open_is_believed_of_one_who_seals():
    one, other = neighbour(1), neighbour(2)
    other.node.start(0.0)
    mingle(one, other)
    before, count = peer_of(one, other).service, one.dropped.copy()
    reason = "datagrams: not sealed, of one who seals"
    says(one, Leave, other, now=1.0)
    says(one, Beacon, other, VERSION, bytes(8), (), 2, 0, 2**62, now=1.0)
    assert peer_of(one, other).service is before
    assert one.dropped[reason] == count[reason] + 2
    assert one.take(fx.SendDatagram, fx.ServiceGone) == []


def hello(bench, whose, token=5):
    me, to = whose.node.identity, bench.node.identity.key
    return Hello("default", me.id, me.boot, to, "", token, 0, 0, 0, details())


def dialled(bench, whose, now=0.0):
    """A stranger opens a link in the open."""
    link = bench.node.link_opened("tcp", STRANGER[0], now, local=False)
    frames = [codec.preface(), codec.encode_frame(hello(bench, whose))]
    bench.node.frames_received(link, frames, now)
    return link


def test_a_link_in_the_open_of_one_who_seals_is_refused():
    one, other = neighbour(1), neighbour(2)
    other.node.start(0.0)
    mingle(one, other)
    link = dialled(one, other, 1.0)
    assert link.session is None
    assert one.dropped["links: not sealed, of one who seals"] == 1
    assert seen(one) == [("n2", True)]


def test_a_link_in_the_open_that_came_first_ends_when_its_member_seals():
    one, other = neighbour(1), neighbour(2)
    link = dialled(one, other)
    assert seen(one) == [("liar", False)]
    assert link.session is not None
    other.node.start(1.0)
    mingle(one, other, now=1.0)
    assert link.session.link is None
    assert seen(one) == [("n2", True)]


def test_a_sealed_link_alone_takes_the_place_back():
    one, other = neighbour(1), neighbour(2)
    dialled(one, other)
    one.take()
    one_met, other_met = neighbour(1), other
    one_met.node.start(1.0)
    mingle(one_met, other_met, now=1.0)  # so that the other knows the one, by another copy of it
    (peer,) = other.node.peers
    other.node._links.want(peer.session("", other.node.config.limits), 2.0)
    (dial,) = other.take(fx.DialEndpoint)
    far = one.node.link_opened("tcp", other.address[0], 2.0, local=False)
    near = other.node.link_opened("tcp", one.address[0], 2.0, local=False, number=dial.number)
    carry(other, near, one, far, 2.0)
    (again,) = one.take(fx.DialEndpoint)  # in the place of the stranger's link
    assert again.endpoint == OFFER["endpoints"][0]
    assert seen(one) == [("n2", True)]
    assert [p.service.tags for p in one.node.peers] == [()]


def test_before_it_has_proved_itself_nobody_shows_what_a_stranger_said_as_its_word():
    one, other = neighbour(1), neighbour(2)
    comes_first(one, other)
    other.node.start(1.0)
    (beacon, _) = [e.data for e in other.take(fx.Announce)]
    one.node.datagram_received(beacon, other.address, 1.0)
    one.node.networks_changed(["10.0.0.0/8"], 1.0)  # which makes all services anew
    assert seen(one) == [("liar", False)]


def test_no_stranger_speaks_of_one_who_seals():
    """Whoever is a member of an open mesh may speak of others of its kind."""
    one, other, liar = neighbour(1), neighbour(2), Bench(3, **OFFER)
    other.node.start(0.0)
    liar.node.start(0.0)
    mingle(one, other, liar)
    assert sorted(seen(one)) == [("n2", True), ("n3", False)]
    subject, number = other.node.identity.key, 2**40
    me = other.node.identity
    entry = Entry(me.id, me.boot, STRANGER[0], details("n2"))
    for word in (
        Suspect("default", *_who(liar), subject, number),
        Dead("default", *_who(liar), subject, number, True),
        Vouch("default", *_who(liar), [entry]),
    ):
        one.hear(liar, word, 1.0)
    (by,) = [p for p in one.node.peers if p.key != subject]
    by.knows = 1000  # it says that the mesh is so large that words are taken
    one.hear(liar, Vouch("default", *_who(liar), [entry]), 1.0)
    one.node._views.answered(View([entry], b""), by.session("", one.node.config.limits), 1.0)
    peer = peer_of(one, other)
    assert peer.suspicion is None
    assert peer.service.tags == ()
    assert one.take(fx.ServiceGone, fx.ServiceChanged, fx.SendDatagram) == []
    assert one.dropped["datagrams: words of the unsealed, of one who seals"] == 2


def _who(bench):
    return bench.node.identity.id, bench.node.identity.boot


def test_neighbours_with_the_host_key_only_and_open_ones_meet_sealed():
    closed = Bench(1, **OFFER, ttl=0, keyring=Keyring([KEY], required=True))
    closed.address = ("127.0.0.1", 1001)
    opened = neighbour(2)
    opened.address = ("127.0.0.1", 1002)
    far = Bench(3, **OFFER, keyring=Keyring([Key.of_bytes(bytes(32), "default")], required=False))
    closed.node.start(0.0)
    opened.node.start(0.0)
    far.node.start(0.0)
    mingle(closed, opened, far)
    assert seen(closed) == [("n2", True)]
    assert sorted(seen(opened)) == [("n1", True), ("n3", False)]
    assert seen(far) == [("n2", False)]
