"""What another package's announcer does wrong is reported by its name, and troubles nobody."""

import asyncio
import sys

import pytest

import meshcluster
from meshcluster import AsyncCluster
from meshcluster.announcers import guarded
from meshcluster.announcers.guarded import GuardedAnnouncer
from meshcluster.errors import ConfigError, PluginError
from meshcluster.testing.announcers import Ear

NOWHERE = ("here:nobody", 0)


class Good:
    """Does nothing, well."""

    receiver = None

    async def open(self):
        pass

    def start(self, receiver):
        self.receiver = receiver

    def announce(self, data):
        pass

    def reaches(self, address):
        return True

    def send(self, data, address):
        pass

    def close(self):
        self.closed = True


class Broken(Good):
    """Raises wherever it can once it is open."""

    def fail(self, *arguments):
        raise ZeroDivisionError("as it does")

    start = announce = reaches = send = close = fail

    async def wait_closed(self):
        self.fail()


async def opened(inner):
    announcer = GuardedAnnouncer("lamp", lambda: inner)
    await announcer.open()
    ear = Ear()
    announcer.start(ear)
    return announcer, ear


async def test_one_that_raises_everywhere_is_reported_once_and_counted(caplog):
    announcer, ear = await opened(Broken())
    announcer.announce(b"beacon")
    announcer.send(b"probe", NOWHERE)
    assert announcer.reaches(NOWHERE) is False
    announcer.close()
    await announcer.wait_closed()
    (record,) = caplog.records
    assert "announcer 'lamp' broke in start" in record.message
    assert record.exc_info[0] is ZeroDivisionError
    assert ear.drops == ["announcer lamp: broke"] * 5


@pytest.mark.parametrize("missing", ["start", "announce", "send", "close"])
async def test_one_that_lacks_a_method_is_one_that_breaks_there(caplog, missing, monkeypatch):
    monkeypatch.delattr(Good, missing)
    announcer, _ = await opened(Good())
    announcer.announce(b"beacon")
    announcer.send(b"probe", NOWHERE)
    announcer.close()
    assert f"broke in {missing} " in caplog.text


async def test_what_it_says_cannot_work_is_said_as_it_is():
    class Picky(Good):
        async def open(self):
            raise ConfigError("announcer_options={'lamp': ...}: choose a folder")

    with pytest.raises(ConfigError, match="choose a folder"):
        await opened(Picky())


async def test_one_that_breaks_while_it_opens_is_named():
    def broken():
        raise ZeroDivisionError("as it does")

    with pytest.raises(PluginError, match=r"'lamp' cannot be opened: ZeroDivisionError"):
        await GuardedAnnouncer("lamp", broken).open()


async def test_one_that_never_opens_or_closes_is_not_waited_for(monkeypatch, caplog):
    monkeypatch.setattr(guarded, "OPEN_SECONDS", 0.01)
    monkeypatch.setattr(guarded, "CLOSE_SECONDS", 0.01)

    class Slow(Good):
        async def wait_closed(self):
            await asyncio.Event().wait()

    announcer, _ = await opened(Slow())
    announcer.close()
    await announcer.wait_closed()
    assert "broke in wait_closed" in caplog.text
    Slow.open = Slow.wait_closed
    with pytest.raises(PluginError, match=r"'lamp' cannot be opened: TimeoutError"):
        await opened(Slow())


async def test_ip_addresses_and_unix_sockets_have_other_ways():
    announcer, _ = await opened(Good())
    assert announcer.reaches(NOWHERE)
    assert not announcer.reaches(("127.0.0.1", 9))
    assert not announcer.reaches(("unix:0123456789abcdef", 0))


async def test_what_is_no_datagram_or_no_address_goes_no_further():
    inner = Good()
    _, ear = await opened(inner)
    ear.hinted = lambda hint, address: ear.hints.put_nowait((hint, address))
    bad = [
        "127.0.0.1",
        ("127.0.0.1", "9"),
        ("127.0.0.1", 65536),
        ("unix:0", 0),
        ("host", 9),
        (1, 2),
    ]
    for address in bad:
        inner.receiver.datagram_received(b"beacon", address)
        inner.receiver.datagram_refused(address)
        inner.receiver.hinted(b"beacon", address)
    inner.receiver.datagram_received("text", NOWHERE)
    inner.receiver.hinted(None, NOWHERE)
    inner.receiver.vanished(None)
    assert ear.drops == ["announcer lamp: brought no datagram or no address"] * (3 * len(bad) + 3)
    assert ear.datagrams.empty()
    assert ear.hints.empty()
    for address in (NOWHERE, ("10.0.0.9", 9), ("fe80::1%eth0", 9)):
        inner.receiver.datagram_received(bytearray(b"beacon"), address)
        inner.receiver.hinted(b"beacon", address)
        assert ear.datagrams.get_nowait() == ear.hints.get_nowait() == (b"beacon", address)
    assert inner.receiver.known() == []


