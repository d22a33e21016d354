"""How a link begins: by which key, what is agreed on, and what ends it before a word is said."""

from random import Random

import pytest

from meshcluster.errors import DecodeError
from meshcluster.node.entrance import Entrances, Plain
from meshcluster.node.membership import Peer
from meshcluster.security.keyring import Keyring
from meshcluster.security.keys import Key
from meshcluster.wire import codec

KEY, OTHER = (Key.of_bytes(bytes([number]) * 32, "default") for number in (1, 2))
PLAIN, SEALED = codec.preface(), codec.preface(codec.SECURITY_NOISE)


def entrances(*keys, required=True, cluster="default"):
    return Entrances(Keyring(keys, required=required), cluster, Random(len(keys)))


@pytest.fixture
def peer():
    return Peer(bytes(16), 1, ("10.0.0.1", 1), 0.0)


def begin(one, other):
    """The frames of both ends, in turn, until nobody has any."""
    waiting, sides = one.first(), [(other, one), (one, other)]
    assert other.first() == []  # who accepts says nothing
    while waiting:
        taker, _ = sides[0]
        waiting = [said for frame in waiting for said in taker.take(frame)]
        sides.reverse()


def test_without_keys_both_say_their_preface(peer):
    ours, theirs = entrances(), entrances()
    one, other = ours.dialled(peer, same_user=True), theirs.accepted(same_user=True)
    begin(one, other)
    assert one.passed
    assert other.passed
    assert one.records is other.records is None
    assert one.key_id == other.key_id == b""


@pytest.mark.parametrize("user", [(False, False), (True, False), (False, True)])
def test_with_a_key_it_is_proved_and_all_that_follows_is_sealed(peer, user):
    one = entrances(KEY).dialled(peer, same_user=user[0])
    other = entrances(KEY).accepted(same_user=user[1])
    begin(one, other)
    assert one.passed
    assert other.passed
    assert one.key_id == other.key_id == KEY.id
    for sender, receiver in ((one, other), (other, one)):
        record = sender.records.seal(b"hello")
        assert b"hello" not in record
        assert receiver.records.open(record) == b"hello"


def test_only_where_both_know_that_the_other_is_of_their_user_nothing_is_sealed(peer):
    one = entrances(KEY).dialled(peer, same_user=True)
    other = entrances(KEY).accepted(same_user=True)
    begin(one, other)
    assert one.records is other.records is None
    assert one.key_id == other.key_id == KEY.id  # proved nevertheless


def test_who_dials_uses_its_first_key_and_who_accepts_has_it_somewhere(peer):
    one = entrances(OTHER, KEY).dialled(peer, same_user=False)
    other = entrances(KEY, OTHER).accepted(same_user=False)
    begin(one, other)
    assert one.key_id == other.key_id == OTHER.id


@pytest.mark.parametrize("theirs", [[OTHER], [KEY]], ids=["another secret", "another mesh"])
def test_who_has_another_secret_gets_no_word_and_no_reason(peer, theirs):
    cluster = "default" if theirs == [OTHER] else "other"
    one = entrances(KEY).dialled(peer, same_user=False)
    other = entrances(*theirs, cluster=cluster).accepted(same_user=False)
    preface, message = one.first()
    assert other.take(preface) == []
    with pytest.raises(DecodeError, match="link of another secret"):
        other.take(message)
    assert not other.passed


def test_who_is_answered_by_one_that_cannot_prove_it_ends_it(peer):
    one = entrances(KEY).dialled(peer, same_user=False)
    one.first()
    assert one.take(SEALED) == []
    with pytest.raises(DecodeError, match="link of another secret"):
        one.take(bytes(range(49)))
    assert not one.passed


@pytest.mark.parametrize("message", [b"", b"x", KEY.id, KEY.id + bytes(47), KEY.id + bytes(49)])
def test_a_handshake_that_is_none_ends_it(message):
    other = entrances(KEY).accepted(same_user=False)
    other.take(SEALED)
    with pytest.raises(DecodeError, match=r"handshake|another secret"):
        other.take(message)
    assert not other.passed


def test_a_handshake_that_is_said_again_leads_nowhere(peer):
    """Who recorded one cannot go on: the answer's key is new each time."""
    ours, theirs = entrances(KEY), entrances(KEY)
    one, first = ours.dialled(peer, same_user=False), theirs.accepted(same_user=False)
    frames = one.first()
    answers = [said for frame in frames for said in first.take(frame)]
    for answer in answers:
        one.take(answer)
    again = theirs.accepted(same_user=False)
    for frame in frames:
        again.take(frame)
    with pytest.raises(DecodeError):
        again.records.open(one.records.seal(b"hello"))


# --- what is open to those without a key -------------------------------------------------------


def test_a_ring_that_is_required_takes_no_plain_link(peer):
    with pytest.raises(DecodeError, match="link that is not sealed"):
        entrances(KEY).accepted(same_user=False).take(PLAIN)
    one = entrances(KEY).dialled(peer, same_user=False)
    with pytest.raises(DecodeError, match="link that is not sealed"):
        one.take(PLAIN)


def test_an_open_member_takes_both(peer):
    ours = entrances(KEY, required=False)
    stranger, own = entrances(), entrances(KEY)
    for theirs, key_id in ((stranger, b""), (own, KEY.id)):
        one, other = theirs.dialled(peer, same_user=False), ours.accepted(same_user=False)
        begin(one, other)
        assert other.passed
        assert (other.key_id, other.records is None) == (key_id, key_id == b"")


def test_an_open_member_dials_sealed_whom_it_heard_sealed(peer):
    ours = entrances(KEY, required=False)
    assert isinstance(ours.dialled(peer, same_user=False), Plain)
    peer.key_id = KEY.id
    assert ours.dialled(peer, same_user=False).key_id == KEY.id


def test_a_plain_link_that_turns_out_sealed_is_ended(peer):
    one = entrances(KEY, required=False).dialled(peer, same_user=False)
    with pytest.raises(DecodeError, match="link that is sealed"):
        one.take(SEALED)
