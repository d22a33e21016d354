"""Each start is compared with bare Python's of the same round, and imports no more than it must."""

import subprocess
import sys

import pytest

from benchmarks.parts import PARTS, starts
from benchmarks.settings import Settings

pytestmark = pytest.mark.process
HEAVY = {"asyncio", "cryptography", "msgspec", "psutil", "zeroconf", "zmq"}


def loaded(program):
    """The heavy packages that a program has imported at its end."""
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return HEAVY & set(told.stdout.split())


def test_goals_are_those_of_importing_and_of_the_version():
    goals = [start.goal for start in starts.all_starts()]
    assert goals == [None, 80.0, None, 120.0, None, None]


@pytest.mark.slow
def test_each_start_is_compared_with_bare_python(monkeypatch):
    first = starts.all_starts()[:2]
    monkeypatch.setattr(starts, "STARTS_A_REPEAT", 1)
    monkeypatch.setattr(starts, "all_starts", lambda: first)
    (table,) = PARTS["starts"](Settings(repeats=1))  # where all is compiled, a member has joined
    bare = table.rows[0]
    assert (bare.name, bare.median) == (starts.BARE, 0.0)
    assert all(row.also["whole ms"] > 0 for row in table.rows)


def test_importing_and_telling_the_version_load_nothing_heavy():
    assert loaded("import meshcluster; meshcluster.__version__") == set()
    version = "from meshcluster.cli import main; main.run(['--version'])"
    assert loaded(version) == set()