async def test_after_close_nothing_comes_from_it():
    inner = Good()
    announcer, ear = await opened(inner)
    announcer.close()
    inner.receiver.datagram_received(b"late", NOWHERE)
    inner.receiver.hinted(b"late", NOWHERE)
    inner.receiver.vanished(b"late")
    inner.receiver.datagram_refused(NOWHERE)
    inner.receiver.dropped("late")
    assert inner.closed
    assert (ear.datagrams.empty(), ear.hints.empty(), ear.drops) == (True, True, [])


# --- members -----------------------------------------------------------------------------------

LAMP = """
made = []

class Announcer:
    def __init__(self, context):
        made.append(self)

    async def open(self):
        pass

    def start(self, receiver):
        self.receiver = receiver

    def announce(self, data):
        self.said = data

    def reaches(self, address):
        return False

    def send(self, data, address):
        pass

    def close(self):
        pass
"""


@pytest.fixture
def offer(install):
    """Installs a package with an announcer ``lamp``."""

    def offer(package, code):
        install(package, "meshcluster.announcers", "lamp", f"{package}:Announcer", code)

    return offer


BROKEN = {
    "at its import": "1 / 0",
    "when it is made": "class Announcer:\n    def __init__(self, context): 1 / 0",
    "when it opens": LAMP.replace("pass", "1 / 0", 1),
    "when it starts": LAMP.replace("self.receiver = receiver", "1 / 0"),
    "when it announces": LAMP.replace("self.said = data", "1 / 0"),
}


@pytest.mark.parametrize("when", BROKEN)
def test_a_member_lives_on_whenever_one_breaks(offer, beacon_port, caplog, when):
    offer(f"broken_{len(when)}", BROKEN[when])
    with (
        meshcluster.join(["one"], port=beacon_port, announcers=["lamp"]) as one,
        meshcluster.join(["other"], port=beacon_port) as other,
    ):
        one.wait_for_services(resolve="other")
        other.wait_for_services(resolve="one")
        (warning,) = [each for each in caplog.records if each.levelname == "WARNING"]
        assert "'lamp'" in warning.message
        assert warning.exc_info
        broke = "announcer lamp: broke" in one.dropped
        assert broke is (when in ("when it starts", "when it announces"))


async def test_what_it_brings_from_outside_the_scope_is_refused_and_counted(
    offer, beacon_port, insider
):
    offer("scope_lamp", LAMP)
    async with AsyncCluster().join(port=beacon_port, announcers=["lamp"]) as member:
        (lamp,) = sys.modules["scope_lamp"].made
        other = insider.seal(insider.open(lamp.said).replace(member._id, b"x" * 16))
        lamp.receiver.hinted(other, ("203.0.113.9", 9))
        lamp.receiver.datagram_received(other, ("203.0.113.9", 9))
        lamp.receiver.hinted(insider.seal(b"no beacon"), ("127.0.0.1", 9))
        lamp.receiver.hinted(b"not sealed", ("127.0.0.1", 9))
        assert member.services == ()
        assert member.dropped == {
            "hints: from outside the scope": 1,
            "datagrams: from outside this host": 1,
            "hints: foreign datagram": 1,
            "hints: not sealed": 1,
        }


def test_names_and_options_are_refused_as_those_of_protocols_are(beacon_port):
    with pytest.raises(ConfigError, match="announcers='lamp': a sequence"):
        meshcluster.join(port=beacon_port, announcers="lamp")
    with pytest.raises(ConfigError, match="announcer_options: 'lamp' is not offered: nothing is"):
        meshcluster.join(port=beacon_port, announcer_options={"lamp": {}})
    with pytest.raises(PluginError, match="no announcer 'lantern' here"):
        meshcluster.join(port=beacon_port, announcers=["lantern"])
