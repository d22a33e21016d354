"""The options of runs: as ``Terms`` has them, and only those that were given."""

import os

import click
import pytest

from meshcluster.cli.terms import (
    OPTIONS,
    REPORTS,
    SCHEDULES,
    chosen,
    having,
    pairs,
    password,
    portion,
    portions,
)
from meshcluster.jobs.terms import KINDS, Terms

CONTEXT = click.Context(click.Command("x"))
PARAM = click.Option(["--set"], metavar="KEY=VALUE")


def parsed(*arguments):
    """What a command that has all of them is given."""
    seen = {}

    @click.command
    @having(OPTIONS)
    @having(REPORTS)
    def command(**given):
        seen.update(given)

    command.main(list(arguments), standalone_mode=False)
    return seen


def test_the_schedules_are_those_there_are() -> None:
    assert SCHEDULES == KINDS


def test_what_was_not_given_is_left_to_the_jobs() -> None:
    assert chosen(parsed()) == {}


def test_all_are_understood_by_terms() -> None:
    given = parsed(
        "--schedule", "atomic", "--max-parallel", "3", "--per-host", "2", "--batches", "1,25%",
        "--max-fail", "0", "--break-on-error", "--cancel-running", "--live", "--allow-missing",
        "--require-sites", "2", "--action-timeout", "1.5",
    )  # fmt: skip
    assert Terms().changed(**chosen(given)) == Terms(
        schedule="atomic", max_parallel=3, per_host=2, batches=(1, "25%"), max_fail=0,
        break_on_error=True, cancel_running=True, live=True, allow_missing=True, require_sites=2,
        timeout=1.5,
    )  # fmt: skip


@pytest.mark.parametrize(("word", "meant"), [("3", 3), ("25%", "25%"), (" 3 ", 3), (None, None)])
def test_a_portion_is_a_number_or_a_share(word, meant) -> None:
    assert portion(CONTEXT, PARAM, word) == meant


def test_several_portions_are_a_list() -> None:
    assert portions(CONTEXT, PARAM, "1,10,50%") == [1, 10, "50%"]
    assert portions(CONTEXT, PARAM, "10") == 10
    assert portions(CONTEXT, PARAM, None) is None


def test_texts_by_name() -> None:
    assert pairs(CONTEXT, PARAM, ("a=1", "b=x=y", "c=")) == {"a": "1", "b": "x=y", "c": ""}
    with pytest.raises(click.BadParameter, match="'a' is not KEY=VALUE"):
        pairs(CONTEXT, PARAM, ("a",))


def test_a_report_that_could_not_be_written_is_refused_before_anything_runs(tmp_path) -> None:
    assert parsed("--junit", str(tmp_path / "x"))["junit"] == tmp_path / "x"
    with pytest.raises(click.BadParameter, match="there is no directory"):
        parsed("--junit", str(tmp_path / "missing" / "x"))
    with pytest.raises(click.BadParameter, match="is a directory"):
        parsed("--gantt", str(tmp_path))


@pytest.mark.parametrize(("content", "meant"), [
    ("secret", "secret"), ("secret\nmore\n", "secret"), ("secret\r\n", "secret"),
    (" se cret \n", " se cret "), (b"s\xff", "s\udcff"),
])  # fmt: skip
def test_a_password_is_the_first_line_of_a_file(tmp_path, content, meant) -> None:
    path = tmp_path / "password"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    assert password(CONTEXT, PARAM, str(path)) == meant


def test_a_password_may_come_by_a_pipe() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"secret\n")
        assert password(CONTEXT, PARAM, f"/dev/fd/{reading}") == "secret"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize(("content", "mode", "trouble"), [
    (b"", 0o600, "there is nothing in its first line"),
    (b"\nsecret", 0o600, "there is nothing in its first line"),
    (b"x" * 5000, 0o600, "its first line is no password"),
    (b"a\0b", 0o600, "its first line is no password"),
    (b"a\rb\n", 0o600, "its first line is no password"),
    (b"secret", 0o640, r"can be used by others \(mode 0640\): chmod 600 /"),
])  # fmt: skip
def test_a_file_that_is_none_for_a_password_is_refused(tmp_path, content, mode, trouble) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(click.BadParameter, match=f"password: {trouble}"):
        password(CONTEXT, PARAM, str(path))
    path.unlink()
    with pytest.raises(click.BadParameter, match="No such file"):
        password(CONTEXT, PARAM, str(path))
