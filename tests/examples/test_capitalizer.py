"""Words in, capitals out; all end by themselves, whoever is started first."""

import pytest

pytestmark = pytest.mark.process


@pytest.mark.parametrize("first", ["work", "words"])
def test_hello_world(shell, first):
    if first == "work":
        worker = shell("examples/capitalizer.py", "work")
        worker.wait_for("at work")
    server = shell("examples/capitalizer.py", "hello world")
    if first == "words":
        worker = shell("examples/capitalizer.py", "work")
    assert server.end() == "HELLO WORLD"
    assert worker.end() == "at work"


def test_each_word_comes_once(shell):
    for _ in range(3):
        shell("examples/capitalizer.py", "work").wait_for("at work")
    words = [f"word {number}" for number in range(100)]
    server = shell("examples/capitalizer.py", *words)
    assert sorted(server.end().splitlines()) == sorted(word.upper() for word in words)
