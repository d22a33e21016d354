"""The command: says its version, its help, and what it does not know."""

import subprocess
import sys

from meshcluster.version import VERSION


def meshcluster(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meshcluster", *arguments],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_it_says_its_version() -> None:
    done = meshcluster("--version")
    assert done.returncode == 0
    assert VERSION in done.stdout


def test_its_help_names_the_commands() -> None:
    done = meshcluster("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout


def test_a_wrong_word_is_a_usage_error() -> None:
    done = meshcluster("dmeo")
    assert done.returncode == 2
    assert "No such command 'dmeo'" in done.stderr
