"""Hosts to test on: network namespaces, each with a runtime directory of its own."""

import itertools
import json
import os
import subprocess
import sys
from contextlib import ExitStack

import pytest

NUMBERS = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Process:
    """A script in a namespace; it replies a JSON line to each line."""

    def __init__(self, runtime_dir, namespace, script, *arguments):
        command = ["ip", "netns", "exec", namespace, sys.executable, "-c", script, *arguments]
        environment = {**os.environ, "MESHCLUSTER_RUNTIME_DIR": str(runtime_dir / namespace)}
        self.popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.reply() == "joined"

    def ask(self, line=""):
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()
        return self.reply()

    def reply(self):
        line = self.popen.stdout.readline()
        assert line, "the process has ended"
        return json.loads(line)

    def kill(self):
        """Ends it as ``kill -9`` does: ip has become the script by exec."""
        self.popen.kill()
        self.popen.wait()

    def end(self):
        self.popen.stdin.close()
        self.popen.stdout.close()
        try:
            self.popen.wait(10)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def namespace(stack):
    """Makes network namespaces with nothing but loopback; removed at the end."""

    def namespace(*loopback):
        name = f"mctest{os.getpid()}n{next(NUMBERS)}"
        ip("netns", "add", name)
        stack.callback(ip, "netns", "del", name)
        for state in loopback or ["up"]:
            ip("-n", name, "link", "set", "lo", state)
        return name

    return namespace


@pytest.fixture
def start(stack, runtime_dir):
    """Starts scripts in namespaces; they end with the test."""

    def start(*arguments):
        process = Process(runtime_dir, *arguments)
        stack.callback(process.end)
        return process

    return start
