"""Hosts and LANs together; ``conftest.py`` has the fixture."""

import contextlib
import shutil

import pytest

from .ground import TUN
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
