"""Heard is not known: what makes a candidate, what proves it, what is dropped and counted."""

from itertools import pairwise

import pytest
from msgspec import structs

from meshcluster.config import Limits
from meshcluster.model import CRASHED, LEFT, is_unix, member_key, unix_address
from meshcluster.node import effects as fx
from meshcluster.node.links import NodeLink
from meshcluster.testing import Bench, carry, connect, introduce, pass_time
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Event, Leave, Probe, ProbeAck, ProbeReply, Solicit


def test_a_newcomer_announces_itself_at_once_and_twice_more() -> None:
    one = Bench(1)
    one.node.start(0.0)
    assert [type(d) for d in one.datagrams()] == [Beacon]
    one.node.advance(0.1)
    assert [type(d) for d in one.datagrams()] == [Beacon]
    one.node.advance(0.4)
    assert [type(d) for d in one.datagrams()] == [Beacon]


def test_heartbeats_are_jittered_within_a_fifth() -> None:
    one = Bench(1, heartbeat_seconds=10.0)
    now = 0.0
    one.node.start(now)
    times = []
    for _ in range(50):
        now = one.node.deadline()
        one.node.advance(now)
        times.append(now)
    gaps = [later - earlier for earlier, later in pairwise(times[2:])]
    assert all(8.0 <= gap <= 12.0 for gap in gaps)
    assert len(set(gaps)) > 40


def test_a_beacon_is_answered_by_a_probe_to_its_source_and_nothing_else() -> None:
    one, other = Bench(1), Bench(2)
    other.node.start(0.0)
    (beacon,) = other.datagrams()
    one.hear(other, beacon, 0.0)
    (effect,) = one.node.take_effects()
    assert isinstance(effect, fx.SendDatagram)
    assert effect.address == other.address
    assert isinstance(codec.decode_datagram(effect.data), Probe)
    assert one.known == []


def test_three_datagrams_make_two_members_of_two_strangers() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    assert (one.known, other.known) == (["n2"], ["n1"])
    assert len(one.take(fx.ServiceDiscovered)) == len(other.take(fx.ServiceDiscovered)) == 1


def test_a_reply_with_a_wrong_number_proves_nothing() -> None:
    one, other = Bench(1), Bench(2)
    other.node.start(0.0)
    one.hear(other, other.datagrams()[0], 0.0)
    me = other.node.identity
    forged = ProbeReply("default", me.id, me.boot, 12345, 0, other.node.details, False)
    one.hear(other, forged, 0.0)
    assert one.known == []
    assert one.dropped["datagrams: replies nobody asked for"] == 1


def test_an_acknowledgement_nobody_challenged_proves_nothing() -> None:
    one, other = Bench(1), Bench(2)
    me = other.node.identity
    one.hear(other, ProbeAck("default", me.id, me.boot, 0, other.node.details, ()), 0.0)
    one.hear(other, ProbeAck("default", me.id, me.boot, 7, other.node.details, ()), 0.0)
    assert one.known == []
    assert one.dropped["datagrams: replies nobody asked for"] == 2


def test_a_silent_candidate_is_probed_a_few_times_then_forgotten() -> None:
    one, other = Bench(1), Bench(2)
    other.node.start(0.0)
    one.hear(other, other.datagrams()[0], 0.0)
    probes = len(one.datagrams())
    for tenth in range(1, 100):
        one.node.advance(tenth / 10)
        probes += sum(isinstance(d, Probe) for d in one.datagrams())
    assert probes == 3
    assert one.node.peers.get(other.node.identity.key) is None


def test_a_beacon_while_it_is_probed_keeps_a_member() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    other.node.take_effects()
    other.node.describe(0.0)
    for tenth in range(1, 100):
        now = tenth / 10
        one.node.advance(now)
        if tenth % 25 == 0:  # too seldom not to be probed
            other.node._discovery.beacon(now)
            one.hear(other, other.datagrams()[-1], now)
    assert one.known == ["n2"]


def test_who_has_slept_asks_before_anybody_is_given_up() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.take()
    one.node.advance(300.0)  # long after all its timers
    assert one.known == ["n2"]
    now, probes = 300.0, []
    while not probes:
        one.node.advance(now := now + 0.1)
        probes = [each for each in one.datagrams() if isinstance(each, Probe)]
    assert now < 304, "with the next round"
    assert [peer.state for peer in one.node.peers] == ["alive"], "what was slept does not count"
    other.hear(one, probes[0], now)
    (reply,) = [each for each in other.datagrams() if isinstance(each, ProbeReply)]
    one.hear(other, reply, now)
    while one.known and now < 320:
        one.node.advance(now := now + 0.1)
    assert 305 < now < 315, "silent from then on"


