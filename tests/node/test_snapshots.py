"""From what members send of themselves to what users see of them."""

import pytest

from meshcluster.errors import DecodeError
from meshcluster.model import Endpoint, unix_address
from meshcluster.node.membership import Peer
from meshcluster.node.snapshots import Snapshots
from meshcluster.wire import codec
from meshcluster.wire.frames import Details, Leave

ID = bytes(range(16))
TCP = Endpoint("tcp", {"port": 4000})
ADA = Details(3, "ada", "h", ("web",), (TCP,), {"rack": 3}, 4000, 1.0, {"box": 1})


def peer(address=("10.0.0.1", 4000)):
    described = Peer(ID, 7, address, 0.0)
    described.describe(ADA, codec.digest(ADA))
    return described


def test_a_service_is_what_the_member_says_and_where_it_was_met():
    service = Snapshots().service(peer(), lan=True)
    assert (service.id, service.boot, service.name, service.host) == (ID.hex(), 7, "ada", "h")
    assert (service.tags, service.props, service.offers) == (("web",), {"rack": 3}, {"box": 1})
    assert (service.address, service.lan, service.local) == ("10.0.0.1", True, False)
    assert service.endpoints == (TCP,)


def test_who_was_met_by_unix_socket_is_at_loopback():
    assert Snapshots().service(peer(unix_address(ID)), lan=True).address == "127.0.0.1"


def test_services_are_handles_of_the_cluster_that_made_them():
    door = object()
    assert Snapshots(door).service(peer(), lan=False)._door is door


def test_a_digest_is_of_the_details():
    assert Snapshots().digest(peer(), ADA) == codec.digest(ADA)


def test_datagrams_are_decoded_or_refused():
    data = codec.encode_datagram(Leave("default", ID, 7))
    assert Snapshots().datagram(data) == Leave("default", ID, 7)
    with pytest.raises(DecodeError):
        Snapshots().datagram(b"mc\x01garbage")
