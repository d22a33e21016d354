"""What comes over links: opened, decoded, handed on; what does not fit ends the link, counted."""

import pytest

from meshcluster.node import effects as fx
from meshcluster.node.links import State
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.testing import Bench, carry
from meshcluster.testing.bench import mingle
from meshcluster.wire import codec
from meshcluster.wire.frames import Event, Goodbye
from meshcluster.wire.sealed import TAG_BYTES

KEY, OTHER = (Key.of_bytes(bytes([number]) * 32, "default") for number in (1, 2))


def met(*keys: Key) -> tuple[Bench, Bench]:
    """Two that know each other."""
    rings = [Keyring(keys or [KEY], is_secret=True) for _ in range(2)]
    one, two = (Bench(number, keyring=ring) for number, ring in enumerate(rings, 1))
    one.node.start(0.0)
    two.node.start(0.0)
    mingle(one, two)
    return one, two


def session_of(bench: Bench):
    (peer,) = list(bench.node.peers)
    return peer.session("", bench.node.config.limits)


def tell(bench: Bench, *bodies: bytes, now: float = 0.0) -> None:
    session = session_of(bench)
    for body in bodies:
        session.put(Event(0, 1, body))
    bench.node.wake(session, now)


def heard(bench: Bench) -> list[bytes]:
    return [event.body for came in bench.take(fx.EventsArrived) for event in came.events]


def linked(one: Bench, two: Bench, *, same_user: bool = False, now: float = 0.0):
    """One dials the other; returns both ends and all frames that went, each way."""
    (dial,) = one.take(fx.DialEndpoint)
    far = two.node.link_opened("unix", "", now, local=True, same_user=same_user)
    near = one.node.link_opened(
        "unix", "", now, local=True, same_user=same_user, number=dial.number
    )
    return near, far


def exchanged(one: Bench, near, two: Bench, far, now: float = 0.0) -> list[bytes]:
    """Moves frames both ways until nobody has any; all of them."""
    frames = []
    while True:
        there, back = one.node.take_frames(near), two.node.take_frames(far)
        if not there and not back:
            return frames
        frames += [*there, *back]
        two.node.frames_received(far, there, now)
        one.node.frames_received(near, back, now)


def test_after_the_handshake_nothing_goes_in_the_open() -> None:
    one, two = met()
    tell(one, b"a word that nobody else may read")
    near, far = linked(one, two)
    frames = exchanged(one, near, two, far)
    assert near.state is far.state is State.OPEN
    assert heard(two) == [b"a word that nobody else may read"]
    prefaces = [codec.preface(codec.SECURITY_NOISE)] * 2
    assert [frame for frame in frames if frame[:4] == b"mesh"] == prefaces
    words = (b"a word", b"default", b"n1", b"n2", b"host")
    assert not any(word in frame for frame in frames for word in words)
    two.take()
    tell(two, b"and back")
    (record,) = two.node.take_frames(far)
    one.node.frames_received(near, [record], 0.0)
    assert heard(one) == [b"and back"]


def test_between_processes_of_one_user_frames_go_as_they_are() -> None:
    one, two = met()
    tell(one, b"a word")
    near, far = linked(one, two, same_user=True)
    frames = exchanged(one, near, two, far)
    assert heard(two) == [b"a word"]
    assert any(b"a word" in frame for frame in frames)
    assert near.entrance.key_id == far.entrance.key_id == KEY.id


@pytest.mark.parametrize("what", ["changed", "doubled", "left out", "cut off", "plain"])
def test_a_frame_that_is_not_the_next_one_ends_its_link(what: str) -> None:
    one, two = met()
    tell(one, b"first")
    near, far = linked(one, two)
    exchanged(one, near, two, far)
    assert heard(two) == [b"first"]
    tell(one, b"second")
    (record,) = one.node.take_frames(near)
    forged = {
        "changed": [record[:-1] + bytes([record[-1] ^ 1])],
        "doubled": [record, record],
        "left out": [near.records.seal(b"later")],
        "cut off": [record[: TAG_BYTES - 1]],
        "plain": [codec.encode_frame(Goodbye())],
    }[what]
    two.node.frames_received(far, forged, 1.0)
    assert two.dropped["links: forged frame"] == 1
    assert far.state is State.CLOSED
    assert two.known == ["n1"]  # a goodbye that is forged is none


