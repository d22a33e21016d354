"""What people read after a run."""

import re

import pytest

from meshcluster.jobs.outcomes import Failure
from meshcluster.jobs.recap import recap
from meshcluster.lettering import width

from .runs import crowd, deployment, outcome, run

ANSI = re.compile(r"\x1b\[\d+m")


def lines_of(result, cells=0):
    return recap(result, cells).split("\n")


def test_each_site_has_a_line_with_its_counts_below_each_other():
    assert lines_of(deployment())[-5:] == [
        "RECAP",
        "lion    ok=5 failed=0 lost=0 unreachable=0 skipped=0",
        "cheetah ok=5 failed=0 lost=0 unreachable=0 skipped=0",
        "puma    ok=2 failed=1 lost=0 unreachable=0 skipped=2",
        "stop, copy, migrate, start, check: 12 of 15 ok on 3 sites in 6.8 s",
    ]


def test_failures_come_first_with_the_end_of_their_traceback_indented():
    assert lines_of(deployment())[:6] == [
        "failed: migrate on puma: ValueError: port 80 is taken",
        "    Traceback (most recent call last):",
        '      File "deploy.py", line 12, in restart',
        "        check(port)",
        "    ValueError: port 80 is taken",
        "",
    ]


def test_counts_stay_below_each_other_when_one_has_more_digits():
    results = [outcome("test", "a", began=0, ended=1)] * 12 + [outcome("test", "b", "lost")]
    assert lines_of(run(*results))[2:5] == [
        "RECAP",
        "a ok=12 failed=0 lost=0 unreachable=0 skipped=0",
        "b ok=0  failed=0 lost=1 unreachable=0 skipped=0",
    ]


def test_each_action_that_failed_is_told():
    failures = (Failure(1, "CommandFailed", "exit status 1\nno space"), Failure(3, "OSError", "x"))
    bad = outcome("deploy", "a", "failed", 0, 1, reason="2 actions failed", failures=failures)
    assert lines_of(run(bad))[:4] == [
        "failed: deploy on a: 2 actions failed",
        "  action 1: CommandFailed: exit status 1",
        "    no space",
        "  action 3: OSError: x",
    ]


def raising(*lines):
    traceback = "".join(f"{line}\n" for line in lines) + "ValueError: x"
    failure = Failure(1, "ValueError", "x", traceback)
    return run(outcome("deploy", "a", "failed", 0, 1, reason="ValueError: x", failures=(failure,)))


def test_of_a_long_traceback_the_last_lines():
    told = lines_of(raising(*(f"line {n}" for n in range(50))))
    assert told[1] == "    (43 lines before)"
    assert told[8:10] == ["    line 49", "    ValueError: x"]


def test_a_frame_of_a_traceback_is_told_whole_or_not_at_all():
    frames = [
        line
        for n in range(4)
        for line in (f'  File "a.py", line {n}, in f', f"    f({n})", "    ~^^^")
    ]
    assert lines_of(raising("Traceback (most recent call last):", *frames))[:9] == [
        "failed: deploy on a: ValueError: x",
        "    (7 lines before)",
        '      File "a.py", line 2, in f',
        "        f(2)",
        "        ~^^^",
        '      File "a.py", line 3, in f',
        "        f(3)",
        "        ~^^^",
        "    ValueError: x",
    ]


def test_a_traceback_without_a_frame_says_nothing_more():
    assert lines_of(raising())[:2] == ["failed: deploy on a: ValueError: x", ""]


@pytest.mark.parametrize("sites", [["busy"], ["busy", "standby"]])
def test_what_the_reason_says_is_not_said_again(sites):
    def failed(site):
        text = f"{site}: 'sh x': exit status 2: no such file"
        failure = Failure(1, "CommandFailed", text, returncode=2)
        return outcome("snapshot", site, "failed", 0, 1, reason=text, failures=(failure,))

    told = lines_of(run(*map(failed, sites)))
    assert told[0].endswith(": 'sh x': exit status 2: no such file")
    assert told[1] == ""


def test_what_several_sites_share_has_the_name_of_none():
    def failed(site):
        failure = Failure(1, "CommandFailed", f"{site}: exit status 2")
        return outcome("a", site, "failed", 0, 1, reason="interrupted", failures=(failure,))

    assert lines_of(run(failed("s1"), failed("s2")))[:2] == [
        "failed: a on 2 sites (s1, s2): interrupted",
        "  action 1: CommandFailed: (its name): exit status 2",
    ]


def test_sites_that_failed_alike_share_a_line():
    lost = [
        outcome("test", f"web{n}", "unreachable", reason=f"web{n}: connection refused")
        for n in range(100)
    ]
    told = lines_of(run(*lost))
    assert told[0] == (
        "unreachable: test on 100 sites (web0, web1, web2 and 97 more): connection refused"
    )
    assert told[1] == ""
    assert len(told) == 100 + 4  # each of them has its counts


