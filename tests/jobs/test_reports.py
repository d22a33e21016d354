"""Runs as other programs read them."""

import json
from datetime import datetime, timedelta
from xml.etree import ElementTree

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.outcomes import STATUSES, Failure
from meshcluster.jobs.reports import as_dict, as_json, as_junit, from_dict

from .runs import TRACEBACK, crowd, deployment, outcome, run

HOSTILE = "\x00\x1b[2J ]]> <b> & \" ' \ufffe \udc80 ü 猫 \r\n\t end"


def every():
    """A run with something of everything."""
    failure = Failure(2, "ValueError", "port 80 is taken", TRACEBACK)
    return run(
        outcome("deploy", "a", "ok", 0.0, 1.5),
        outcome("deploy", "b", "failed", 0.5, 2.0, reason="ValueError", failures=(failure,)),
        outcome("deploy", "c", "lost", 0.5, 1.0, reason="it went away"),
        outcome("deploy", "d", "unreachable", reason="connection refused"),
        outcome("test", "a", "ok", 2.0, 4.0, position=1),
        outcome("test", "b", "skipped", position=1, reason="deploy failed"),
        resolved={(0, "deploy"): ("a", "b", "c", "d"), (1, "test"): ("a", "b"), (2, "x"): ()},
        warnings=("x matched no site",),
        ignored=("y",),
        interrupted=True,
    )


def hostile():
    failure = Failure(1, HOSTILE, HOSTILE, HOSTILE)
    bad = outcome(HOSTILE, HOSTILE, "failed", 0, 1, reason=HOSTILE, failures=(failure,))
    return run(bad, jobs=(HOSTILE,), warnings=(HOSTILE,), ignored=(HOSTILE,), schedule=HOSTILE)


def junit(result):
    return ElementTree.fromstring(as_junit(result).encode())


@pytest.mark.parametrize("result", [every(), deployment(), crowd(60), hostile(), run()])
def test_what_was_written_is_read_again(result):
    assert from_dict(json.loads(as_json(result))) == result
    assert from_dict(as_dict(result)) == result


def test_the_dictionary_has_what_programs_ask_for():
    told = as_dict(every())
    assert told["version"] == 1
    assert told["ok"] is False
    assert told["counts"] == {"ok": 2, "failed": 1, "lost": 1, "unreachable": 1, "skipped": 1}
    assert list(told["counts"]) == list(STATUSES)
    assert told["outcomes"][1] == {
        "position": 0, "job": "deploy", "site": "b", "status": "failed", "reason": "ValueError",
        "began": 0.5, "ended": 2.0, "seconds": 1.5, "id": "b1-1-0",
        "failures": [{"fragment": 2, "kind": "ValueError", "text": "port 80 is taken",
                      "traceback": TRACEBACK, "returncode": None}],
    }  # fmt: skip
    assert told["resolved"][2] == {"position": 2, "job": "x", "sites": []}


def test_what_jobs_left_for_one_another_is_not_written():
    assert "shared" not in as_dict(run(shared={"secret": object()}))


def test_the_text_is_always_the_same_and_of_ascii_alone():
    turned = every()
    turned.resolved = dict(reversed(turned.resolved.items()))
    assert as_json(turned) == as_json(every())
    assert as_json(hostile()).isascii()
    assert as_json(every()).endswith("}\n")


def ended_with(*codes):
    failures = tuple(Failure(n, "CommandFailed", f"no {n}", "", c) for n, c in enumerate(codes, 1))
    return run(outcome("a", "s", "failed", 0, 1, reason="no 1", failures=failures))


@pytest.mark.parametrize("code", [3, -9, None])
def test_the_status_of_a_command_that_failed_is_told_and_read(code):
    told = json.loads(as_json(ended_with(code)))
    assert told["outcomes"][0]["failures"][0]["returncode"] == code
    assert from_dict(told).outcomes[0].failures[0].returncode == code


def test_files_of_before_have_no_status():
    told = as_dict(ended_with(3))
    del told["outcomes"][0]["failures"][0]["returncode"]
    assert from_dict(told) == ended_with(None)


def test_what_is_not_known_is_passed_over():
    assert from_dict({**as_dict(every()), "later": 1}) == every()


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["version"], 2, "^version=2: it must be 1: it was written by a later version"),
        (["version"], "1", "^version='1': "),
        (["id"], None, "^id=None: it must be a text"),
        (["index"], 0, "^index=0: "),
        (["jobs"], "deploy", "^jobs='deploy': it must be a list of texts"),
        (["interrupted"], "no", "^interrupted='no': it must be true or false"),
        (["began"], float("nan"), "^began=nan: "),
        (["outcomes"], {}, "^outcomes={}: it must be a list"),
        (["outcomes", 1], "x", r"^outcomes\[1\] must be a mapping, not 'x'"),
        (["outcomes", 1, "status"], "good", r"^outcomes\[1\]\.status='good': it must be one of ok"),
        (["outcomes", 1, "position"], -1, r"^outcomes\[1\]\.position=-1: "),
        (["outcomes", 1, "began"], "0", r"^outcomes\[1\]\.began='0': "),
        (["outcomes", 1, "failures", 0, "kind"], 3, r"^outcomes\[1\]\.failures\[0\]\.kind=3: "),
        (["outcomes", 1, "failures", 0, "returncode"], "1", r"\.failures\[0\]\.returncode='1': "),
        (["resolved", 0, "sites"], [1], r"^resolved\[0\]\.sites=\[1\]: "),
    ],
)
def test_what_is_wrong_is_named(path, value, said):
    told = as_dict(every())
    place = told
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(ConfigError, match=said):
        from_dict(told)