def test_a_refused_probe_means_that_the_process_is_gone() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    pass_time(one, 2.4)
    one.refuse(other.address, 2.4)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == CRASHED


def test_a_refusal_of_something_never_probed_is_ignored() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.refuse(other.address, 0.5)
    one.refuse(("10.9.9.9", 1), 0.5)
    assert one.known == ["n2"]


def test_a_goodbye_counts_only_from_the_members_own_address() -> None:
    one, other, third = Bench(1), Bench(2), Bench(3)
    introduce(one, other)
    me = other.node.identity
    one.hear(third, Leave("default", me.id, me.boot), 1.0)
    assert one.known == ["n2"]
    one.hear(other, Leave("default", me.id, me.boot), 1.0)
    assert one.known == []


def test_changed_details_are_fetched_when_a_beacon_tells_of_them() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    other.node.take_effects()
    other.node.describe(1.0, tags=["new"])
    other.node.advance(1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    (probe,) = one.datagrams()
    assert probe.want
    other.hear(one, probe, 1.0)
    one.hear(other, other.datagrams()[0], 1.0)
    (changed,) = one.take(fx.ServiceChanged)
    assert changed.service.tags == ("new",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "foreign datagram"),
        (b"GET / HTTP/1.1", "foreign datagram"),
        (b"mc\x63" + b"x" * 20, "unknown version of a datagram"),
        (b"mc\x01", "malformed datagram"),
        (b"mc\x01\xff\xff\xff", "malformed datagram"),
        (b"x" * 1201, "oversized"),
    ],
)
def test_garbage_is_counted_and_reported_once(data: bytes, reason: str) -> None:
    one = Bench(1)
    for _ in range(3):
        one.node.datagram_received(data, ("10.0.0.9", 9), 0.0)
    assert one.dropped[f"datagrams: {reason}"] == 3
    assert len(one.take(fx.Report)) == 1


def test_own_copies_and_other_clusters_are_counted_quietly() -> None:
    one, other = Bench(1), Bench(2, cluster="other")
    one.node.start(0.0)
    one.hear(one, one.datagrams()[0], 0.0)
    other.node.start(0.0)
    one.hear(other, other.datagrams()[0], 0.0)
    assert one.dropped == {"datagrams: of another cluster": 1, "datagrams: own copies": 1}
    assert one.node.take_effects() == []


def junk_beacon(number: int) -> bytes:
    return codec.encode_datagram(Beacon("default", number.to_bytes(16, "big"), 1, 1, b"", ()))


def test_in_a_full_table_strangers_of_the_most_crowded_source_give_way_and_are_counted() -> None:
    one, real = Bench(1, limits=Limits(candidates=16)), Bench(2)
    real.node.start(0.0)
    one.hear(real, real.datagrams()[0], 0.0)
    for number in range(100, 100 + 16 + 4):
        one.node.datagram_received(junk_beacon(number), ("10.0.0.9", 9), 0.0)
    assert one.node.peers.strangers == 16
    assert one.dropped["candidates that gave way"] == 5
    assert one.node.peers.get(member_key(real.node.identity.id, 1)), "it is the only one there"
    for second in range(1, 10):
        one.node.advance(float(second))  # they did not answer: there is room again
    assert one.node.peers.strangers == 0


def test_goodbyes_and_answers_of_strangers_make_no_candidates() -> None:
    one = Bench(1)
    me = ("default", b"s" * 16, 1)
    for nothing in (
        Leave(*me), ProbeAck(*me, 5, None, ()), ProbeReply(*me, 5, 0, None, False)
    ):  # fmt: skip
        one.node.datagram_received(codec.encode_datagram(nothing), ("10.0.0.9", 9), 0.0)
    assert one.node.peers.strangers == 0
    assert one.dropped == {
        "datagrams: goodbyes of strangers": 1, "datagrams: replies nobody asked for": 2
    }  # fmt: skip


def test_with_ttl_0_only_loopback_sources_are_heard() -> None:
    one, other = Bench(1, ttl=0), Bench(2)
    other.node.start(0.0)
    (beacon,) = other.datagrams()
    one.hear(other, beacon, 0.0)
    assert one.dropped["datagrams: from outside this host"] == 1
    one.node.datagram_received(codec.encode_datagram(beacon), ("127.0.0.1", 9), 0.0)
    assert [type(d) for d in one.datagrams()] == [Probe]


