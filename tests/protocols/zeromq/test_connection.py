"""What is remembered of a descriptor that is libzmq's: nothing else is ever touched by it."""

import os
import socket

import pytest

from meshcluster.protocols.zeromq.connection import Connection


@pytest.fixture
def pair():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def anything(view):
    return True


def test_a_cut_connection_ends_at_the_other_end(pair):
    ours, theirs = pair
    connection = Connection.of(ours.fileno(), anything)
    assert (connection.local, connection.remote) == (True, "")
    connection.cut()
    assert theirs.recv(1) == b""
    assert connection.descriptor == ours.fileno()


def test_a_number_that_is_another_sockets_by_now_is_left_alone(pair):
    ours, theirs = pair
    first, second = socket.socketpair()
    connection = Connection.of(first.fileno(), anything)
    os.dup2(ours.fileno(), first.fileno())
    connection.cut()
    assert connection.descriptor == -1
    ours.send(b"whole")
    assert theirs.recv(10) == b"whole"
    first.close()
    second.close()


def test_what_is_closed_or_no_socket_or_not_ours_is_no_connection(pair, tmp_path):
    ours, _ = pair
    assert Connection.of(ours.fileno(), lambda view: False) is None
    with open(tmp_path / "file", "w") as file:
        assert Connection.of(file.fileno(), anything) is None
        number = file.fileno()
    assert Connection.of(number, anything) is None


def test_a_tcp_connection_tells_the_other_ends_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            connection = Connection.of(client.fileno(), anything)
            assert (connection.local, connection.remote) == (False, "127.0.0.1")
        assert connection.descriptor == -1
        server.accept()[0].close()
