"""The door of a member with keys: who is let in, what is dropped, and what is said of it."""

import pytest

from meshcluster.model import Address
from meshcluster.node import effects as fx
from meshcluster.node.guard import AGAIN_SECONDS, TELL_SECONDS
from meshcluster.node.membership import Peer
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.testing import Bench, pass_time
from meshcluster.testing.bench import mingle
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Leave
from meshcluster.wire.sealed import SEAL_BYTES, is_sealed, sealed_by
from meshcluster.wire.txt import record_of

KEY, OTHER = (Key.of_bytes(bytes([number]) * 32, "default") for number in (1, 2))
ELSEWHERE = ("10.0.0.77", 7)


def bench(number: int, *keys: Key, required: bool = True, host: bool = False, **config) -> Bench:
    ring = Keyring(keys or [KEY], required=required, is_secret=not host)
    return Bench(number, keyring=ring, **config)


def start(*benches: Bench) -> None:
    for each in benches:
        each.node.start(0.0)


def meet(*benches: Bench) -> list[bytes]:
    start(*benches)
    return [data for data, _ in mingle(*benches)]


def heard_of(one: Bench) -> list[Peer]:
    """Members and whoever else it takes for one to be."""
    return list(one.node.peers._all.values())


def announced(one: Bench, now: float) -> list[bytes]:
    """What it says to the group next."""
    one.node._discovery.beacon(now)
    return [effect.data for effect in one.take(fx.Announce)]


def test_two_with_one_secret_meet_and_say_nothing_in_the_open() -> None:
    one, two = bench(1), bench(2)
    sent = meet(one, two)
    assert (one.known, two.known) == (["n2"], ["n1"])
    assert all(map(is_sealed, sent))
    assert not any(word in data for data in sent for word in (b"default", b"n1", b"n2", b"tcp"))
    for each in (one, two):
        (service,) = (peer.service for peer in each.node.peers)
        assert service.authenticated


def test_two_with_different_secrets_are_silent_to_each_other() -> None:
    one, two = bench(1), bench(2, OTHER)
    start(one, two)
    heard = two.take(fx.Announce)
    one.take(fx.Announce)
    for effect in heard:
        one.node.datagram_received(effect.data, two.address, 0.0)
    assert one.take(fx.SendDatagram, fx.Announce) == []
    assert heard_of(one) == []
    assert one.dropped == {"datagrams: sealed with a key that is not ours": len(heard)}


def test_one_secret_is_another_key_in_another_mesh() -> None:
    secret = bytes(32)
    one, two = (
        bench(number, Key.of_bytes(secret, cluster), cluster=cluster)
        for number, cluster in ((1, "red"), (2, "blue"))
    )
    meet(one, two)
    assert heard_of(one) == heard_of(two) == []


def test_what_is_changed_in_any_byte_is_nothing() -> None:
    one, two = bench(1), bench(2)
    start(two)
    (beacon,) = [effect.data for effect in two.take(fx.Announce)]
    for place in range(len(beacon)):
        forged = bytearray(beacon)
        forged[place] ^= 1
        one.node.datagram_received(bytes(forged), two.address, 0.0)
    one.node.datagram_received(beacon[: SEAL_BYTES - 1], two.address, 0.0)
    assert one.take(fx.SendDatagram, fx.Announce) == []
    assert heard_of(one) == []
    assert sum(one.dropped.values()) == len(beacon) + 1
    one.node.datagram_received(beacon, two.address, 0.0)
    assert [peer.id for peer in heard_of(one)] == [two.node.identity.id]


def test_what_is_too_long_is_not_even_opened() -> None:
    one, two = bench(1), bench(2)
    start(two)
    (beacon,) = [effect.data for effect in two.take(fx.Announce)]
    one.node.datagram_received(beacon + bytes(1300), two.address, 0.0)
    assert one.dropped == {"datagrams: oversized": 1}


def test_whatever_comes_again_is_dropped() -> None:
    one, two = bench(1), bench(2)
    sent = meet(one, two)
    told = [data for data in sent if sealed_by(data).id == two.node.identity.id]
    before = [(peer.address, peer.heard_at) for peer in one.node.peers]
    for source in (two.address, ELSEWHERE):
        for data in told[1:]:  # the first one is a beacon
            one.node.datagram_received(data, source, 5.0)
    assert one.dropped["datagrams: replayed"] == 2 * len(told[1:])
    assert one.take(fx.SendDatagram, fx.Announce) == []
    assert [(peer.address, peer.heard_at) for peer in one.node.peers] == before


def test_a_copy_of_a_beacon_tells_where_its_member_is_heard_and_nothing_else() -> None:
    """It goes out on each network: on one that both are in it comes from another address."""
    one, two = bench(1), bench(2)
    meet(one, two)
    (beacon,) = announced(two, 1.0)
    one.node.datagram_received(beacon, two.address, 1.0)
    (peer,) = one.node.peers
    one.node.datagram_received(beacon, ELSEWHERE, 1.0)
    assert "datagrams: replayed" not in one.dropped
    assert (peer.address, peer.elsewhere_at) == (two.address, 1.0)
    number = peer.number
    one.node.datagram_received(beacon, two.address, 9.0)
    assert (peer.number, peer.heard_at) == (number, 1.0)
    assert one.dropped.keys() & {"datagrams: repeated beacons", "datagrams: replayed"}


