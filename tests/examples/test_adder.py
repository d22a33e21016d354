"""Sums without end, in their order, whoever is killed; Ctrl-C ends all."""

import signal

import pytest

pytestmark = pytest.mark.process


def test_each_result_finds_its_question(shell):
    asking = shell("examples/adder.py")
    workers = [shell("examples/adder.py", "work") for _ in range(2)]
    asking.wait_for("5 + ... = ...")
    workers[0].signal(signal.SIGKILL)
    asking.wait_for("20 + ... = ...")
    asking.signal(signal.SIGINT)
    lines = [line for line in asking.end().splitlines() if " = " in line]  # no log lines
    sums = [[int(word) for word in line.replace("=", "+").split(" + ")] for line in lines]
    assert [first for first, _, _ in sums] == list(range(1, len(sums) + 1))
    assert all(a + b == result for a, b, result in sums)
    workers[1].wait_for("did ... sums")
    workers[1].end()


def test_it_ends_with_nobody_there(shell):
    asking = shell("examples/adder.py")
    workers = shell("examples/adder.py", "work")
    asking.wait_for("1 + ... = ...")
    workers.signal(signal.SIGKILL)
    asking.signal(signal.SIGINT)
    asking.end()
