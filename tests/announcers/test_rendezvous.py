"""Sockets in a directory: strangers are told of us, known members are not, the dead are removed."""

import asyncio
import socket
import sys
from contextlib import AsyncExitStack

import pytest

from meshcluster import AsyncCluster
from meshcluster.config import DEFAULT_ADDRESS
from meshcluster.model import is_unix, unix_address
from meshcluster.wire.codec import encode_datagram
from meshcluster.wire.frames import Event, GroupParcel
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
if sys.platform != "win32":
    from meshcluster.announcers import RendezvousAnnouncer, rendezvous
    from meshcluster.claims import lock, unlock

GONE = "00000000000000aa"


class Receiver:
    def __init__(self):
        self.datagrams = asyncio.Queue()
        self.refusals = asyncio.Queue()
        self.members = []

    def datagram_received(self, data, source):
        self.datagrams.put_nowait((data, source))

    def datagram_refused(self, address):
        self.refusals.put_nowait(address)

    def known(self):
        return self.members


def member_id(number):
    return bytes([number] * 16)


@pytest.fixture
async def meet(runtime_dir):
    """Opens a member's announcer, by default one that receives; all are closed at the end."""
    made = []

    async def meet(number, *, start=True, cluster="default", port=27677):
        announcer = RendezvousAnnouncer(
            runtime_dir, cluster=cluster, address=DEFAULT_ADDRESS, port=port,
            member_id=member_id(number),
        )  # fmt: skip
        made.append(announcer)
        await announcer.open()
        receiver = Receiver()
        if start:
            announcer.start(receiver)
        return announcer, receiver

    yield meet
    for announcer in made:
        announcer.close()


@pytest.fixture
def folder(runtime_dir):
    """The one directory where members meet, once there is one."""

    def folder():
        (found,) = runtime_dir.glob("meet-*")
        return found

    return folder


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


def leave_dead_socket(folder, name=GONE):
    path = folder / f"{name}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    return path


# --- who is told -------------------------------------------------------------------------------


async def test_the_first_announcement_is_left_to_multicast(meet):
    (one, _), (_, hears) = await meet(1), await meet(2)
    one.announce(b"first")
    assert one.sent == 0
    one.announce(b"second")
    assert await soon(hears.datagrams.get()) == (b"second", unix_address(member_id(1)))


async def test_a_known_member_is_not_told(meet):
    (one, knows), (_, hears), (_, hears_too) = await meet(1), await meet(2), await meet(3)
    knows.members = [(member_id(2), ("127.0.0.1", 4000))]
    for _ in range(5):
        one.announce(b"beacon")
    assert await soon(hears_too.datagrams.get())
    assert (one.sent, hears.datagrams.empty()) == (4, True)


async def test_a_member_known_here_only_is_told_every_time(meet, monkeypatch):
    monkeypatch.setattr(rendezvous, "EAGER_SECONDS", 0)
    (one, knows), (_, hears) = await meet(1), await meet(2)
    knows.members = [(member_id(2), unix_address(member_id(2)))]
    for number in range(5):
        one.announce(b"%d" % number)
    heard = {(await soon(hears.datagrams.get()))[0] for _ in range(5)}
    assert heard == {b"0", b"1", b"2", b"3", b"4"}


async def test_strangers_are_looked_for_now_and_then_once_we_are_settled(meet, monkeypatch):
    monkeypatch.setattr(rendezvous, "EAGER_SECONDS", 0)
    (one, _), _ = await meet(1), await meet(2)
    for _ in range(10):
        one.announce(b"beacon")
    assert one.sent == 1
    monkeypatch.setattr(rendezvous, "LOOK_SECONDS", 0)
    one._look_at = 0.0
    for _ in range(10):
        one.announce(b"beacon")
    assert one.sent == 11


async def test_users_messages_are_not_for_strangers(meet):
    """Who finds our socket would drop them, and the look that they cost is a beacon's."""
    told = GroupParcel("default", member_id(1), 1, 1, Event(0, 1, b"hello"))
    (one, _), (_, stranger) = await meet(1), await meet(2)
    one.announce(b"first, left to multicast")
    one.announce(encode_datagram(told))
    one.announce(b"beacon")
    assert (await soon(stranger.datagrams.get()))[0] == b"beacon"


async def test_other_clusters_and_ports_meet_elsewhere(meet, runtime_dir):
    (one, _), _, _ = await meet(1), await meet(2, cluster="other"), await meet(3, port=27678)
    for _ in range(3):
        one.announce(b"beacon")
    assert one.sent == 0
    assert len(list(runtime_dir.glob("meet-*"))) == 3


# --- the dead ----------------------------------------------------------------------------------


async def test_a_dead_socket_that_is_met_is_removed_and_told(meet, folder):
    one, hears = await meet(1)
    dead = leave_dead_socket(folder())
    dead.with_suffix(".lock").touch(mode=0o600)
    one.announce(b"beacon")
    one.announce(b"beacon")
    assert await soon(hears.refusals.get()) == (f"unix:{GONE}", 0)
    assert [each for each in folder().iterdir() if each.stem == GONE] == []


async def test_a_member_that_has_gone_is_told_when_it_is_written_to(meet):
    (one, hears), (other, _) = await meet(1), await meet(2)
    other.close()
    one.send(b"are you there", unix_address(member_id(2)))
    assert await soon(hears.refusals.get()) == unix_address(member_id(2))


