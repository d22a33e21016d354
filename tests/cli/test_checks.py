"""The checks of this host: each tells what is wrong, and what to do."""

import errno
import os
import platform
import socket
import sys
from pathlib import Path

import pytest

from meshcluster.announcers.groups import LOOPBACK_WAY
from meshcluster.cli.checks import (
    BROKEN,
    GOOD,
    NOTE,
    SKIPPED,
    Check,
    directory,
    mdns_library,
    mdns_port,
    multicast,
    networks,
    protocols,
)
from meshcluster.interfaces import Interface, InterfaceAddress
from meshcluster.protocols.base import Context

posix = pytest.mark.skipif(sys.platform == "win32", reason="UNIX sockets and modes")

LO = Interface("lo", 1, (InterfaceAddress("127.0.0.1", 8),), is_loopback=True)
ETH = Interface("eth0", 2, (InterfaceAddress("10.0.0.5", 24),))


def found(checks, what, subject):
    (check,) = [each for each in checks if (each.what, each.subject) == (what, subject)]
    return check


@posix
def test_a_directory_that_is_as_it_should_be(runtime_dir):
    check, path = directory()
    assert check == Check(
        "directory", str(runtime_dir), GOOD, "ours, mode 0700; 0 sockets in use", ""
    )
    assert path == runtime_dir


@posix
@pytest.mark.parametrize(
    ("spoil", "text", "advice"),
    [
        (lambda path: path.chmod(0o755), "is open to others", "set MESH"),
        (lambda path: (path.rmdir(), path.write_text("")), "is not a directory", "set MESH"),
    ],
    ids=["open to others", "a file"],
)
def test_a_directory_that_is_not_good(runtime_dir, spoil, text, advice):
    spoil(runtime_dir)
    check, path = directory()
    assert (check.state, path) == (BROKEN, None)
    assert text in check.text
    assert advice.format(path=runtime_dir) in check.next
    if runtime_dir.is_file():
        runtime_dir.unlink()


@posix
def test_a_directory_whose_path_is_too_long_for_sockets(runtime_dir, monkeypatch):
    long = runtime_dir / ("x" * 60)
    monkeypatch.setenv("MESHCLUSTER_RUNTIME_DIR", str(long))
    check, _ = directory()
    assert check.state == BROKEN
    assert "no UNIX socket fits" in check.text
    assert "shorter" in check.next


@posix
def test_what_the_dead_left_is_counted_and_stays(runtime_dir):
    folder = runtime_dir / "0123abcd"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "dead.sock"))
    (folder / "dead.lock").touch()
    check, _ = directory()
    assert check.state == NOTE
    assert "1 left by dead members" in check.text
    assert sorted(os.listdir(folder)) == ["dead.lock", "dead.sock"]


def test_interfaces_are_used_or_skipped_with_the_reason():
    off = Interface("eth1", 3, (InterfaceAddress("10.1.0.5", 24),), is_running=False)
    checks, used = networks((LO, ETH, off), 1)
    assert used == (LO, ETH)
    assert found(checks, "interface", "eth0").text == "10.0.0.5/24"
    assert found(checks, "interface", "eth1").state == SKIPPED
    assert "no carrier" in found(checks, "interface", "eth1").text
    assert found(checks, "scope", "ttl=1").text == "this LAN through eth0, and this host"


@pytest.mark.parametrize(
    ("release", "is_there"),
    [("5.15.153.1-microsoft-standard-WSL2", True), ("6.8.0-generic", False)],
)
def test_in_wsl_it_tells_what_keeps_multicast_away(monkeypatch, release, is_there):
    monkeypatch.setattr(platform, "release", lambda: release)
    checks, _ = networks((LO, ETH), 1)
    notes = [each for each in checks if each.subject == "WSL"]
    assert bool(notes) is is_there
    assert all(each.state == NOTE and "seed" in each.next for each in notes)
    assert not [each for each in networks((LO, ETH), 0)[0] if each.subject == "WSL"]


def test_the_scope_needs_an_interface_that_leads_there():
    checks, used = networks((LO, ETH), 0)
    assert used == (LO,)
    assert found(checks, "scope", "ttl=0").state == GOOD
    checks, _ = networks((LO,), 1)
    assert found(checks, "scope", "ttl=1").state == BROKEN


def test_loopback_that_is_down_is_broken():
    down = Interface("lo", 1, is_up=False, is_running=False, is_loopback=True)
    checks, _ = networks((down,), 0)
    assert found(checks, "interface", "lo").next == "ip link set lo up"


@pytest.mark.parametrize(
    ("trouble", "text", "advice"),
    [
        ("nothing comes back", "nothing comes back", "allow incoming UDP port 5"),
        (OSError(errno.EPERM, "not permitted"), "sending is forbidden", "allow outgoing UDP"),
        (OSError(errno.EADDRINUSE, "in use"), "for itself", "choose another --port"),
        (OSError(errno.ENOBUFS, "no room"), "limit of multicast groups", "igmp_max_memberships"),
        (OSError(errno.EHOSTUNREACH, "no route"), "sends nothing there", "Local Network"),
        (OSError(errno.ENODEV, "no device"), "no device", "is it up"),
    ],
)
def test_each_trouble_of_multicast_has_its_next_step(trouble, text, advice):
    (check,) = multicast("beacons", {LOOPBACK_WAY: trouble}, group="239.1.2.3", port=5)
    assert (check.subject, check.state) == ("loopback 127.0.0.1", BROKEN)
    assert text in check.text
    assert advice in check.next


def test_multicast_that_comes_back_is_good():
    (check,) = multicast("beacons", {LOOPBACK_WAY: ""}, group="239.1.2.3", port=5)
    assert (check.state, check.next) == (GOOD, "")


def test_mdns_is_there_and_its_port_can_be_had():
    assert mdns_library().state == GOOD
    assert mdns_port().state in (GOOD, BROKEN)  # whatever else runs on this host


async def test_every_protocol_listens_and_dials_here(runtime_dir):
    context = Context(
        cluster="default", member_id=bytes(16), host_only=True, runtime_dir=runtime_dir
    )
    names = ["tcp"] if sys.platform == "win32" else ["unix", "tcp"]
    checks = await protocols(names, context)
    assert [(each.subject, each.state) for each in checks] == [(name, GOOD) for name in names]


async def test_a_protocol_without_links_is_tried_with_a_datagram(runtime_dir):
    context = Context(
        cluster="default", member_id=bytes(16), host_only=True, runtime_dir=runtime_dir
    )
    (udp,) = await protocols(["udp"], context)
    assert (udp.subject, udp.state) == ("udp", GOOD)


@posix
async def test_a_protocol_that_does_not_work_says_why(runtime_dir):
    context = Context(
        cluster="default", member_id=bytes(16), host_only=True,
        runtime_dir=Path(runtime_dir / "nowhere"),
    )  # fmt: skip
    unix, unknown = await protocols(["unix", "pigeon"], context)
    assert (unix.state, unknown.state) == (BROKEN, BROKEN)
    assert "MESHCLUSTER_RUNTIME_DIR" in unix.next
    assert "pigeon" in unknown.text