def test_after_a_fault_nothing_more_of_a_link_is_read() -> None:
    one, two = met()
    tell(one, b"first")
    near, far = linked(one, two)
    exchanged(one, near, two, far)
    two.take()
    tell(one, b"second")
    good = one.node.take_frames(near)
    two.node.frames_received(far, [bytes(40), *good], 1.0)
    assert heard(two) == []
    assert two.dropped["links: forged frame"] == 1


def test_what_ended_a_link_is_reported_once_and_then_counted() -> None:
    one, _ = met()
    one.node.take_effects()
    for _ in range(3):
        link = one.node.link_opened("tcp", "10.0.0.9", 0.0, local=False)
        one.node.frames_received(link, [b"GET / HTTP/1.1"], 0.0)
        assert one.node.take_frames(link) == []  # silent on the wire
    assert [effect.text for effect in one.take(fx.Report)] == [
        "ended a tcp link from 10.0.0.9: foreign link (further ones are only counted)"
    ]
    assert one.dropped["links: foreign link"] == 3


def test_who_has_no_key_of_ours_hears_not_a_byte() -> None:
    one, _ = met()
    for frames in (
        [codec.preface()],
        [codec.preface(codec.SECURITY_NOISE), OTHER.id + bytes(49)],
        [codec.preface(codec.SECURITY_NOISE), KEY.id + bytes(49)],
    ):
        link = one.node.link_opened("tcp", "10.0.0.9", 0.0, local=False)
        one.node.frames_received(link, frames, 0.0)
        assert one.node.take_frames(link) == []
        assert link.state is State.CLOSED
    assert one.dropped["links: link that is not sealed"] == 1
    assert one.dropped["links: link of another secret"] + one.dropped.get(
        "links: malformed handshake", 0
    ) == 2  # fmt: skip


# --- keys that change ---------------------------------------------------------------------------


def test_a_key_that_is_removed_ends_its_links_and_nothing_is_lost() -> None:
    one, two = met(KEY, OTHER)
    tell(one, b"first")
    near, far = linked(one, two)
    exchanged(one, near, two, far)
    assert near.entrance.key_id == KEY.id
    tell(one, b"second")
    one.node.take_frames(near)  # on its way when the link ends
    tell(one, b"third")
    got = heard(two)
    for each in (one, two):
        each.node.keyring.use(OTHER.id)
        each.node.keys_changed(1.0)
        mingle(two if each is one else one)
    assert near.state is far.state is State.OPEN  # its key is in the ring still
    for each in (one, two):
        each.node.keyring.remove(KEY.id)
        each.node.keys_changed(2.0)
    assert near.state is far.state is State.CLOSED
    assert (one.known, two.known) == (["n2"], ["n1"])
    (dial,) = one.take(fx.DialEndpoint)
    far = two.node.link_opened("tcp", one.address[0], 2.0, local=False)
    near = one.node.link_opened("tcp", two.address[0], 2.0, local=False, number=dial.number)
    two.node.take_effects()
    carry(one, near, two, far, 2.0)
    assert near.entrance.key_id == OTHER.id
    assert [*got, *heard(two)] == [b"first", b"second", b"third"]


def test_a_link_of_a_key_that_stays_is_left_alone() -> None:
    one, two = met(KEY, OTHER)
    tell(one, b"first")
    near, far = linked(one, two)
    exchanged(one, near, two, far)
    for each in (one, two):
        each.node.keyring.remove(OTHER.id)
        each.node.keys_changed(1.0)
    assert near.state is far.state is State.OPEN