async def test_who_holds_its_lock_is_not_dead(meet, folder):
    """It is just being born, or just leaving."""
    one, hears = await meet(1)
    silent = leave_dead_socket(folder())
    held = lock(silent)
    one.send(b"are you there", (f"unix:{GONE}", 0))
    silent.unlink()
    one.send(b"are you there", (f"unix:{GONE}", 0))
    assert hears.refusals.empty()
    assert silent.with_suffix(".lock").exists()
    unlock(silent, held)


async def test_what_is_no_members_socket_is_left_alone(meet, folder, runtime_dir):
    one, _ = await meet(1)
    elsewhere = leave_dead_socket(runtime_dir, "elsewhere")
    (folder() / "1111111111111111.sock").symlink_to(elsewhere)
    (folder() / "2222222222222222.sock").write_text("not a socket")
    leave_dead_socket(folder(), "foreign")
    before = sorted(folder().iterdir())
    for _ in range(3):
        one.announce(b"beacon")
    assert one.sent == 0
    assert sorted(folder().iterdir()) == before
    assert elsewhere.exists()


# --- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "../x", "/tmp/x", "0" * 15, "0" * 17, "A" * 16, "../0123456789abcdef", "a\0b"]
)
async def test_a_name_that_is_none_leads_nowhere(meet, name):
    one, hears = await meet(1)
    one.send(b"lost", (f"unix:{name}", 0))
    assert one.sent == 0
    assert hears.refusals.empty()


async def test_who_sends_without_a_name_of_ours_is_not_heard(meet, folder, runtime_dir):
    (_, hears), (other, _) = await meet(1), await meet(2)
    path = str(folder() / f"{member_id(1)[:8].hex()}.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"unnamed", path)
    for place in (runtime_dir / f"{GONE}.sock", folder() / "x.sock"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.bind(str(place))
            stranger.sendto(b"from elsewhere", path)
    other.send(b"named", unix_address(member_id(1)))
    assert await soon(hears.datagrams.get()) == (b"named", unix_address(member_id(2)))


# --- full queues -------------------------------------------------------------------------------


@pytest.fixture
async def flooded(meet):
    """Sends numbered datagrams to a member that does not read yet; gives both ends."""

    async def flooded(count):
        (one, _), (other, _) = await meet(1), await meet(2, start=False)
        for number in range(count):
            one.send(b"%d" % number, unix_address(member_id(2)))
        return one, other

    return flooded


async def test_what_does_not_fit_a_queue_comes_later_in_order(flooded, monkeypatch):
    monkeypatch.setattr(rendezvous, "WAITING_DATAGRAMS", 300)
    _, other = await flooded(300)
    hears = Receiver()
    other.start(hears)
    received = [(await soon(hears.datagrams.get()))[0] for _ in range(300)]
    assert received == [b"%d" % number for number in range(300)]


async def test_of_too_much_that_waits_the_oldest_is_lost(flooded):
    one, other = await flooded(2000)
    taken, hears = one.sent, Receiver()
    other.start(hears)
    last = range(2000 - rendezvous.WAITING_DATAGRAMS, 2000)
    for number in [*range(taken), *last]:
        assert (await soon(hears.datagrams.get()))[0] == b"%d" % number


async def test_who_never_reads_is_given_up(flooded, monkeypatch):
    monkeypatch.setattr(rendezvous, "RETRY_SECONDS", 0.0)
    one, _ = await flooded(2000)
    taken = one.sent
    await eventually(lambda: not one._waiting)
    assert one.sent == taken < 2000


async def test_who_does_not_read_delays_nobody_else(flooded, meet):
    one, _ = await flooded(2000)
    _, hears = await meet(3)
    one.send(b"to another", unix_address(member_id(3)))
    assert await soon(hears.datagrams.get())


# --- as members use it -------------------------------------------------------------------------


async def test_where_multicast_works_nothing_is_sent_once_all_know_each_other(beacon_port):
    count = 10
    async with AsyncExitStack() as stack:
        members = [
            await stack.enter_async_context(
                AsyncCluster().join(["m"], port=beacon_port, heartbeat_seconds=0.1)
            )
            for _ in range(count)
        ]
        for member in members:
            await member.wait_for_services(count - 1)
        peers = [peer for member in members for peer in member.joined.node.peers]
        await eventually(lambda: not any(is_unix(peer.address) for peer in peers))
        announcers = [member.joined._announcers[1] for member in members]
        before = [announcer.sent for announcer in announcers]
        own = [m.dropped["datagrams: own copies"] for m in members]
        await eventually(
            lambda: all(
                m.dropped["datagrams: own copies"] >= at + 15
                for m, at in zip(members, own, strict=True)
            )
        )
        assert [announcer.sent for announcer in announcers] == before
        assert not any(is_unix(peer.address) for peer in peers)


async def test_what_is_near_is_all_there_is(meet):
    one, _ = await meet(1)
    _, other = await meet(2)
    one.announce_near(b"first")  # as with any announcement
    one.announce_near(b"sealed")
    assert (await asyncio.wait_for(other.datagrams.get(), 10))[0] == b"sealed"
    assert one.near_only
