"""Figures of membership are kept by size, loss and seed, and what is kept is not run again."""

import pytest

from benchmarks.membership.command import load, main
from benchmarks.membership.page import percentile


def test_runs_are_kept_and_shown(tmp_path, capsys):
    kept, shown = tmp_path / "kept.jsonl", tmp_path / "shown.md"
    given = ["--members", "3", "--hours", "0.006", "--deaths", "1"]
    given += ["--kept", str(kept), "--page", str(shown)]
    assert main([*given, "--loss", "0", "--seeds", "1-2"]) == 0
    first, second = load(kept)
    assert (first.members, first.loss, first.seed, second.seed) == (3, 0, 1, 2)
    assert first.false_deaths == first.suspicions == 0
    assert 0 < first.cold_start < 1
    assert 1 < first.silent_first[0] <= first.silent_all[0] < 10
    assert first.kill_all[0] < 0.1
    assert "| 3       | 0 %  |     2 |" in shown.read_text()
    before = kept.read_bytes()
    capsys.readouterr()
    assert main([*given, "--loss", "0", "--seeds", "2"]) == 0
    assert kept.read_bytes() == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("percent", "value"), [(1, 1.0), (50, 2.0), (99, 4.0), (100, 4.0)])
def test_a_percentile_is_one_of_the_values(percent, value):
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value
    assert percentile([], percent) is None
