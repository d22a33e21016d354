"""What a socket never says itself: who came, who went, and why."""

import errno
import socket

import pytest
import zmq

from meshcluster.protocols.zeromq import monitor
from meshcluster.protocols.zeromq.sockets import Sockets


@pytest.fixture
def watched():
    """A listening socket, its port and its monitor."""
    sockets = Sockets(1000)
    listening = sockets.open(zmq.ROUTER)
    seen = monitor.Monitor(listening)
    port = listening.bind_to_random_port("tcp://127.0.0.1")
    yield listening, port, seen
    seen.close()
    sockets.shut(listening)


def events(seen, count):
    """The next ones, waited for by the descriptor that is readable then."""
    found = []
    poller = zmq.Poller()
    poller.register(seen.fd, zmq.POLLIN)
    while len(found) < count:
        assert poller.poll(10_000)
        found.extend(seen.read())
    return found


def test_who_comes_and_goes_is_told_by_descriptor(watched):
    listening, port, seen = watched
    sockets = Sockets(1000)
    other = sockets.open(zmq.DEALER)
    other.connect(f"tcp://127.0.0.1:{port}")
    ((event, number),) = events(seen, 1)
    assert event == monitor.ACCEPTED
    other.send(b"")
    assert listening.poll(10_000)  # the handshake is over, or it would fail by what follows
    sockets.shut(other)
    *_, last = events(seen, 1)
    assert last == (monitor.DISCONNECTED, number)


def test_why_a_handshake_failed_is_told_before_the_end(watched):
    _, port, seen = watched
    with socket.create_connection(("127.0.0.1", port)) as other:
        other.send(b"GET / HTTP/1.1\r\n\r\n")
    accepted, (failed, value), gone = events(seen, 3)
    assert failed in monitor.FAILED
    assert gone == (monitor.DISCONNECTED, accepted[1])
    assert "no ZeroMQ handshake" in monitor.why(failed, value)


def test_reasons_are_for_people():
    no_detail, protocol, _ = monitor.FAILED
    assert "reset" in monitor.why(no_detail, errno.ECONNRESET)
    assert "error 7 of the protocol" in monitor.why(protocol, 7)
