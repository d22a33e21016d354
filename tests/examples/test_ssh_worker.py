"""A worker script: one question is answered, others are refused, and what it prints is logged."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

import meshcluster

pytestmark = pytest.mark.process

COMMAND = [sys.executable, str(Path(__file__).parents[2] / "examples" / "ssh_worker.py")]
QUESTION = "what's your hostname?"


def test_it_answers_its_question():
    lines = []
    with meshcluster.Dispatcher([{"command": COMMAND}], on_log=lines.append) as dispatcher:
        answer = dispatcher({"question": QUESTION, "i": 7}).result(30)
        assert answer == f"7's hostname is {platform.node()}"
        with pytest.raises(ValueError, match="no answer to 'why'"):
            dispatcher({"question": "why", "i": 8}).result(30)
    assert [(line.task, line.text) for line in lines] == [(1, "asked for the hostname")]


def test_it_ends_when_its_caller_is_gone():
    done = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.stdout.startswith(b"meshcluster-worker 1 ")
    assert done.stderr == b""