def test_nothing_may_be_missing():
    derived = {"ok", "counts"}
    for key in as_dict(every()).keys() - derived:
        told = as_dict(every())
        del told[key]
        with pytest.raises(ConfigError, match=f"^{key} is missing"):
            from_dict(told)


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_what_is_no_report_at_all_is_refused(value):
    with pytest.raises(ConfigError, match="a report must be a mapping"):
        from_dict(value)


def test_each_job_is_a_suite_and_each_site_a_case():
    root = junit(every())
    assert {
        suite.get("name"): [case.get("name") for case in suite.iter("testcase")]
        for suite in root.iter("testsuite")
    } == {"deploy": ["a", "b", "c", "d"], "test": ["a", "b"], "x": []}
    assert {case.get("classname") for case in root.iter("testcase")} == {"deploy", "test"}


def test_failures_errors_and_skipped_cases_are_told_apart():
    said = {
        (case.get("classname"), case.get("name")): [
            (each.tag, each.get("message")) for each in case
        ]
        for case in junit(every()).iter("testcase")
    }
    assert said == {
        ("deploy", "a"): [],
        ("deploy", "b"): [("failure", "ValueError")],
        ("deploy", "c"): [("error", "it went away")],
        ("deploy", "d"): [("error", "connection refused")],
        ("test", "a"): [],
        ("test", "b"): [("skipped", "deploy failed")],
    }


def test_a_failure_has_its_traceback():
    (failure,) = junit(every()).iter("failure")
    assert failure.get("type") == "ValueError"
    assert failure.text == "action 2: ValueError: port 80 is taken\n" + TRACEBACK.rstrip()


def test_what_the_message_says_is_not_said_again():
    (failure,) = junit(deployment()).iter("failure")
    assert failure.get("message") == "ValueError: port 80 is taken"
    assert failure.text == TRACEBACK.rstrip()
    for case in (*junit(ended_with(1)).iter("failure"), *junit(every()).iter("error")):
        assert case.get("message")
        assert not case.text


def test_of_several_failures_each_is_told():
    (failure,) = junit(ended_with(1, 2)).iter("failure")
    assert failure.text == "action 1: CommandFailed: no 1\naction 2: CommandFailed: no 2"


@pytest.mark.parametrize("result", [every(), deployment(), crowd(60, bad={1, 9}), run()])
def test_the_counts_are_those_of_the_cases(result):
    root = junit(result)
    for part in (root, *root.iter("testsuite")):
        counted = {"tests": "testcase", "failures": "failure", "errors": "error"}
        for name, tag in (counted | {"skipped": "skipped"}).items():
            assert part.get(name) == str(len(list(part.iter(tag))))


def test_times_are_seconds_and_utc():
    root = junit(every())
    assert root.get("time") == "4.000"
    deploy, test, _ = root.iter("testsuite")
    assert (deploy.get("time"), test.get("time")) == ("2.000", "2.000")
    assert [case.get("time") for case in deploy.iter("testcase")] == [
        "1.500", "1.500", "0.500", "0.000",
    ]  # fmt: skip
    began = [datetime.fromisoformat(each.get("timestamp")) for each in (root, deploy, test)]
    assert began[0].timestamp() == 1.8e9
    assert [each - began[0] for each in began] == [timedelta(0), timedelta(0), timedelta(seconds=2)]
    assert began[0].utcoffset() == timedelta(0)


def test_a_job_that_is_listed_twice_is_two_suites():
    twice = run(outcome("test", "a", began=0, ended=1),
                outcome("test", "a", began=1, ended=2, position=1))  # fmt: skip
    assert [suite.get("name") for suite in junit(twice).iter("testsuite")] == ["test", "test (2)"]


def test_it_is_xml_whatever_texts_contain():
    root = junit(hostile())
    (case,) = root.iter("testcase")
    assert case.get("name").startswith("\\x00\\x1b[2J ]]> <b> & \" ' \\ufffe \\udc80 ü 猫 \\r")
    (failure,) = case
    assert "\\x1b" in failure.text
    known = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert known["warning"] == known["schedule"] == case.get("name")


def test_a_run_at_no_time_has_a_date_all_the_same():
    assert junit(run(began=1e300)).get("timestamp") == "9999-12-31T23:59:59+00:00"


def test_a_result_writes_itself():
    assert every().to_dict() == as_dict(every())
    assert every().to_json() == as_json(every())
    assert every().to_junit() == as_junit(every())
