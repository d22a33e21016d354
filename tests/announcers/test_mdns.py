"""What is announced is seen by others with real zeroconf, on loopback; nothing outlives it."""

import asyncio
import socket
import subprocess
import sys

import pytest
from zeroconf import Zeroconf
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from meshcluster.announcers import MdnsAnnouncer
from meshcluster.announcers import mdns as module
from meshcluster.announcers.mdns import SERVICE_TYPE, UNRESOLVED
from meshcluster.config import ClusterConfig
from meshcluster.errors import ConfigError
from meshcluster.interfaces import Interface, InterfaceAddress
from meshcluster.model import Endpoint, Identity
from meshcluster.security.keys import Key
from meshcluster.security.sealing import Seal
from meshcluster.wire import codec
from meshcluster.wire.frames import Beacon, Leave, Solicit
from meshcluster.wire.txt import encode_txt, record_of, sealed_record

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="loopback as on POSIX")

TCP = Endpoint("tcp", {"port": 4000})
KEY = Key.of_bytes(bytes(32), "default")
LAN = Interface("fake0", 9, (InterfaceAddress("10.99.0.1", 24),))


class Receiver:
    def __init__(self):
        self.hints = asyncio.Queue()
        self.gone = asyncio.Queue()
        self.drops = asyncio.Queue()
        self.members = []

    def hinted(self, record, address):
        self.hints.put_nowait((record, address))

    def vanished(self, record):
        self.gone.put_nowait((record.id, record.boot))

    def dropped(self, reason):
        self.drops.put_nowait(reason)

    def known(self):
        return self.members


class Member:
    """An announcer and what it brings, of the member with this number."""

    def __init__(self, number, port, used=tuple, own=None, **settings):
        self.config = ClusterConfig(port=port, **settings)
        self.id, self.boot = bytes([number]) * 16, 1
        self.probed = 5000 + number
        self.announcer = MdnsAnnouncer(self.config, probed=self.probed, own=own, used=used)
        self.receiver = Receiver()

    def beacon(self, version=1):
        cluster = self.config.cluster
        return Beacon(cluster, self.id, self.boot, version, bytes([version]) * 8, (TCP,))

    def announce(self, datagram):
        self.announcer.announce(codec.encode_datagram(datagram))

    def announce_sealed(self, *datagrams):
        seal = Seal(Identity(self.id, self.boot, "", ""))
        for each in datagrams:
            self.announcer.announce(seal.seal(KEY, codec.encode_datagram(each)))


async def dropped(one, reason):
    """Waits until it has dropped something for that reason; what others publish here comes too."""
    while await soon(one.receiver.drops.get()) != reason:
        pass


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


@pytest.fixture
async def member(beacon_port):
    """Starts announcers at ttl=0 unless told otherwise; all are closed at the end."""
    made = []

    async def member(number, **settings):
        each = Member(number, beacon_port, **settings)
        made.append(each)
        await each.announcer.open()
        each.announcer.start(each.receiver)
        return each

    yield member
    for each in made:
        each.announcer.close()
        await each.announcer.wait_closed()


@pytest.fixture
async def pair(member):
    """Two that have seen each other."""
    one, other = await member(1), await member(2)
    one.announce(one.beacon())
    other.announce(other.beacon())
    assert await soon(other.receiver.hints.get()) == (record(one), ("127.0.0.1", 5001))
    assert await soon(one.receiver.hints.get()) == (record(other), ("127.0.0.1", 5002))
    return one, other


def record(member, version=1):
    config = member.config
    group = f"{config.address}:{config.port}"
    return record_of(member.beacon(version), group, port=member.probed, ttl=config.ttl)


@pytest.fixture
async def stranger():
    """Publishes what it likes on loopback."""
    opened = []

    async def publish(name, entries, **settings):
        if not opened:
            opened.append(AsyncZeroconf(interfaces=["127.0.0.1"]))
        info = AsyncServiceInfo(
            SERVICE_TYPE, f"{name}.{SERVICE_TYPE}", port=1, properties=entries,
            server=f"{name}.local.",
            parsed_addresses=settings.get("addresses", ["127.0.0.1"]),
        )  # fmt: skip
        await (await opened[0].async_register_service(info, cooperating_responders=True))
        return opened[0]

    yield publish
    for each in opened:
        await each.async_close()


async def test_each_sees_the_record_of_the_other(pair):
    one, other = pair
    assert one.receiver.drops.empty()
    assert other.receiver.drops.empty()


async def test_who_seals_is_found_as_well_and_says_no_more_than_its_datagrams(member):
    """Whose key it is the node knows: meshes are told apart by keys, not by names."""
    one, other = await member(1), await member(2, cluster="other")
    one.announce(one.beacon())
    other.announce_sealed(other.beacon())
    config = one.config
    said = sealed_record(
        other.id, other.boot, KEY.id, f"{config.address}:{config.port}", port=5002, ttl=0
    )
    assert await soon(one.receiver.hints.get()) == (said, ("127.0.0.1", 5002))


