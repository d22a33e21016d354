"""Shared snapshots are those of each member, made once."""

import pytest
from msgspec import structs

from meshcluster.errors import DecodeError
from meshcluster.node.membership import Peer
from meshcluster.node.snapshots import Snapshots
from meshcluster.testing import sharing
from meshcluster.testing.sharing import SharedSnapshots
from meshcluster.wire import codec
from meshcluster.wire.frames import Details, Leave

ADA = Details(1, "ada", "h", ("web",), (), {}, 4000, 1.0)


def peer(address="10.0.0.1", details=ADA, boot=7):
    described = Peer(bytes(16), boot, (address, 4000), 0.0)
    described.describe(details, codec.digest(details))
    return described


def test_a_datagram_that_many_will_receive_is_decoded_once_and_as_ever():
    shared, data = SharedSnapshots(), codec.encode_datagram(Leave("default", bytes(16), 7))
    assert shared.datagram(data) == Snapshots().datagram(data)
    shared.expect(data)
    assert shared.datagram(data) is shared.datagram(data)
    assert shared.datagram(data) == Snapshots().datagram(data)


def test_a_malformed_one_is_refused_each_time():
    shared = SharedSnapshots()
    for _ in range(2):
        with pytest.raises(DecodeError):
            shared.datagram(b"mc\x01garbage")


def test_few_datagrams_are_kept(monkeypatch):
    monkeypatch.setattr(sharing, "KEPT_DATAGRAMS", 10)
    shared = SharedSnapshots()
    for boot in range(25):
        shared.expect(codec.encode_datagram(Leave("default", bytes(16), boot)))
    assert len(shared._datagrams) <= 10


def test_a_digest_is_known_by_the_run_and_the_version():
    shared = SharedSnapshots()
    newer = structs.replace(ADA, version=2, tags=("db",))
    assert shared.digest(peer(), ADA) == codec.digest(ADA)
    assert shared.digest(peer(), newer) == codec.digest(newer)
    assert shared.digest(peer(boot=8), newer) == codec.digest(newer)


def test_what_a_member_says_is_kept_once():
    shared = SharedSnapshots()
    kept = shared.details(peer(), ADA)
    assert kept == ADA
    assert shared.details(peer(), structs.replace(ADA)) is kept
    assert shared.details(peer(boot=8), ADA) is not kept


def test_members_who_see_the_same_share_a_service_and_others_have_their_own():
    shared = SharedSnapshots()
    service = shared.service(peer(), lan=False)
    assert shared.service(peer(), lan=False) is service
    here = peer()
    here.local = True
    others = [
        shared.service(peer(), lan=True),
        shared.service(peer("10.0.0.2"), lan=False),
        shared.service(here, lan=False),
        shared.service(peer(details=structs.replace(ADA, version=2, tags=("db",))), lan=False),
    ]
    assert len({id(each) for each in [service, *others]}) == 5
    assert [each.lan for each in others] == [True, False, True, False]
    assert others[1].address == "10.0.0.2"
    assert others[2].local
    assert others[3].tags == ("db",)