# --- by UNIX sockets, where members of one user meet without a network ---------------------------


def by_unix(one: Bench) -> Bench:
    """The same member, heard by its UNIX socket from now on."""
    one.address = unix_address(one.node.identity.id)
    return one


def beacon(one: Bench, now: float) -> Beacon:
    """The member's next beacon."""
    one.node.take_effects()
    one.node._discovery.beacon(now)
    made = codec.decode_datagram(one.take(fx.Announce)[0].data)
    assert isinstance(made, Beacon)
    return made


@pytest.mark.parametrize("ttl", [0, 1])
def test_who_meets_by_unix_sockets_is_here_and_dialled_at_an_ip_address(ttl: int) -> None:
    one, other = by_unix(Bench(1, ttl=ttl)), by_unix(Bench(2, ttl=ttl))
    introduce(one, other)
    (service,) = [peer.service for peer in one.node.peers]
    assert service is not None
    assert (service.address, service.local) == ("127.0.0.1", True)
    assert "localhost" in service.words
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)
    assert session is not None
    one.node._links.want(session, 0.0)
    (dial,) = one.take(fx.DialEndpoint)
    assert dial.address == "127.0.0.1"


def test_beacons_by_unix_socket_do_not_move_a_member_that_answers_at_an_ip_address() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    ip_address = other.address
    probes = []
    for tenth in range(100):
        now = tenth / 10
        other.address = ip_address
        one.hear(other, beacon(other, now), now)
        one.hear(by_unix(other), beacon(other, now), now)
        for probe in [d for d in one.datagrams() if isinstance(d, Probe)]:
            probes.append(now)
            other.hear(one, probe, now)
            one.hear(other, other.datagrams()[-1], now)
        assert [peer.address for peer in one.node.peers] == [ip_address]
    assert probes == [0.0, 5.0]


