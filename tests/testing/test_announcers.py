"""The contract finds what is wrong with an announcer."""

import socket
from contextlib import aclosing

import pytest

from meshcluster.announcers import RendezvousAnnouncer
from meshcluster.testing import announcers
from meshcluster.testing.announcers import AnnouncerContract, outward
from meshcluster.testing.contract import short_folder

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no UNIX sockets")


class Deaf(RendezvousAnnouncer):
    """Sends, and hears nothing."""

    def start(self, receiver):
        pass


class Listening(RendezvousAnnouncer):
    """Has a socket that everybody can send to, and tells nobody of it."""

    async def open(self):
        await super().open()
        self.other = socket.create_server(("0.0.0.0", 0))

    def close(self):
        super().close()
        self.other.close()


class Contract(AnnouncerContract):
    __test__ = False

    def __init__(self, kind):
        self.kind = kind

    def make(self, context):
        return self.kind(
            context.runtime_dir, cluster=context.cluster, address="239.0.0.1",
            port=int(context.group.partition(":")[2]), member_id=context.member_id,
        )  # fmt: skip


@pytest.fixture
def told(monkeypatch):
    """The contract's own fixture, for a contract made here."""
    monkeypatch.setattr(announcers, "WAIT_SECONDS", 2.0)
    monkeypatch.setattr(announcers, "AGAIN_SECONDS", 0.02)

    async def told(contract):
        with short_folder() as folder:
            async with aclosing(AnnouncerContract.told.__wrapped__(contract, folder)) as fixture:
                yield await anext(fixture)

    return told


@pytest.mark.parametrize(
    ("kind", "promise", "error"),
    [
        (Deaf, "test_what_one_announces_is_brought_to_the_others", TimeoutError),
        (Listening, "test_at_ttl_0_nothing_outside_this_host_can_reach_it", AssertionError),
        (
            Listening,
            "test_what_it_holds_is_told_to_forked_children_and_let_go_of_at_the_end",
            AssertionError,
        ),
    ],
)
async def test_what_is_wrong_is_found(told, kind, promise, error):
    contract = Contract(kind)
    async with aclosing(told(contract)) as fixture:
        with pytest.raises(error):
            await getattr(contract, promise)(await anext(fixture))


def test_what_is_bound_to_loopback_or_to_nothing_is_not_outward():
    with socket.create_server(("127.0.0.1", 0)) as here, socket.socket() as unbound:
        assert outward([here.fileno(), unbound.fileno()]) == []
        with socket.create_server(("0.0.0.0", 0)) as everywhere:
            assert outward([everywhere.fileno()]) == [everywhere.getsockname()]