def test_a_beacon_far_behind_is_replayed_wherever_it_comes_from() -> None:
    one, two = bench(1), bench(2)
    meet(one, two)
    (old,) = announced(two, 1.0)
    for count in range(64):
        for data in announced(two, 1.0 + count):
            one.node.datagram_received(data, two.address, 1.0 + count)
    one.node.datagram_received(old, ELSEWHERE, 70.0)
    assert one.dropped["datagrams: replayed"] == 1


def test_numbers_that_overtake_each_other_are_all_taken() -> None:
    one, two = bench(1), bench(2)
    meet(one, two)
    later = [data for count in range(5) for data in announced(two, 1.0 + count)]
    for data in reversed(later):
        one.node.datagram_received(data, two.address, 9.0)
    assert "datagrams: replayed" not in one.dropped


def test_our_own_copies_are_known_as_ours() -> None:
    one = bench(1)
    start(one)
    for effect in one.take(fx.Announce):
        one.node.datagram_received(effect.data, one.address, 0.0)
    assert one.dropped == {"datagrams: own copies": 1}


# --- nothing but sealed -------------------------------------------------------------------------


def test_a_ring_that_is_required_takes_nothing_plain() -> None:
    one, plain = bench(1), Bench(2)
    meet(one, plain)
    assert heard_of(one) == []
    assert set(one.dropped) == {"datagrams: not sealed"}
    assert set(plain.dropped) <= {"datagrams: foreign datagram"}


def test_a_plain_goodbye_of_a_member_is_ignored() -> None:
    one, two = bench(1), bench(2)
    meet(one, two)
    me = two.node.identity
    one.hear(two, Leave("default", me.id, me.boot), 1.0)
    assert one.known == ["n2"]
    assert one.dropped == {"datagrams: not sealed": 1}


# --- a mesh that is open -------------------------------------------------------------------------


def open_bench(number: int, *keys: Key) -> Bench:
    return bench(number, *keys, required=False, host=True)


def test_an_open_member_meets_strangers_in_the_open_and_its_own_sealed() -> None:
    one, own, stranger = open_bench(1), bench(2, host=True), open_bench(3, OTHER)
    meet(one, own, stranger)
    assert sorted(one.known) == ["n2", "n3"]
    assert (own.known, stranger.known) == (["n1"], ["n1"])
    known = {peer.service.name: peer.service.authenticated for peer in one.node.peers}
    assert known == {"n2": True, "n3": False}


def test_two_open_members_of_one_user_have_proved_it() -> None:
    one, two = open_bench(1), open_bench(2)
    meet(one, two)
    assert [peer.service.authenticated for peer in one.node.peers] == [True]


def test_to_the_group_it_says_all_twice_sealed_for_this_host_and_plain_beyond() -> None:
    one = open_bench(1)
    start(one)
    near, far = one.take(fx.Announce)
    assert (near.near, is_sealed(near.data)) == (True, True)
    assert (far.near, is_sealed(far.data)) == (False, False)


def test_who_has_only_to_be_heard_sealed_says_it_once() -> None:
    one = bench(1)
    start(one)
    (all_of_it,) = one.take(fx.Announce)
    assert all_of_it.near is None


def test_who_seals_is_not_taken_for_one_who_does_not() -> None:
    one, own, forger = open_bench(1), bench(2, host=True), Bench(9)
    meet(one, own)
    me = own.node.identity
    for said in (
        Leave("default", me.id, me.boot),
        Beacon("default", me.id, me.boot, 9, bytes(8), (), number=999),
    ):
        for source in (own, forger):
            one.hear(source, said, 1.0)
    assert one.known == ["n2"]
    assert one.take(fx.SendDatagram) == []
    assert one.dropped["datagrams: not sealed, of one who seals"] == 4


def test_who_was_first_heard_in_the_open_is_asked_again_once_it_seals() -> None:
    """Somebody else may have spoken in its name."""
    one, own = open_bench(1), open_bench(2)
    start(one, own)
    near, far = own.take(fx.Announce)
    one.node.datagram_received(far.data, own.address, 0.0)
    asked = one.take(fx.SendDatagram)
    assert [is_sealed(effect.data) for effect in asked] == [False]
    one.node.datagram_received(near.data, own.address, 0.0)
    (peer,) = heard_of(one)
    assert peer.key_id == KEY.id
    pass_time(one, 1.0)  # what it was asked before is asked again
    mingle(one, own, now=1.0)
    assert [peer.service.authenticated for peer in one.node.peers] == [True]


# --- rotation -----------------------------------------------------------------------------------


def rings(*benches: Bench) -> list[Keyring]:
    return [each.node.keyring for each in benches]


def beacons(*benches: Bench, now: float) -> None:
    for each in benches:
        each.node.keys_changed(now)
        each.node._discovery.beacon(now)
    mingle(*benches, now=now)