def test_those_that_failed_otherwise_do_not():
    bad = [
        outcome("test", "a", "failed", 0, 1, reason="exit status 1"),
        outcome("test", "b", "failed", 0, 1, reason="exit status 2"),
        outcome("test", "c", "lost", 0, 1, reason="exit status 1"),
    ]
    assert lines_of(run(*bad))[:3] == [
        "failed: test on a: exit status 1",
        "failed: test on b: exit status 2",
        "lost: test on c: exit status 1",
    ]


def test_warnings_and_ignored_jobs_come_before_the_counts():
    told = lines_of(run(warnings=("x matched no site",), ignored=("y", "z"), interrupted=True))
    assert told == [
        "warning: x matched no site",
        "ignored, there is no such job: y, z",
        "",
        "deploy, test: 0 of 0 ok on 0 sites in 0.0 s, interrupted",
    ]


def test_many_sites_that_are_ok_share_a_line():
    assert lines_of(crowd(100)) == [
        "RECAP",
        "100 sites: ok=1 each",
        "test: 100 of 100 ok on 100 sites in 99.9 s",
    ]


def test_but_those_that_are_not_have_their_own():
    told = lines_of(crowd(100, bad={7}))
    assert told[-3:-1] == [
        "99 sites: ok=1 each",
        "web7 ok=0 failed=1 lost=0 unreachable=0 skipped=0",
    ]


def test_a_few_sites_have_a_line_each():
    assert len(lines_of(crowd(10))) == 12
    assert len(lines_of(crowd(11))) == 3


def test_those_that_are_not_ok_are_last():
    told = lines_of(crowd(5, bad={0, 2}))
    assert [line.split()[0] for line in told[-6:-1]] == ["web1", "web3", "web4", "web0", "web2"]


def test_of_thirty_sites_the_reasons_stay_on_a_small_screen():
    told = lines_of(crowd(30, bad={3, 9, 20}), 80)
    assert told[0] == "failed: test on 3 sites (web3, web9, web20): exit status 1"
    assert len(told) < 24


def test_sites_with_other_numbers_of_jobs_have_lines_of_their_own():
    twice = [outcome("again", f"web{n}", began=1, ended=2) for n in range(11)]
    told = lines_of(run(*crowd(23).outcomes, *twice))
    assert told[1:3] == ["12 sites: ok=1 each", "11 sites: ok=2 each"]


@pytest.mark.parametrize("result", [deployment(), crowd(100, bad={3, 5}), crowd(50)])
def test_no_line_is_wider_than_it_may_be_nor_ends_in_a_blank(result):
    for cells in (*range(10, 60), 80, 0):
        told = lines_of(result, cells)
        assert not cells or max(map(width, told)) <= cells
        assert [line for line in told if line != line.rstrip()] == []


def test_where_there_is_little_room_names_are_shorter_and_counts_of_nothing_left_out():
    site = "webserver-17.example.org"
    wide = lines_of(run(outcome("test", site, began=0, ended=1)), 61)[1]
    assert wide == "webserve…ple.org ok=1 failed=0 lost=0 unreachable=0 skipped=0"
    narrow = lines_of(run(outcome("test", site, began=0, ended=1)), 20)[1]
    assert narrow.endswith(" ok=1")
    assert "…" in narrow


def test_color_changes_no_letter():
    for result in (deployment(), crowd(100, bad={3}), run(warnings=("x",))):
        for cells in (0, 40):
            assert ANSI.sub("", recap(result, cells, color=True)) == recap(result, cells)


def test_what_is_all_ok_is_green_and_zeros_are_dim():
    told = recap(deployment(), color=True)
    assert "\x1b[32mlion" in told
    assert "\x1b[31mpuma" in told
    assert "\x1b[2m lost=0\x1b[0m" in told
    assert "\x1b" not in recap(deployment())


def test_control_characters_from_elsewhere_are_shown():
    failure = Failure(1, "E\x1b", "t\x1b[2J", "trace\x1b]0;x\x07")
    bad = outcome("j\x1b", "s\x9b", "failed", 0, 1, reason="r\x1b[2J\nmore", failures=(failure,))
    told = recap(run(bad, jobs=("j\x1b",), warnings=("w\x1b",), ignored=("i\x1b",)))
    assert told.replace("\n", "").isprintable()
    assert "failed: j\\x1b on s\\x9b: r\\x1b[2J\n  more\n" in told


def test_a_result_tells_its_own():
    assert deployment().recap(40) == recap(deployment(), 40)
