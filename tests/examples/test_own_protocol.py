"""Members talk by TLS, and only with whom has the key."""

import shutil
import subprocess

import pytest

import meshcluster

MAKE_KEY = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mesh".split()

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a key"),
]


@pytest.fixture
def make_key(tmp_path):
    def make(name):
        files = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        subprocess.run(
            [*MAKE_KEY, "-out", files[0], "-keyout", files[1]],
            check=True,
            capture_output=True,
        )
        return files

    return make


def test_two_with_the_key_talk(shell, make_key):
    key = make_key("mesh")
    shells = [shell("examples/own_protocol.py", *key) for _ in range(2)]
    for each in shells:
        each.wait_for("own_protocol-... says hello by tls")


def test_one_with_another_key_hears_and_says_nothing(shell, make_key):
    key, other = make_key("mesh"), make_key("other")
    stranger = shell("examples/own_protocol.py", *other)
    with meshcluster.join() as cluster:
        cluster.wait_for_services()  # it is there
    shells = [shell("examples/own_protocol.py", *key) for _ in range(2)]
    for each in shells:
        each.wait_for("own_protocol-... says hello by tls")
    for each in shells:  # not before both have heard the other
        each.close()
        assert each.output.count("says") == 1
    stranger.close()
    assert "says" not in stranger.output
