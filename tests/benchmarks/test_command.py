"""The benchmarks run, in short, with real processes. What they find is not looked at."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.process


def benchmarks(*arguments, **environment):
    command = [sys.executable, "-m", "benchmarks", "--repeats", "1", "--seconds", "0.02"]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("part", ["oneway", "query"])
def test_a_part_runs_and_is_compared(part, tmp_path):
    kept, shown = tmp_path / "kept.json", tmp_path / "shown.md"
    first = benchmarks(part, "--json", kept, "--markdown", shown)
    assert first.returncode == 0, first.stderr
    assert f"### {part}: " in shown.read_text()
    (table,) = json.loads(kept.read_text())["tables"]
    assert [row["lost"] for row in table["rows"]] == [0] * len(table["rows"])
    second = benchmarks(part, "--compare", kept)
    assert f"### {part}: stored and now" in second.stdout


def test_an_unknown_part_is_named():
    told = benchmarks("discovry")
    assert told.returncode == 1
    assert "no such part: discovry" in told.stderr


def test_a_part_that_cannot_run_here_is_left_out_and_says_why():
    told = benchmarks("losses", PATH="")
    assert told.returncode == 0, told.stderr
    assert "Left out: needs " in told.stdout
