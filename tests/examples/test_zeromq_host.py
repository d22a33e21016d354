"""A member with a guest, in two shells."""

import socket

import pytest

pytestmark = pytest.mark.process


def test_a_guest_is_told_who_is_there(shell):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = shell("examples/zeromq_host.py", port)
    host.wait_for("guests are welcome")
    guest = shell("examples/zeromq_guest.py", f"tcp://127.0.0.1:{port}", "who")
    guest.wait_for("ok zeromq_host")
    guest.end()
    host.wait_for("asked from 127.0.0.1")
    host.close()
