"""The benchmarks run as a program; what a part measures is tested with that part."""

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


def test_a_part_runs(tmp_path):
    kept, shown = tmp_path / "kept.json", tmp_path / "shown.md"
    told = benchmarks("sizes", "--json", kept, "--markdown", shown)
    assert told.returncode == 0, told.stderr
    assert "### sizes: " in shown.read_text()
    (table,) = json.loads(kept.read_text())["tables"]
    assert table["rows"][0]["name"] == "heartbeat"


def test_an_unknown_part_is_named():
    told = benchmarks("discovry")
    assert told.returncode == 1
    assert "no such part: discovry" in told.stderr


def test_an_unknown_peer_is_named():
    told = benchmarks("peers", "--peers", "nats,pigeons")
    assert told.returncode == 1
    assert "no such peer: pigeons; there are zenoh" in told.stderr


def test_a_part_that_cannot_run_here_is_left_out_and_says_why():
    told = benchmarks("losses", PATH="")
    assert told.returncode == 0, told.stderr
    assert "Left out: needs " in told.stdout
