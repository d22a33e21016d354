"""The options of runs: as ``Terms`` has them, and only those that were given."""

import click
import pytest

from meshcluster.cli.terms import (
    OPTIONS,
    REPORTS,
    SCHEDULES,
    chosen,
    having,
    pairs,
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