def test_a_secret_is_changed_while_everybody_stays() -> None:
    one, two = bench(1), bench(2)
    meet(one, two)
    steps = [
        lambda ring: ring.add(OTHER), lambda ring: ring.use(OTHER.id),
        lambda ring: ring.remove(KEY.id),
    ]  # fmt: skip
    now = 0.0
    for step in steps:
        for ring in rings(one, two):
            step(ring)
            now += 1.0
            beacons(one, two, now=now)
            assert (one.known, two.known) == (["n2"], ["n1"])
            assert all(peer.heard_at == now for each in (one, two) for peer in each.node.peers)
    assert [peer.key_id for peer in one.node.peers] == [OTHER.id]
    assert not any("not ours" in reason for reason in (*one.dropped, *two.dropped))


def test_who_seals_with_which_key_is_known() -> None:
    one, two = bench(1, KEY, OTHER), bench(2, KEY, OTHER)
    meet(one, two)
    (peer,) = one.node.peers
    assert peer.key_id == KEY.id
    two.node.keyring.use(OTHER.id)
    beacons(two, one, now=1.0)
    assert peer.key_id == OTHER.id


# --- what is announced for long -----------------------------------------------------------------


def test_a_hint_is_opened_however_old_it_is() -> None:
    one, two = bench(1), bench(2)
    start(two)
    (beacon,) = two.take(fx.Announce)
    for _ in range(2):
        one.node.hints.heard(beacon.data, two.address, 0.0)
    assert [effect.address for effect in one.take(fx.SendDatagram)] == [two.address]
    assert one.dropped == {}


@pytest.mark.parametrize("keys", [[OTHER], []], ids=["another secret", "none"])
def test_hints_that_cannot_be_believed_are_counted(keys: list[Key]) -> None:
    one, two = bench(1), bench(2, *keys) if keys else Bench(2)
    start(two)
    (beacon,) = two.take(fx.Announce)
    one.node.hints.heard(beacon.data, two.address, 0.0)
    one.node.hints.vanished(beacon.data, 0.0)
    reason = "sealed with a key that is not ours" if keys else "not sealed"
    assert one.dropped == {f"hints: {reason}": 2}
    assert one.take(fx.SendDatagram) == []


def test_a_plain_record_is_no_hint_for_who_has_a_secret() -> None:
    one, two = bench(1), Bench(2)
    start(two)
    (beacon,) = two.take(fx.Announce)
    record = record_of(codec.decode_datagram(beacon.data), "", port=9, ttl=1)
    one.node.hints.heard(record, two.address, 0.0)
    assert one.dropped == {"hints: of another cluster, or another secret": 1}
    assert one.take(fx.SendDatagram) == []


# --- the line about others ----------------------------------------------------------------------


def lines(one: Bench) -> list[str]:
    return [effect.text for effect in one.take(fx.Report)]


def cry(one: Bench, *sources: Address, now: float) -> None:
    """A beacon of somebody with another secret comes from each."""
    other = bench(9, OTHER)
    for source in sources:
        (beacon,) = announced(other, 0.0)
        one.node.datagram_received(beacon, source, now)


def test_who_has_another_secret_is_told_of_in_a_line_a_minute_each_host_once_an_hour() -> None:
    one = bench(1)
    cry(one, ("10.0.0.7", 7), now=0.0)
    (line,) = lines(one)
    assert line.startswith("1 host cannot be understood")
    assert line.endswith(": 10.0.0.7")
    cry(one, ("10.0.0.7", 7), ("10.0.0.8", 8), ("10.0.0.7", 9), now=TELL_SECONDS - 1)
    assert lines(one) == []
    cry(one, ("10.0.0.9", 7), now=TELL_SECONDS)
    (line,) = lines(one)
    assert line.startswith("2 hosts cannot")
    assert line.endswith(": 10.0.0.8, 10.0.0.9")
    cry(one, ("10.0.0.7", 7), now=AGAIN_SECONDS)
    (line,) = lines(one)
    assert line.endswith(": 10.0.0.7")


def test_who_has_no_secret_is_told_of_as_well() -> None:
    one, plain = bench(1), Bench(2)
    meet(one, plain)
    assert one.dropped["datagrams: not sealed"] == 1


def test_noise_is_nobodys_mistake() -> None:
    one = bench(1)
    one.node.datagram_received(b"noise", ELSEWHERE, 0.0)
    assert lines(one) == []
    assert one.dropped == {"datagrams: not sealed": 1}


def test_another_users_host_key_is_no_mistake() -> None:
    one = bench(1, host=True)
    cry(one, ELSEWHERE, now=0.0)
    assert lines(one) == []
    assert one.dropped == {"datagrams: sealed with a key that is not ours": 1}


def test_hosts_that_are_told_of_are_bounded() -> None:
    one = bench(1)
    cry(one, ELSEWHERE, now=0.0)
    lines(one)
    cry(one, *((f"10.1.{n // 250}.{n % 250}", 7) for n in range(400)), now=1.0)
    cry(one, ELSEWHERE, now=TELL_SECONDS)
    (line,) = lines(one)
    assert line.startswith("255 hosts"), "one of them was named before"
    assert len(line) < 200