def test_a_member_that_is_deaf_to_us_learns_of_us_by_its_unix_socket() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    (peer,) = list(other.node.peers)
    other.node._admission.lose(peer, "does not answer", 1.0)
    one.hear(by_unix(other), beacon(other, 1.0), 1.0)
    (probe,) = one.datagrams()
    other.hear(by_unix(one), probe, 1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    (ack,) = one.datagrams()
    other.hear(one, ack, 1.0)
    assert other.known == ["n1"]


def test_new_details_by_unix_socket_are_fetched_at_once() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.node.take_effects()
    one.hear(by_unix(other), beacon(other, 1.0), 1.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    other.node.describe(2.0, tags=["new"])
    one.hear(other, beacon(other, 2.0), 2.0)
    (probe,) = one.datagrams()
    assert probe.want


def test_a_member_met_by_unix_socket_moves_to_its_ip_address_once_that_answers() -> None:
    one, other = Bench(1), Bench(2)
    ip_address = other.address
    introduce(one, by_unix(other))
    other.address = ip_address
    one.node.take_effects()
    one.hear(other, beacon(other, 1.0), 1.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    assert [peer.address for peer in one.node.peers] == [ip_address]
    one.node.take_effects()
    one.hear(other, beacon(other, 2.0), 2.0)
    assert one.node.take_effects() == []


def test_a_goodbye_from_a_members_own_unix_socket_counts() -> None:
    one, other, third = Bench(1), Bench(2), by_unix(Bench(3))
    introduce(one, other)
    me = other.node.identity
    one.hear(third, Leave("default", me.id, me.boot), 1.0)
    assert one.known == ["n2"]
    one.hear(by_unix(other), Leave("default", me.id, me.boot), 1.0)
    assert one.known == []


def test_our_own_kernels_word_that_nobody_listens_needs_no_probe() -> None:
    one, other = Bench(1), by_unix(Bench(2))
    introduce(one, other)
    one.refuse(other.address, 0.5)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == CRASHED


def test_a_members_ip_address_outlives_its_unix_socket() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.refuse(unix_address(other.node.identity.id), 0.5)
    assert one.known == ["n2"]


def test_who_said_goodbye_before_its_host_refused_has_left() -> None:
    one, other = Bench(1), by_unix(Bench(2))
    introduce(one, other)
    other.node.take_effects()
    other.node.leave(0.5)
    (goodbye,) = [each for each in other.datagrams() if isinstance(each, Leave)]
    one.node.datagram_refused(other.address, 0.5)
    one.node.advance(9.0)  # late, and the timers are run before anything is read
    one.hear(other, goodbye, 9.0)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == LEFT


def linked_and_left() -> tuple[Bench, Bench, NodeLink, NodeLink]:
    """Who has a link hears first what the other says to all: that it leaves."""
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    other.node.take_effects()
    other.node.leave(1.0)
    (goodbye,) = [each for each in other.datagrams() if isinstance(each, Leave)]
    one.hear(other, goodbye, 1.0)
    assert one.known == ["n2"]
    return one, other, near, far


def test_the_goodbye_over_a_link_comes_after_what_was_said_to_all() -> None:
    one, other, near, far = linked_and_left()
    one.node.frames_received(near, other.node.take_frames(far), 1.01)
    one.node.advance(2.0)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == LEFT


@pytest.mark.parametrize("breaks", [False, True])
def test_the_goodbye_over_a_link_is_not_waited_for_long(breaks: bool) -> None:
    one, _other, near, _far = linked_and_left()
    if breaks:
        one.node.link_lost(near, "closed", 1.01)
    one.node.advance(1.1)
    (gone,) = one.take(fx.ServiceGone)
    assert gone.reason == LEFT


def greet(one: Bench, other: Bench) -> None:
    """The other, which knows one, opens a link to it that cannot leave this machine."""
    (me,) = list(other.node.peers)
    session = me.session("", other.node.config.limits)
    assert session is not None
    other.node._links.want(session, 0.0)
    (dial,) = other.take(fx.DialEndpoint)
    near = other.node.link_opened("unix", "", 0.0, local=True, number=dial.number)
    far = one.node.link_opened("unix", "", 0.0, local=True)
    assert near is not None
    assert far is not None
    carry(other, near, one, far)


@pytest.mark.parametrize("port", [0, 1002])
def test_a_local_links_hello_without_a_udp_port_is_of_a_member_met_by_unix_socket(
    port: int,
) -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    one.node._admission.lose(peer, "does not answer", 0.0)
    other.node._ourselves.details = structs.replace(other.node.details, port=port)
    greet(one, other)
    (peer,) = list(one.node.peers)
    assert is_unix(peer.address) == (port == 0)


def test_a_hello_by_a_local_link_does_not_move_who_was_met_by_unix_socket() -> None:
    """With details too large for a datagram a hello is what proves them."""
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    one.node._admission.lose(peer, "does not answer", 0.0)
    one.hear(by_unix(other), beacon(other, 0.0), 0.0)
    greet(one, other)
    assert [peer.address for peer in one.node.peers] == [other.address]


# --- asking everybody --------------------------------------------------------------------------


def test_discover_asks_everybody_and_no_more_often_than_every_five_seconds() -> None:
    one = Bench(1)
    assert one.node.discover(10.0)
    assert [type(d) for d in one.datagrams()] == [Solicit]
    assert not one.node.discover(14.9)
    assert one.datagrams() == []
    assert one.node.discover(15.0)
    assert [type(d) for d in one.datagrams()] == [Solicit]


def test_who_answers_a_solicitation_is_a_member_and_so_is_who_asked() -> None:
    one, other = Bench(1), Bench(2)
    one.node.discover(1.0)
    (solicit,) = one.datagrams()
    other.hear(one, solicit, 1.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 1.0)
    (ack,) = one.datagrams()
    other.hear(one, ack, 1.0)
    assert (one.known, other.known) == (["n2"], ["n1"])


def test_a_solicitation_is_answered_for_three_seconds_and_each_has_its_own_number() -> None:
    """Everybody heard the number, so it must not prove anybody for ever."""
    one, other = Bench(1), Bench(2)
    one.node.discover(1.0)
    (first,) = one.datagrams()
    me = other.node.identity
    late = ProbeReply("default", me.id, me.boot, first.nonce, 0, other.node.details, False)
    one.hear(other, late, 4.0)
    assert one.known == []
    assert one.dropped["datagrams: replies nobody asked for"] == 1
    one.node.discover(6.0)
    (second,) = one.datagrams()
    assert second.nonce != first.nonce
    one.hear(other, late, 6.0)
    assert one.known == []
    one.hear(other, structs.replace(late, nonce=second.nonce), 6.0)
    assert one.known == ["n2"]


def test_who_was_asked_for_nothing_answers_in_vain() -> None:
    one, other = Bench(1), Bench(2)
    me = other.node.identity
    one.hear(other, ProbeReply("default", me.id, me.boot, 0, 0, other.node.details, False), 1.0)
    assert one.known == []


# --- observers ---------------------------------------------------------------------------------


def test_an_observer_solicits_three_times_and_never_beacons_or_says_goodbye() -> None:
    one = Bench(1, observer=True)
    one.node.start(0.0)
    sent = one.datagrams()
    while (now := one.node.deadline()) is not None and now < 60.0:
        one.node.advance(now)
        sent += one.datagrams()
    one.node.leave(61.0)
    sent += one.datagrams()
    assert [type(d) for d in sent] == [Solicit] * 3
    assert all(d.observer for d in sent)


def test_who_answers_an_observer_does_not_keep_it() -> None:
    watcher, other = Bench(1, observer=True), Bench(2)
    watcher.node.start(0.0)
    (solicit,) = watcher.datagrams()
    other.hear(watcher, solicit, 0.0)
    (reply,) = other.datagrams()
    watcher.hear(other, reply, 0.0)
    assert watcher.known == ["n2"]
    assert watcher.datagrams() == []
    assert other.known == []
    assert other.node.peers.get(watcher.node.identity.key) is None


def test_observers_do_not_answer_each_other() -> None:
    watcher, other = Bench(1, observer=True), Bench(2, observer=True)
    watcher.node.start(0.0)
    (solicit,) = watcher.datagrams()
    other.hear(watcher, solicit, 0.0)
    assert other.datagrams() == []


# --- rates and places --------------------------------------------------------------------------


def test_however_often_we_change_there_are_fifty_milliseconds_between_beacons() -> None:
    one = Bench(1)
    one.node.start(0.0)
    one.node.advance(0.4)
    one.node.take_effects()
    times = []
    for number in range(500):
        now = 1.0 + number / 1000
        one.node.describe(now, tags=(f"{number}",))
        one.node.heartbeat(now)
        one.node.advance(now)
        times += [now] * len(one.datagrams())
    assert all(later - earlier >= 0.0499 for earlier, later in pairwise(times))
    assert len(times) >= 9


@pytest.mark.parametrize(
    ("address", "lan"),
    [("10.0.0.77", True), ("10.0.1.1", False), ("127.0.0.1", True), ("fe80::1", False)],
)
def test_an_address_in_a_network_of_ours_is_on_our_lan(address: str, lan: bool) -> None:
    one, other = Bench(1, own_networks=["10.0.0.1/24"], ttl=2), Bench(2)
    other.address = (address, 5)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    assert peer.service.lan == lan


def test_who_is_met_by_unix_socket_is_on_our_lan_and_host_whatever_our_networks() -> None:
    one, other = Bench(1, own_networks=["10.0.0.1/24"]), by_unix(Bench(2))
    introduce(one, other)
    (peer,) = list(one.node.peers)
    assert (peer.service.local, peer.service.lan) == (True, True)


def test_what_a_neighbour_claims_of_a_strangers_place_is_forgotten_when_it_speaks() -> None:
    one, other = Bench(1), Bench(2)
    address, other.address = other.address, ("127.0.0.1", 9)
    one.hear(other, beacon(other, 0.0), 0.0)  # in its name, from this machine
    (probe,) = one.datagrams()
    other.address = address
    other.hear(one, probe, 0.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 0.0)
    (peer,) = list(one.node.peers)
    assert not peer.service.local


# --- several ways to one member ------------------------------------------------------------------


def heard_from(one: Bench, other: Bench, address: tuple[str, int], now: float) -> None:
    """The other's next beacon comes from there."""
    home, other.address = other.address, address
    one.hear(other, beacon(other, now), now)
    other.address = home


def test_a_member_that_is_heard_on_another_network_too_stays_where_it_is() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.take()
    heard_from(one, other, ("10.1.0.2", 1002), 0.5)
    assert one.datagrams() == []
    (peer,) = list(one.node.peers)
    assert peer.address == other.address
    assert peer.others == ("10.1.0.2",)


def test_a_dial_is_told_where_else_a_member_was_heard() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    heard_from(one, other, ("10.1.0.2", 1002), 0.5)
    (peer,) = list(one.node.peers)
    one.take()
    session = peer.session("", one.node.config.limits)
    session.put(Event(0, 0, b""))
    one.node.wake(session, 0.6)
    (dial,) = one.take(fx.DialEndpoint)
    assert (dial.address, dial.others) == ("10.0.0.2", ("10.1.0.2",))


def test_a_member_that_is_heard_elsewhere_only_is_probed_there_and_moves() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.take()
    other.address = ("10.0.0.99", 1002)
    one.hear(other, beacon(other, 5.0), 5.0)
    (probe,) = one.datagrams()
    other.hear(one, probe, 5.0)
    (reply,) = other.datagrams()
    one.hear(other, reply, 5.0)
    (peer,) = list(one.node.peers)
    assert peer.address == other.address
    assert one.node.peers.member(peer.key) is peer


def test_a_member_that_has_moved_is_asked_where_it_is_heard_before_it_is_given_up() -> None:
    """However seldom it beacons: nobody may answer any more where it was."""
    one, other = Bench(1), Bench(2, heartbeat_seconds=10.0)
    introduce(one, other)
    one.take()
    home, other.address = other.address, ("10.0.0.99", 1002)
    one.hear(other, beacon(other, 0.9), 0.9)
    assert one.datagrams() == []
    pass_time(one, 1.4)
    (probe,) = one.take(fx.SendDatagram)
    assert probe.address == other.address
    other.node.datagram_received(probe.data, one.address, 1.4)
    (reply,) = other.datagrams()
    one.hear(other, reply, 1.4)
    (peer,) = list(one.node.peers)
    assert peer.address == other.address != home


def test_a_link_to_where_a_member_was_for_a_moment_is_ended() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    one.take()
    for now in (1.0, 2.0):
        heard_from(one, other, ("10.0.0.99", 1002), now - 0.5)
        one.hear(other, beacon(other, now), now)
    home, other.address = other.address, ("10.0.0.99", 1002)
    near, _ = connect(one, other, 2.0)
    other.address = home
    one.take()
    one.hear(other, beacon(other, 2.5), 2.5)
    assert one.take(fx.CloseLink) == []
    one.hear(other, beacon(other, 3.5), 3.5)
    ended, dial = one.take(fx.CloseLink, fx.DialEndpoint)
    assert (ended.link, dial.address) == (near, "10.0.0.2")


def test_who_has_a_moved_members_address_does_not_speak_for_it() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, _ = connect(one, other)
    one.node.link_lost(near, "reset by whoever is there now", 0.5)
    assert one.take(fx.SendDatagram)[0].address == other.address
    heard_from(one, other, ("10.0.0.99", 1002), 0.6)
    one.refuse(other.address, 0.6)
    (probe,) = one.take(fx.SendDatagram)
    assert probe.address == ("10.0.0.99", 1002)
    assert one.known == ["n2"]
    one.refuse(("10.0.0.99", 1002), 0.7)
    assert one.known == []


def test_an_address_that_reaches_further_is_preferred_at_once() -> None:
    one, other = Bench(1), Bench(2)
    lan, other.address = other.address, ("127.0.0.1", 1002)
    introduce(one, other)
    one.take()
    other.address = lan
    one.hear(other, beacon(other, 0.5), 0.5)
    assert [type(d) for d in one.datagrams()] == [Probe]


def test_when_our_networks_change_we_announce_ourselves_at_once() -> None:
    one = Bench(1, own_networks=["10.0.0.1/24"])
    one.node.start(0.0)
    one.take()
    one.node.networks_changed(["10.0.0.1/24", "10.1.0.1/24"], 10.0)
    one.node.advance(10.01)
    assert Beacon in [type(d) for d in one.datagrams()]
    assert one.node.details.endpoints[0].props["hosts"] == "10.0.0.1,10.1.0.1"
    assert one.node.scope.covers("10.1.0.9")


def test_what_comes_from_no_network_of_ours_is_refused_and_counted() -> None:
    one, other = Bench(1, own_networks=["10.0.0.1/24"]), Bench(2)
    heard_from(one, other, ("10.9.0.1", 5), 0.0)
    assert one.datagrams() == []
    assert one.dropped == {"datagrams: from outside our networks": 1}
    assert one.node.link_opened("tcp", "10.9.0.1", 0.0, local=False) is None
    assert not one.node.near("10.9.0.1", "guests")
    assert one.node.near("10.0.0.9", "guests")
    assert one.dropped["links from outside the scope"] == 1
    assert one.dropped["guests from outside the scope"] == 1
