"""Who opens connections and says nothing, lies or drips keeps no real member out, and holds no
memory: findings KS-02 and KS-03 of an audit of another library, on real sockets.
"""

import contextlib
import os
import socket
import struct
import sys
import threading
import time

import pytest

import meshcluster
from meshcluster.wire import codec

pytestmark = [
    pytest.mark.process,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, uses 127.0.0.2"),
]

SILENT, MEMORY_MIB, JOIN_SECONDS = 300, 20, 20
PATIENCE_SECONDS = 30


def lies(length):
    """A frame that says it is so long, and is not."""
    begin = struct.pack(">I", 8) + codec.preface(codec.SECURITY_NOISE)
    return begin + struct.pack(">I", length) + b"x" * 100


SAYINGS = {
    "nothing": b"",
    "a preface": struct.pack(">I", 8) + codec.preface(codec.SECURITY_NOISE),
    "a preface that seals nothing": struct.pack(">I", 8) + codec.preface(),
    "a lie that is allowed": lies(64 * 1024),
    "a lie": lies(2**32 - 1),
    "noise": bytes(range(256)),
}


def memory_mib():
    """Resident."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def port_of(cluster):
    (endpoint,) = [e for e in cluster._driver.node.details.endpoints if e.scheme == "tcp"]
    return endpoint.props["port"]


def knock(port, source):
    """A connection from an address of this host."""
    made = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return made


class Siege:
    """Keeps so many connections open from some addresses, each of which says one thing."""

    def __init__(self, port, saying, sources=("127.0.0.2",)):
        self._port, self._saying, self._sources = port, saying, sources
        self._ended = threading.Event()
        self.opened = 0
        self._thread = threading.Thread(target=self._besiege)

    def _besiege(self):
        held = []
        while not self._ended.is_set():
            if len(held) >= SILENT:
                held.pop(0).close()
            try:
                one = knock(self._port, self._sources[self.opened % len(self._sources)])
                held.append(one)
                one.sendall(self._saying)
            except OSError:
                self._ended.wait(0.01)
            self.opened += 1
        for each in held:
            each.close()

    def __enter__(self):
        self._thread.start()
        end = time.monotonic() + PATIENCE_SECONDS
        while self.opened < SILENT and time.monotonic() < end:
            self._ended.wait(0.01)
        return self

    def __exit__(self, *exc):
        self._ended.set()
        self._thread.join()


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_real_member_gets_in_while_hundreds_of_connections_are_opened(saying, beacon_port):
    options = {"port": beacon_port, "protocols": ["tcp"]}
    with meshcluster.join(name="host", **options) as host, contextlib.ExitStack() as stack:
        before = memory_mib()
        siege = stack.enter_context(Siege(port_of(host), SAYINGS[saying]))
        began = time.monotonic()
        with meshcluster.join(name="guest", **options) as guest:
            guest.hook("query")(lambda question: "here")
            assert host.wait_for_services(1, timeout=JOIN_SECONDS)
            query = host.query("are you there?")
            query.wait(JOIN_SECONDS)
            assert list(query.results.values()) == ["here"]
            took = time.monotonic() - began
            grown = memory_mib() - before
        print(f"{siege.opened} say {saying}: in after {took:.2f} s, {grown:+.1f} MiB")
        assert took < JOIN_SECONDS
        assert grown < MEMORY_MIB
        assert any(name.startswith("links") for name in host.dropped)


def test_a_connection_that_drips_is_put_out_in_time(beacon_port):
    with meshcluster.join(name="host", port=beacon_port, protocols=["tcp"]) as host:
        with knock(port_of(host), "127.0.0.2") as dripping:
            dripping.settimeout(0.2)
            end, rest = time.monotonic() + PATIENCE_SECONDS, lies(1000)
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError):
                    try:
                        dripping.send(rest[:1] or b"x")
                        rest = rest[1:]
                        if dripping.recv(1) == b"":
                            break
                    except (ConnectionError, BrokenPipeError):
                        break
        assert host.dropped["links without a hello"] == 1
