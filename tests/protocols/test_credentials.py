"""Who is at the other end of a UNIX socket."""

import os
import socket
import sys

import pytest

from meshcluster.protocols import credentials
from meshcluster.protocols.credentials import is_same_user, partner, peer_uid, trouble_with

pytestmark = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin"), reason="the system does not tell"
)

VISITOR = """
import socket
become(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect(sys.argv[1])
    tell("connected")
    caller.recv(1)
"""


@pytest.fixture
def pair():
    ours, other = socket.socketpair()
    with ours, other:
        yield ours


@pytest.fixture
def visited(runtime_dir, stranger):
    """`visited(uid, mode)`: our end of a UNIX socket that another user connected to, in a directory
    of that mode.
    """
    opened = []

    def visited(uid, mode=0o755):
        runtime_dir.chmod(0o755)
        folder = runtime_dir / "folder"
        folder.mkdir()
        os.chown(folder, -1, 54321)
        folder.chmod(mode)
        path = folder / "x.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen()
            visitor = stranger(VISITOR, path, uid)
            listener.settimeout(20)
            opened.append(listener.accept()[0])
            assert visitor.hear() == "connected"
        return opened[-1]

    yield visited
    for each in opened:
        each.close()


def test_our_own_other_end_is_proven(pair):
    assert peer_uid(pair) == os.geteuid()
    assert is_same_user(pair)
    assert trouble_with(pair) == ""


def test_no_other_kind_of_socket_proves_anything():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as caller:
            assert peer_uid(caller) is None
            assert not is_same_user(caller)
            assert trouble_with(caller) == ""


@pytest.mark.process
def test_another_user_is_known_and_is_trouble(visited):
    connected = visited(12345)
    assert peer_uid(connected) == 12345
    assert not is_same_user(connected)
    assert trouble_with(connected) == "another user is at the other end: uid 12345"


@pytest.mark.process
def test_whom_a_groups_directory_lets_in_is_welcome(visited):
    connected = visited(12345, 0o2770)
    assert peer_uid(connected) == 12345
    assert not is_same_user(connected)
    assert trouble_with(connected) == ""


@pytest.mark.process
def test_the_user_that_stands_for_all_unknown_ones_proves_nothing(visited, monkeypatch):
    connected = visited(credentials.NOBODY)
    assert peer_uid(connected) is None
    monkeypatch.setattr(os, "geteuid", lambda: credentials.NOBODY)
    assert not is_same_user(connected)
    assert trouble_with(connected) == ""


def test_where_the_system_does_not_tell_nothing_is_proven(pair, monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED", raising=False)
    monkeypatch.delattr(socket, "LOCAL_PEERCRED", raising=False)
    assert peer_uid(pair) is None
    assert not is_same_user(pair)


def test_a_socket_that_is_closed_proves_nothing():
    ours, other = socket.socketpair()
    ours.close()
    other.close()
    assert peer_uid(ours) is None


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the process")


def connected_in(folder):
    """Our end of a UNIX socket in this directory, with ourselves at the other."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "x.sock"))
        listener.listen()
        caller = socket.socket(socket.AF_UNIX)
        caller.connect(str(folder / "x.sock"))
        return caller


@LINUX
@pytest.mark.parametrize(("mode", "found"), [(0o700, os.getpid), (0o2770, int)])
def test_the_process_at_the_other_end_is_a_partner_but_not_in_a_groups_directory(
    runtime_dir, mode, found
):
    runtime_dir.chmod(mode)
    with connected_in(runtime_dir) as caller:
        assert is_same_user(caller)
        assert partner(caller) == found()


@LINUX
@pytest.mark.process
def test_another_user_is_no_partner(visited):
    assert partner(visited(12345)) == 0


def test_where_the_system_does_not_tell_nobody_is_a_partner(pair, monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED", raising=False)
    assert partner(pair) == 0