async def test_who_seals_takes_its_record_back_when_it_closes(member):
    """Nobody can tell a sealed goodbye from anything else."""
    one, other = await member(1), await member(2)
    one.announce(one.beacon())
    other.announce_sealed(other.beacon(), Leave("default", other.id, other.boot))
    await soon(one.receiver.hints.get())
    assert one.receiver.gone.empty()
    other.announcer.close()
    await other.announcer.wait_closed()
    assert await soon(one.receiver.gone.get()) == (other.id, other.boot)


async def test_what_changes_is_seen(pair):
    one, other = pair
    other.receiver.members = [(one.id, ("127.0.0.1", 5001))]
    one.announce(one.beacon(version=2))
    while (heard := await soon(other.receiver.hints.get()))[0] != record(one, 2):
        pass
    assert heard[1] == ("127.0.0.1", 5001)


async def test_a_goodbye_takes_the_record_back_within_a_second(pair):
    one, other = pair
    one.announce(Leave("default", one.id, one.boot))
    assert await asyncio.wait_for(other.receiver.gone.get(), 1) == (one.id, one.boot)


async def test_closing_takes_the_record_back_as_well_and_waits_for_nobody(pair):
    one, other = pair
    before = asyncio.get_running_loop().time()
    one.announcer.close()
    one.announcer.close()
    await one.announcer.wait_closed()
    assert asyncio.get_running_loop().time() - before < 1
    assert await soon(other.receiver.gone.get()) == (one.id, one.boot)


async def test_an_observer_looks_and_is_not_seen(pair, member):
    one, other = pair
    observer = await member(3, observer=True)
    observer.announce(Solicit("default", observer.id, 1, 7, 1, b"", True))
    found = {(await soon(observer.receiver.hints.get()))[0].id for _ in range(2)}
    assert found == {one.id, other.id}
    assert observer.announcer._info is None


async def test_who_is_announced_to_another_mesh_or_group_is_not_heard(member, beacon_port):
    one, other = await member(1), await member(2, cluster="other")
    other.announce(other.beacon())
    one.announce(one.beacon())
    await dropped(one, "mdns: records of another cluster")
    assert one.receiver.hints.empty()


@pytest.mark.parametrize(
    ("changes", "addresses", "reason"),
    [
        ({}, ["10.1.2.3"], "from outside the scope"),
        ({}, ["192.0.2.1", "2001:db8::1", "169.254.1.1"], "from outside the scope"),
        ({"id": "nonsense"}, ["127.0.0.1"], "malformed"),
        ({"udp": None}, ["127.0.0.1"], "malformed"),
        ({"v": "2"}, ["127.0.0.1"], "of an unknown version"),
        ({"cluster": b"\xff\xff"}, ["127.0.0.1"], "malformed"),
        ({"group": "elsewhere"}, ["127.0.0.1"], "of another cluster"),
    ],
)
async def test_what_a_stranger_publishes_is_dropped_and_counted(
    member, stranger, changes, addresses, reason
):
    one, other = await member(1), await member(2)
    one.announce(one.beacon())
    await stranger("stranger", {**encode_txt(record(other)), **changes}, addresses=addresses)
    await dropped(one, f"mdns: records {reason}")
    assert one.receiver.hints.empty()


async def test_a_record_of_this_host_only_is_not_taken_from_the_network(member):
    one = await member(1, ttl=1)
    one.announcer._used = (LAN,)
    scope = one.announcer._in_scope
    assert [scope("10.99.0.7", ttl) for ttl in (0, 1, 32)] == [False, True, True]
    assert scope("10.99.0.1", 0)
    assert not any(scope(ip, 1) for ip in ("10.98.0.1", "127.0.0.1", "::1", "fe80::1%fake0"))


async def test_a_name_that_zeroconf_would_not_take_ends_nothing(pair):
    one, other = pair
    for name in ("", "x._else._tcp.local.", "y" * 300 + f".{SERVICE_TYPE}"):
        one.announcer._unresolved[name] = 0
    one.announcer._wake.set()
    for _ in range(3):
        await dropped(one, "mdns: instances with malformed names")
    other.announce(other.beacon(version=2))
    while (await soon(one.receiver.hints.get()))[0] != record(other, 2):
        pass


async def test_an_instance_without_records_is_asked_for_and_given_up(pair):
    one, _ = pair
    one.announcer._unresolved[f"nobody.{SERVICE_TYPE}"] = 0
    one.announcer._wake.set()
    await dropped(one, "mdns: instances without records")


async def test_instances_that_anybody_makes_up_are_bounded(member):
    one = await member(1)
    added = type("Added", (), {"name": "Added"})
    for number in range(UNRESOLVED + 5):
        one.announcer._changed(None, SERVICE_TYPE, f"{number}.{SERVICE_TYPE}", added)
    assert len(one.announcer._unresolved) == UNRESOLVED
    assert one.receiver.drops.qsize() == 5


