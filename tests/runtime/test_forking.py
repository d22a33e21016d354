"""What a forked child lets go of: descriptors become those of /dev/null, and objects are told.

Whole members in forked processes are in tests/embedding/test_fork.py.
"""

import gc
import os
import socket
import subprocess
import sys

import pytest

from meshcluster.runtime import forking

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def in_child(*findings):
    """What some functions find in a forked child, as texts; each is tried."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            for find in findings:
                try:
                    found = find()
                except Exception as error:
                    found = type(error).__name__
                os.write(writer, f"{found}\n".encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with open(reader) as stream:
        return stream.read().split("\n")[:-1]


class Holding:
    """Has a pair of sockets."""

    def __init__(self):
        self.one, self.other = socket.socketpair()
        self.told = False

    def descriptors(self):
        return [self.one.fileno()]

    def forked(self):
        self.told = True

    def close(self):
        self.one.close()
        self.other.close()


@pytest.fixture
def holding():
    made = Holding()
    yield made
    made.close()


def target(holding):
    return lambda: os.readlink(f"/proc/self/fd/{holding.one.fileno()}")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_in_the_child_a_watched_descriptor_is_of_dev_null_and_in_the_parent_as_it_was(holding):
    forking.watch(holding)
    assert in_child(target(holding), lambda: holding.told) == ["/dev/null", "True"]
    assert not holding.told
    holding.other.send(b"x")
    assert holding.one.recv(1) == b"x"


def test_a_child_that_closes_afterwards_closes_nothing_else(holding):
    forking.watch(holding)

    def close_late():
        number = holding.one.fileno()
        opened = os.open(os.devnull, os.O_RDONLY)
        holding.one.close()
        return opened != number and os.fstat(opened) is not None

    assert in_child(close_late) == ["True"]


def test_a_descriptor_let_go_of_is_not_inherited_by_programs_either(holding):
    forking.watch(holding)
    assert in_child(lambda: os.get_inheritable(holding.one.fileno())) == ["False"]


def test_what_is_closed_or_gone_is_passed_over(holding):
    closed = Holding()
    forking.watch(closed)
    closed.close()
    forking.watch(gone := Holding())
    gone.close()
    del gone
    gc.collect()
    forking.watch(holding)
    assert in_child(lambda: holding.told) == ["True"]


def test_a_third_partys_mistake_keeps_nobody_else_from_being_told(holding, capfd):
    class Broken:
        __hash__ = None

        def descriptors(self):
            raise KeyError("descriptors")

        def forked(self):
            raise KeyError("forked")

    broken = Broken()
    forking.watch(broken)
    forking.watch(holding)
    assert in_child(lambda: holding.told) == ["True"]
    del broken


def test_without_a_free_descriptor_it_is_closed(holding, monkeypatch):
    forking.watch(holding)

    def no_more(*arguments):
        raise OSError("too many open files")

    monkeypatch.setattr(forking.os, "open", no_more)
    assert in_child(lambda: os.fstat(holding.one.fileno())) == ["OSError"]


def test_what_has_neither_needs_no_weak_reference():
    forking.watch(42)


def test_nothing_is_registered_by_importing():
    code = """
import os
os.register_at_fork = lambda **functions: print(functions)
import threading, logging, random, concurrent.futures.thread
known = []
os.register_at_fork = lambda **functions: known.append(functions)
import meshcluster
print([f for f in known if "meshcluster" in str(f["after_in_child"].__module__)])
meshcluster.Cluster(), meshcluster.Cluster()
print(len([f for f in known if "meshcluster" in str(f.get("after_in_child").__module__)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split("\n")[-3:] == ["[]", "1", ""]
