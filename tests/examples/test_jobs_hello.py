"""Each host says hello, and one that cannot be reached is named; here, and by an ssh client."""

import platform
import sys

import pytest

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="its sites are of this machine's sh"),
]

SSH = """#!/bin/sh
for last; do :; done
case "$*" in *nowhere*) echo "no such luck" >&2; exit 255 ;; esac
exec sh -c "$last"
"""
"""Stands for the client: the hosts it is led to are this one."""


def test_two_sites_say_hello(shell):
    said = shell("examples/jobs_hello.py").end().splitlines()
    hellos = {line for line in said if line.startswith("Hello")}
    assert hellos == {
        f"Hello from {site}, which calls itself {platform.node()}" for site in ("one", "two")
    }
    assert said[-1].startswith("hello: 2 of 2 ok on 2 sites in ")


def test_a_host_that_cannot_be_reached_is_named(shell, tmp_path, monkeypatch):
    client = tmp_path / "ssh"
    client.write_text(SSH)
    client.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = shell("examples/jobs_hello.py", "me@box1", "nowhere").end(1).splitlines()
    assert f"Hello from me@box1, which calls itself {platform.node()}" in said
    assert said[1].startswith("unreachable: hello on nowhere: ")
    assert said[1].endswith("no such luck")