async def test_an_own_zeroconf_is_used_and_left_open(member):
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as own:
        one = await member(1, ttl=1, used=lambda: [LAN], own=own)
        here = Interface("fake0", 9, (InterfaceAddress("10.99.0.2", 24),))
        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as another:
            other = await member(2, ttl=1, used=lambda: [here], own=another)
            one.announce(one.beacon())
            other.announce(other.beacon())
            assert (await soon(other.receiver.hints.get()))[1] == ("10.99.0.1", 5001)
            assert (await soon(one.receiver.hints.get()))[1] == ("10.99.0.2", 5002)
            one.announcer.close()
            await one.announcer.wait_closed()
            assert not own.zeroconf.done
            assert own.zeroconf.registry.async_get_service_infos() == []
            assert own.async_browsers == {}
            assert await soon(other.receiver.gone.get()) == (one.id, one.boot)
            other.announcer.close()
            await other.announcer.wait_closed()


async def test_an_own_zeroconf_that_cannot_be_used_is_refused(member):
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as own:
        with pytest.raises(ConfigError, match="with ttl=0 use mdns=True"):
            await member(1, own=own)
    elsewhere = AsyncZeroconf(zc=Zeroconf(interfaces=["127.0.0.1"], use_asyncio=False))
    try:
        with pytest.raises(ConfigError, match="of another event loop"):
            await member(1, ttl=1, own=elsewhere)
    finally:
        await asyncio.to_thread(elsewhere.zeroconf.close)
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_addresses_that_change_are_told(member):
    async with AsyncZeroconf(interfaces=["127.0.0.1"]) as own:
        elsewhere = Interface("fake1", 8, (InterfaceAddress("10.88.0.1", 24),))
        found = [LAN]
        one = await member(1, ttl=1, used=lambda: found, own=own)
        one.announce(one.beacon())
        other = await member(2, ttl=1, used=lambda: [LAN, elsewhere], own=own)
        other.announce(Solicit("default", other.id, 1, 7, 1, b"", True))
        assert (await soon(other.receiver.hints.get()))[1] == ("10.99.0.1", 5001)
        found[:] = [elsewhere]
        while (await soon(other.receiver.hints.get()))[1] != ("10.88.0.1", 5001):
            pass
        for each in (one, other):
            each.announcer.close()
            await each.announcer.wait_closed()


async def test_at_ttl_0_its_sockets_hear_loopback_alone(pair):
    if sys.platform != "linux":
        pytest.skip("only Linux binds a socket to a device")
    one, _ = pair
    for reader in one.announcer._zeroconf.zeroconf.engine.readers:
        assert reader.sock.getsockopt(socket.IPPROTO_IP, 49) == 0
        device = reader.sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16)
        assert device.rstrip(b"\0") == b"lo"


async def test_a_forked_child_is_to_let_go_of_its_sockets_and_say_nothing(pair):
    one, other = pair
    readers = one.announcer._zeroconf.zeroconf.engine.readers
    assert one.announcer.descriptors() == sorted({each.sock.fileno() for each in readers})
    assert one.announcer.descriptors() != []
    one.announcer.forked()
    one.announce(Leave("default", one.id, one.boot))
    assert one.announcer._receiver is None
    assert other.receiver.gone.empty()


async def test_a_closing_before_it_has_begun_leaves_nothing(member):
    one = await member(1)
    one.announce(one.beacon())
    one.announcer.close()
    await one.announcer.wait_closed()
    one.announce(one.beacon())
    assert one.announcer._zeroconf is None


async def test_port_5353_held_by_a_program_alone_is_reported_once_and_tried_again(member, caplog):
    one = await member(1, ttl=1, used=lambda: [LAN])
    one.announcer._open = failing = Failing(one.announcer._open)
    one.announce(one.beacon())
    await dropped(one, "mdns: failed turns")
    await soon(failing.again.wait())
    assert [r.levelname for r in caplog.records if "no mDNS for now" in r.message] == ["WARNING"]


class Failing:
    """Fails as a system does whose port is taken."""

    def __init__(self, opens):
        self.again, self.times = asyncio.Event(), 0

    async def __call__(self, bound):
        self.times += 1
        if self.times > 1:
            self.again.set()
        raise OSError(98, "Address already in use")


async def test_zeroconf_is_imported_beside_the_loop(member, monkeypatch):
    asked = asyncio.Queue()

    async def imported(name):
        asked.put_nowait(name)

    monkeypatch.setattr(module, "imported", imported)
    one = await member(1)
    one.announce(one.beacon())
    assert await soon(asked.get()) == "zeroconf.asyncio"


def test_zeroconf_is_not_imported_by_joining_nor_at_ttl_0():
    code = (
        "import sys, time, meshcluster\n"
        "cluster = meshcluster.join()\n"
        "assert 'zeroconf' not in sys.modules\n"
        "time.sleep(0.5)\n"
        "assert 'zeroconf' not in sys.modules\n"
        "cluster.leave()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
