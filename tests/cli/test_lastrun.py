"""The last run that was not all ok: kept for its user alone, whole, and never a reason to fail."""

import json
import stat
from pathlib import Path

import pytest

from meshcluster.cli.lastrun import LastRun, keep, kept, path_of
from meshcluster.errors import ConfigError
from tests.jobs.runs import deployment, outcome, run


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "deploy.py"


def fine(*jobs):
    return run(*(outcome(job, "a", "ok", 0, 1) for job in jobs), jobs=jobs)


def test_it_comes_back_as_it_was(state, file) -> None:
    last = LastRun(deployment(), {"max_parallel": 3, "set": {"a": "b"}})
    keep(file, last)
    assert kept(file) == last


def test_it_is_its_users_alone(state, file) -> None:
    keep(file, LastRun(deployment(), {}))
    path = path_of(file)
    assert path.parent == state / "meshcluster" / "jobs"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_each_file_has_its_own_by_whatever_path(state, file, tmp_path, monkeypatch) -> None:
    keep(file, LastRun(deployment(), {}))
    monkeypatch.chdir(tmp_path)
    assert kept(Path("deploy.py")) is not None
    assert kept(Path("other.py")) is None


def test_it_waits_until_the_same_jobs_are_all_ok(state, file) -> None:
    keep(file, LastRun(deployment(), {}))
    keep(file, LastRun(fine("status"), {}))
    assert kept(file) is not None
    pairs = [each.pair for each in deployment().outcomes]
    well = [outcome(pair.job, pair.site, "ok", 0, 1, pair.position) for pair in pairs]
    keep(file, LastRun(run(*well, jobs=deployment().jobs), {}))
    assert kept(file) is None


def test_an_ok_run_of_some_of_its_sites_ends_the_wait_of_these_alone(state, file) -> None:
    bad = run(*(outcome("update", site, "failed", 0, 1) for site in "ab"), jobs=("update",))
    keep(file, LastRun(bad, {"max_parallel": 3}))
    for site, left in (("c", {"a", "b"}), ("a", {"b"})):
        keep(file, LastRun(run(outcome("update", site, "ok", 0, 1), jobs=("update",)), {}))
        last = kept(file)
        assert last is not None
        assert {each.site for each in last.result.failed} == left
        assert last.options == {"max_parallel": 3}
    keep(file, LastRun(run(outcome("update", "b", "ok", 0, 1), jobs=("update",)), {}))
    assert kept(file) is None


def test_a_run_that_did_nothing_ends_no_wait(state, file) -> None:
    keep(file, LastRun(deployment(), {}))
    keep(file, LastRun(run(jobs=deployment().jobs), {}))
    assert kept(file) == LastRun(deployment(), {})


def test_what_a_retry_left_out_goes_on_to_wait_with_the_options_of_the_run(state, file) -> None:
    bad = run(*(outcome("update", site, "failed", 0, 1) for site in "abc"), jobs=("update",))
    first = LastRun(bad, {"set": {"v": "1"}})
    keep(file, first)
    again = run(
        outcome("update", "a", "ok", 0, 1), outcome("update", "b", "lost", 0, 1), jobs=("update",)
    )
    keep(file, LastRun(again, {"words": ["p"]}), first)
    last = kept(file)
    assert last is not None
    assert [each.status for each in last.result.outcomes] == ["ok", "lost", "failed"]
    assert last.options == {"set": {"v": "1"}}


def test_a_run_that_was_interrupted_with_nothing_left_to_do_is_not_kept(state, file) -> None:
    keep(file, LastRun(run(outcome("a", "s", "ok", 0, 1), jobs=("a",), interrupted=True), {}))
    assert kept(file) is None


def test_without_a_directory_of_states_it_is_in_the_home(tmp_path, monkeypatch, file) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "ada")
    for named in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        path = path_of(file, named)
        assert path.parent == tmp_path / "ada" / ".local" / "state" / "meshcluster" / "jobs"


def test_that_it_cannot_be_kept_is_said_and_no_failure(tmp_path, monkeypatch, file, capsys) -> None:
    (tmp_path / "state").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    keep(file, LastRun(deployment(), {}))
    assert capsys.readouterr().err == (
        "meshcluster: the run is not kept for --retry-failed: Not a directory\n"
    )


def test_without_a_home_nothing_is_kept(monkeypatch, file, capsys) -> None:
    def home():
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", home)
    keep(file, LastRun(deployment(), {}))
    assert capsys.readouterr().err.endswith("--retry-failed: no home\n")
    assert kept(file) is None


@pytest.mark.parametrize(("text", "trouble"), [
    ("{", "Expecting property name"),
    ("[]", "written by another version"),
    (json.dumps({"version": 99}), "written by another version"),
    (json.dumps({"version": 1, "result": {}}), "options: a mapping"),
    (json.dumps({"version": 1, "result": {}, "options": {}}), "remove it"),
])  # fmt: skip
def test_what_is_broken_names_the_file(state, file, text, trouble) -> None:
    path = path_of(file)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ConfigError, match=trouble) as caught:
        kept(file)
    assert str(path) in str(caught.value)
    keep(file, LastRun(fine("a"), {}))  # is none of its business
