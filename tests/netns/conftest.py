"""Networks to test on, of hosts in network namespaces: ``network`` makes hosts and LANs.

    def test_three_meet(network):
        one, two, three = network.lan(3)
        members = [host.join(f"m{n}", ttl=1) for n, host in enumerate((one, two, three))]
        assert members[0].ask("[name for name, _, _ in met(2)]") == ["m1", "m2"]

Root may do it, and so may others where unprivileged user namespaces are allowed; else such a test
is skipped, with the reason. Everything has names of its own and is removed at the end, or by the
next run.
"""

import contextlib
import shutil
import subprocess

import pytest

from .ground import TUN, Ground, Impossible
from .host import Host
from .lan import Lan
from .tap import TapLan


class Network:
    """Hosts and LANs, removed by ``close``."""

    def __init__(self, ground, runtime_dir):
        self._ground = ground
        self._runtime_dir = runtime_dir
        self._stack = contextlib.ExitStack()
        self._hosts = []
        self._places = 0

    def host(self, *loopback):
        """A host without a cable; the states that its loopback interface gets in turn, [up]."""
        host = Host(self._ground, self._runtime_dir, *loopback)
        self._stack.callback(host.close)
        self._hosts.append(host)
        return host

    def named(self, name):
        """The host whose namespace has that name."""
        return next(host for host in self._hosts if host.name == name)

    def lan(self, hosts=0, *, ipv4=True, ipv6=True):
        """A LAN of its own, with so many new hosts; ``connect`` puts more on it."""
        for tool in ("nft", "bridge"):
            needs(tool)
        lan = Lan(self.host(), self._place(), ipv4=ipv4, ipv6=ipv6)
        for _ in range(hosts):
            lan.connect(self.host())
        return lan

    def tap_lan(self, hosts=0, *, seed=7, ipv4=True, ipv6=True):
        """A LAN with delay, reordering, duplicates and loss."""
        if not self._ground.is_root or not TUN.exists():
            pytest.skip(f"needs root and {TUN}")
        lan = TapLan(self._place(), seed, ipv4=ipv4, ipv6=ipv6)
        self._stack.callback(lan.close)
        for _ in range(hosts):
            lan.connect(self.host())
        return lan

    def _place(self):
        self._places += 1
        return self._places - 1

    def close(self):
        """All processes end beside each other."""
        for host in self._hosts:
            host.release()
        self._stack.close()


def needs(tool):
    """Skips a test where a command is missing."""
    if shutil.which(tool) is None:
        pytest.skip(f"needs the command {tool}")


@pytest.fixture(scope="session")
def ground():
    """What namespaces stand on."""
    try:
        ground = Ground()
    except Impossible as error:
        pytest.skip(str(error))
    yield ground
    ground.close()


def ip(*words):
    """Runs ip, outside of all hosts."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@pytest.fixture
def stack():
    """What is to be undone at the end, before the network goes."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def namespace(network):
    """For tests that lay their own cables: makes a host and returns its namespace's name."""
    return lambda *loopback: network.host(*loopback).name


@pytest.fixture
def start(network):
    """Starts a script on the host that has a name."""
    return lambda name, *words: network.named(name).script(*words)


@pytest.fixture
def network(ground, runtime_dir):
    """Makes hosts and LANs, removed at the end of the test."""
    network = Network(ground, runtime_dir)
    yield network
    network.close()


def pytest_collection_modifyitems(items):
    """All tests of this folder have the mark."""
    for item in items:
        if "/netns/" in item.nodeid:
            item.add_marker(pytest.mark.netns)
