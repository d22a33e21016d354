"""One port number for IPv4 and IPv6, and addresses that no resolver is asked for."""

import errno
import socket

import pytest

from meshcluster.model import Endpoint
from meshcluster.protocols import ports


@pytest.mark.parametrize("port", [0, 1, 65535])
def test_what_a_port_is(port):
    assert ports.is_port(port)


@pytest.mark.parametrize("port", [-1, 65536, True, "80", None, 1.0])
def test_what_a_port_is_not(port):
    assert not ports.is_port(port)


def test_every_address_is_of_both_families_by_one_number():
    bound = ports.bind(ports.EVERYWHERE, 0)
    names = [each.getsockname() for each in bound]
    for each in bound:
        each.close()
    assert [name[0] for name in names] == ["0.0.0.0", "::"]
    assert names[0][1] == names[1][1]


def test_a_port_that_is_taken_by_ipv6_alone_is_taken():
    with socket.create_server(("::", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use") as caught:
            ports.bind(ports.EVERYWHERE, port)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_connecting(host):
    (bound,) = ports.bind(host, 0)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with bound, socket.socket(family) as connected:
        await ports.connect(connected, bound.getsockname())
        assert connected.getpeername() == bound.getsockname()
    with socket.socket(family) as connected, pytest.raises(ConnectionRefusedError):
        await ports.connect(connected, (host, 1))


@pytest.mark.parametrize("props", [{}, {"port": 0}, {"port": -1}, {"port": 65536}, {"port": "80"}])
def test_what_a_peer_tells_as_its_port_is_one_or_refused(props):
    with pytest.raises(ConnectionError, match="malformed port"):
        ports.port_of(Endpoint("tcp", props))
    assert ports.port_of(Endpoint("tcp", {**props, "at": 443}), "at") == 443
