"""What became of a run: nothing counts as done that is not ok."""

import json
from xml.etree import ElementTree

import pytest

from meshcluster.errors import JobsFailed
from meshcluster.jobs.outcomes import STATUSES

from .runs import outcome, run


def one_of_each():
    return run(
        *(outcome("deploy", f"s{place}", status) for place, status in enumerate(STATUSES)),
        jobs=("deploy",),
    )


def test_a_run_is_ok_when_each_pair_is():
    good = run(outcome("deploy", "a"), outcome("deploy", "b"))
    assert good.ok
    assert good
    assert good.undone == frozenset()
    good.raise_for_errors()


@pytest.mark.parametrize("status", STATUSES[1:])
def test_one_that_is_not_ok_is_enough(status):
    bad = run(outcome("deploy", "a"), outcome("deploy", "b", status, reason="why"))
    assert not bad
    with pytest.raises(JobsFailed):
        bad.raise_for_errors()


def test_what_a_host_said_reaches_no_terminal_as_control_characters():
    bad = run(outcome("deploy", "a", "failed", reason="\x1b]0;title\x07"))
    with pytest.raises(JobsFailed, match=r"^deploy on a: \\x1b\]0;title\\x07$"):
        bad.raise_for_errors()


def test_an_interrupted_run_is_not_ok_though_all_that_began_is():
    bad = run(outcome("deploy", "a"), interrupted=True)
    assert not bad.ok
    with pytest.raises(JobsFailed) as caught:
        bad.raise_for_errors()
    assert caught.value.result is bad


def test_failed_are_those_that_failed_were_lost_or_unreachable():
    found = one_of_each()
    assert [each.status for each in found.failed] == ["failed", "lost", "unreachable"]
    assert [each.status for each in found.skipped] == ["skipped"]
    assert [each.status for each in found.having("ok", "lost")] == ["ok", "lost"]


def test_undone_is_what_a_retry_has_to_do():
    assert one_of_each().undone == {(0, "s1"), (0, "s2"), (0, "s3"), (0, "s4")}


def test_the_outcome_of_a_job_that_is_listed_twice_is_that_of_the_last():
    found = run(outcome("a", "s", "failed"), outcome("a", "s", "ok", position=1))
    assert found.of("a", "s").status == "ok"
    assert found.undone == {(0, "s")}
    with pytest.raises(KeyError, match="b was not to run on s"):
        found.of("b", "s")


def test_how_long_it_took_is_nothing_where_it_did_not_begin():
    assert outcome("a", "s", began=1.5, ended=4.0).seconds == 2.5
    assert outcome("a", "s", "skipped").seconds == 0.0
    assert (outcome("a", "s").job, outcome("a", "s").site) == ("a", "s")


def test_it_reads_as_lines_json_xml_and_a_picture():
    found = one_of_each()
    assert "s3" in found.recap()
    assert json.loads(found.to_json()) == found.to_dict()
    assert ElementTree.fromstring(found.to_junit()).tag == "testsuites"
    assert ElementTree.fromstring(found.gantt()).tag.endswith("svg")
