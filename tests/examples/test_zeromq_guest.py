"""What a plain program is told when its question is a wrong one."""

import socket

import pytest

pytestmark = pytest.mark.process


def test_a_wrong_question_is_answered_with_what_went_wrong(shell):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = shell("examples/zeromq_host.py", port)
    host.wait_for("guests are welcome")
    guest = shell("examples/zeromq_guest.py", f"tcp://127.0.0.1:{port}", "what?")
    guest.wait_for("error ValueError: ask: who")
    guest.end()
    host.close()
