"""All ways to be found that work here are opened; at ttl=0 the directory alone suffices."""

import errno
import re
import socket
import sys

import pytest

from meshcluster import ConfigError, PluginError
from meshcluster.announcers import (
    DoorAnnouncer,
    MdnsAnnouncer,
    MulticastAnnouncer,
    RendezvousAnnouncer,
    close_announcers,
    multicast,
    open_announcers,
)
from meshcluster.announcers.guarded import GuardedAnnouncer
from meshcluster.config import ClusterConfig

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")


@pytest.fixture
async def opened(beacon_port, runtime_dir):
    """Opens announcers as a member does; all are closed at the end."""
    made = []

    async def opened(*, runtime_dir=runtime_dir, **settings):
        config = ClusterConfig(port=beacon_port, **settings)
        made.extend(await open_announcers(config, member_id=bytes(16), runtime_dir=runtime_dir))
        return [type(announcer) for announcer in made]

    yield opened
    for announcer in made:
        announcer.close()


@pytest.fixture
def broken(monkeypatch):
    """Makes the own UDP socket fail as the system would."""

    def broken(number):
        def fail(ttl):
            raise OSError(number, "as the system says")

        monkeypatch.setattr(multicast, "open_own", fail)

    return broken


async def test_observers_open_no_door(opened):
    assert DoorAnnouncer not in await opened(observer=True)


async def test_multicast_comes_first_then_the_directory(opened):
    assert await opened() == [MulticastAnnouncer, RendezvousAnnouncer, DoorAnnouncer]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENODEV, "the loopback interface is down"),
        (errno.EADDRNOTAVAIL, "the loopback interface is down"),
        (errno.ENETUNREACH, "the loopback interface is down"),
        (errno.EPERM, "a firewall forbids"),
    ],
)
async def test_without_a_network_the_directory_is_left_and_one_warning_says_so(
    opened, broken, caplog, number, text
):
    broken(number)
    assert await opened() == [RendezvousAnnouncer]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert text in record.message
    assert "Members of this user on this host still meet" in record.message


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EPERM])
async def test_beyond_this_host_a_network_is_needed(opened, broken, runtime_dir, number):
    broken(number)
    with pytest.raises(ConfigError, match=r"address=.*port="):
        await opened(ttl=1)
    assert list(runtime_dir.glob("*/*")) == []


async def test_a_port_that_is_taken_is_an_error_not_a_warning(opened, beacon_port, runtime_dir):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", beacon_port))
        with pytest.raises(ConfigError, match="another program"):
            await opened()
    assert list(runtime_dir.glob("*/*")) == []


async def test_a_directory_that_cannot_be_used_leaves_multicast_and_a_warning(
    opened, caplog, tmp_path
):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    assert await opened(runtime_dir=deep) == [MulticastAnnouncer, DoorAnnouncer]
    (record,) = caplog.records
    assert "choose a shorter directory" in record.message


async def test_a_member_that_can_be_found_in_no_way_is_told_why(opened, broken, tmp_path):
    broken(errno.ENODEV)
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with pytest.raises(ConfigError, match="the loopback interface is down"):
        await opened(runtime_dir=deep)


@pytest.mark.parametrize(
    ("settings", "used"),
    [({"mdns": True}, True), ({}, False), ({"ttl": 1}, True), ({"ttl": 1, "mdns": False}, False)],
)
async def test_mdns_is_opened_where_it_is_wanted(opened, settings, used):
    rest = [MdnsAnnouncer, DoorAnnouncer] if used else [DoorAnnouncer]
    assert await opened(**settings) == [MulticastAnnouncer, RendezvousAnnouncer, *rest]


async def test_an_own_zeroconf_that_cannot_be_used_leaves_nothing_open(opened, runtime_dir):
    class Own:
        async_register_service = None

    with pytest.raises(ConfigError, match="with ttl=0 use mdns=True"):
        await opened(mdns=Own())
    assert list(runtime_dir.glob("*/*.sock")) == []


# --- of other packages -----------------------------------------------------------------------

PACKAGE = """
from meshcluster.errors import ConfigError

class Announcer:
    def __init__(self, context):
        self.context = context

    async def open(self):
        if self.context.options.get("folder") == "none":
            raise ConfigError("no such folder")
        if self.context.options:
            raise OSError("as it does")

    def close(self):
        pass
"""


@pytest.fixture
def offer(install):
    """Installs a package with an announcer ``lamp``."""

    def offer(package, code=PACKAGE):
        install(package, "meshcluster.announcers", "lamp", f"{package}:Announcer", code)

    return offer


async def test_those_of_other_packages_are_opened_last_when_they_are_named(opened, offer):
    offer("lamp_package")
    rest = [MulticastAnnouncer, RendezvousAnnouncer, DoorAnnouncer]
    assert await opened(announcers=("lamp",)) == [*rest, GuardedAnnouncer]


async def test_one_is_told_of_its_mesh_and_where_its_member_answers(
    offer, beacon_port, runtime_dir
):
    offer("telling_package")
    config = ClusterConfig(port=beacon_port, cluster="blue", announcers=("lamp",))
    found = await open_announcers(config, member_id=b"1" * 16, runtime_dir=runtime_dir)
    try:
        context = found[-1]._inner.context
        assert (context.cluster, context.group) == ("blue", f"{config.address}:{beacon_port}")
        assert (context.member_id, context.runtime_dir) == (b"1" * 16, runtime_dir)
        assert (context.ttl, context.port) == (0, found[0].port)
        assert (context.addresses(), dict(context.options)) == (("127.0.0.1",), {})
    finally:
        await close_announcers(found)


@pytest.mark.parametrize(
    ("code", "options", "reason"),
    [
        ("1 / 0", {}, "'lamp' .*cannot be loaded: ZeroDivisionError"),
        ("class Announcer: pass", {}, "'lamp' cannot be opened: TypeError"),
        (PACKAGE, {"lamp": {"some": 1}}, r"'lamp' cannot be opened: OSError\('as it does'\)"),
    ],
)
async def test_a_broken_one_is_reported_by_name_and_the_others_are_used(
    opened, offer, caplog, code, options, reason
):
    offer("broken_lamp", code)
    used = await opened(announcers=("lamp",), announcer_options=options)
    assert used == [MulticastAnnouncer, RendezvousAnnouncer, DoorAnnouncer]
    (record,) = caplog.records
    assert re.search(reason, record.message)
    assert record.levelname == "WARNING"


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"announcers": ("torch",)}, PluginError, "no announcer 'torch' here: .* beside ours"),
        ({"announcers": ("mdns",)}, ConfigError, "'mdns': ours are always used"),
        (
            {"announcers": ("lamp",), "announcer_options": {"lamp": {"folder": "none"}}},
            ConfigError,
            "no such folder",
        ),
    ],
)
async def test_names_and_settings_that_nothing_can_come_of_are_refused(
    opened, offer, runtime_dir, settings, error, text
):
    offer("picky_package")
    with pytest.raises(error, match=text):
        await opened(**settings)
    assert list(runtime_dir.glob("*/*.sock")) == []


async def test_one_that_two_packages_claim_is_refused(opened, offer):
    offer("one_lamp")
    offer("other_lamp")
    with pytest.raises(PluginError, match=r"one_lamp \(.*\) and other_lamp"):
        await opened(announcers=("lamp",))
    assert await opened() == [MulticastAnnouncer, RendezvousAnnouncer, DoorAnnouncer]
