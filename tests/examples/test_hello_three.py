"""The third of three shells prints "Hello, World!", whatever the order in which they start."""

import itertools

import pytest

pytestmark = pytest.mark.process


@pytest.mark.parametrize("order", list(itertools.permutations(("one", "two", "three"))))
def test_the_third_shell_says_hello_world(shell, order):
    shells = {name: shell(f"examples/hello_{name}.py") for name in order}
    shells["three"].wait_for("Hello, World!")
    shells["three"].end()
