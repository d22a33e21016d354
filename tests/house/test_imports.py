"""Imports point down; the contracts are in pyproject.toml."""

import subprocess
import sys

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"


def test_contracts_hold(root):
    run = subprocess.run(
        [sys.executable, "-c", LINT], cwd=root, capture_output=True, text=True, timeout=50
    )
    assert run.returncode == 0, run.stdout + run.stderr
