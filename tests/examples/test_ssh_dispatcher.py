"""Ten questions, ten answers in their order; by processes of this machine, or by an ssh client."""

import os
import platform
import sys

import pytest

pytestmark = pytest.mark.process

ANSWERS = [f"{i}'s hostname is {platform.node()}" for i in range(1, 11)]
SSH = f"""#!{sys.executable}
import os, sys
with open(os.environ["SAID_TO_SSH"], "a") as file:
    print(*sys.argv[1:], sep="|", file=file)
os.chdir("examples")
os.execlp("sh", "sh", "-c", sys.argv[-1].replace("python3", sys.executable))
"""
"""Stands for the client: the host it is led to is this one."""


def test_ten_answers_in_order_without_ssh(shell):
    assert shell("examples/ssh_dispatcher.py").end().splitlines() == ANSWERS


def test_hosts_are_asked_by_the_ssh_client(shell, tmp_path, monkeypatch):
    client, said = tmp_path / "ssh", tmp_path / "said"
    client.write_text(SSH)
    client.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SAID_TO_SSH", str(said))
    asking = shell("examples/ssh_dispatcher.py", "box1", "me@box2:2222")
    assert asking.end().splitlines() == ANSWERS
    calls = [line.split("|") for line in said.read_text().splitlines()]
    assert {call[-2] for call in calls} <= {"box1", "box2"}
    assert {call[-1] for call in calls} == {"python3 ssh_worker.py"}


def test_a_host_that_cannot_be_reached_is_named(shell, tmp_path, monkeypatch):
    client = tmp_path / "ssh"
    client.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 255\n")
    client.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    asking = shell("examples/ssh_dispatcher.py", "box1")
    said = asking.end(1)
    assert said.startswith("no server can be reached; box1: ")
    assert said.endswith("no such luck")
