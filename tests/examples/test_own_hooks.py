"""Each hook does what its name says."""

import pytest

pytestmark = pytest.mark.process


def test_every_hook_leaves_its_mark(shell):
    said = shell("examples/own_hooks.py").end().splitlines()
    assert "red-1 knows red-2" in said  # not blue
    heard = said.index("heard")
    assert said[heard + 1 : said.index("traced")] == [
        "  HELLO from red-2",
        "  0 from red-2",
        "  1 from red-2",
    ]
    assert "noon what is space?" in said
    assert "refused {'red-2': 3}" in said
    assert "  receive event from red-2 by unix on channel 5: 'hello'" in said  # the ready hook
