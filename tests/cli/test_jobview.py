"""The view of a run: what runs, what went wrong, how far it is, in the room that there is."""

import pytest

from meshcluster.cli.jobview import JobView, common_ending, cut
from meshcluster.jobs.events import LineWritten, PairBegan, PairEnded, RunBegan
from meshcluster.jobs.lettering import width
from meshcluster.jobs.outcomes import Outcome, Pair
from meshcluster.jobs.plan import Plan
from meshcluster.jobs.terms import Terms


def view_of(sites, *jobs, color=False):
    """The view of a run that begins."""
    view = JobView(0.0, color=color)
    resolved = {(at, job): tuple(sites) for at, job in enumerate(jobs)}
    view.take(RunBegan("b-1", Plan(Terms(), jobs, resolved, {}, ())), 0.0)
    return view


def begin(view, *sites, job="update", now=0.0):
    for site in sites:
        view.take(PairBegan(Pair(int(job != "update"), job, site), "b-1-1"), now)


def write(view, site, text, stream="stdout"):
    view.take(LineWritten(Pair(0, "update", site), stream, text), 1.0)


def end(view, site, status="ok", reason=""):
    view.take(PairEnded(Outcome(Pair(0, "update", site), status, reason)), 1.0)


def test_a_site_that_runs_has_its_seconds_and_its_last_line() -> None:
    view = view_of(["a", "bee", "c"], "update")
    begin(view, "a", "bee")
    write(view, "a", "unpacking")
    write(view, "a", "  ")
    write(view, "bee", "$ make", "log")
    assert view.lines(80, 24, 75.0) == [
        "a    1:15  unpacking",
        "bee  1:15",
        "[------------------------]  0/3 sites  2 running  1:15",
    ]


def test_a_job_is_named_where_there_are_several() -> None:
    view = view_of(["a", "b"], "update", "restart")
    begin(view, "a")
    begin(view, "b", job="restart")
    assert view.lines(80, 24, 9.0) == [
        "a  update   0:09",
        "b  restart  0:09",
        "[------------------------]  0/4 pairs  2 running  0:09",
    ]


def test_what_is_done_is_a_count_and_what_went_wrong_stays() -> None:
    view = view_of("abcdef", "update")
    begin(view, *"abcdef")
    end(view, "a")
    end(view, "b", "failed", "b: exit status 3")
    end(view, "c", "unreachable", "c is unreachable: no route")
    end(view, "d", "lost", "the site is lost")
    end(view, "e", "skipped")
    assert view.lines(90, 24, 4.0) == [
        "b  failed       exit status 3",
        "c  unreachable  no route",
        "d  lost         the site is lost",
        "f         0:04",
        "5/6 sites  1 failed  1 unreachable  1 lost  1 skipped  1 running  0:04",
    ]


def test_of_too_many_those_that_have_run_longest_are_seen() -> None:
    sites = [f"web{number}" for number in range(100)]
    view = view_of(sites, "update")
    begin(view, *sites)
    lines = view.lines(80, 6, 1.0)
    assert [line.split()[0] for line in lines] == ["web0", "web1", "web2", "web3", "and", "[-----"
            "-------------------]"]  # fmt: skip
    assert lines[4] == "and 96 more"


def test_trouble_takes_a_quarter_of_the_room_at_most() -> None:
    sites = [f"web{number}" for number in range(100)]
    view = view_of(sites, "update")
    begin(view, *sites)
    for site in sites[:10]:
        end(view, site, "failed", "x")
    names = [line.split()[0] for line in view.lines(80, 9, 1.0)]
    assert names[:6] == ["web8", "web9", "web10", "web11", "web12", "web13"]


@pytest.mark.parametrize("rows", range(1, 30))
def test_it_has_never_more_lines_than_room(rows) -> None:
    sites = [f"web{number}" for number in range(20)]
    view = view_of(sites, "update")
    begin(view, *sites)
    for site in sites[:5]:
        end(view, site, "failed", "x")
    lines = view.lines(80, rows, 1.0)
    assert len(lines) == min(rows, 21) or len(lines) < rows == 2
    assert "5/20 sites  5 failed  15 running" in lines[-1]


@pytest.mark.parametrize("cells", [10, 20, 31, 40, 80, 200])
def test_no_line_reaches_the_last_column(cells) -> None:
    view = view_of([f"web{'x' * number}.example" for number in range(30)], "update", "restart")
    begin(view, *(f"web{'x' * number}.example" for number in range(30)))
    write(view, "web.example", "日本語" * 100)
    end(view, "webx.example", "failed", "because " * 50)
    assert max(map(width, view.lines(cells, 20, 1.0))) < cells


def test_what_matters_least_goes_first_where_it_is_narrow() -> None:
    view = view_of("abcd", "update")
    begin(view, *"abcd")
    end(view, "a", "failed", "x")
    assert [view.total(cells, 1.0) for cells in (70, 60, 40, 25, 12)] == [
        "[######------------------]  1/4 sites  1 failed  3 running  0:01",
        "1/4 sites  1 failed  3 running  0:01",
        "1/4 sites  1 failed  3 running  0:01",
        "1/4 sites  1 failed",
        "1/4 sites",
    ]


def test_one_that_was_interrupted_shows_what_still_ends() -> None:
    view = view_of("ab", "update")
    begin(view, "a", "b")
    end(view, "a", "failed", "interrupted")
    view.is_ending = True
    assert view.lines(80, 24, 1.0) == [
        "b  0:01",
        "[############------------]  1/2 sites  1 failed  1 ending  0:01",
    ]


def test_colors_are_for_those_who_want_them() -> None:
    plain, colored = view_of("ab", "update"), view_of("ab", "update", color=True)
    for view in (plain, colored):
        begin(view, "a")
        end(view, "a", "failed", "x")
    assert "\x1b" not in "".join(plain.lines(80, 24, 1.0))
    assert colored.lines(80, 24, 1.0)[0] == "\x1b[31ma  failed  x\x1b[0m"


def test_a_site_that_comes_later_counts() -> None:
    view = view_of("a", "update")
    begin(view, "a", "late")
    assert "0/2 sites  2 running" in view.lines(80, 24, 1.0)[-1]


def test_what_commands_write_cannot_disturb_the_terminal() -> None:
    view = view_of("a", "update")
    begin(view, "a")
    write(view, "a", "\x1b[2Jboo")
    assert view.lines(80, 24, 1.0)[0] == "a  0:01  \\x1b[2Jboo"


@pytest.mark.parametrize(("names", "ending"), [
    (["web-1.fra.example.com", "db.fra.example.com"], ".fra.example.com"),
    (["a.x.example", "b.y.example"], ".example"),
    (["example", "a.example"], ""),
    (["a", "b"], ""),
    (["a.example"], ""),
    ([], ""),
    (["10.0.0.1", "10.1.0.1"], ""),
])  # fmt: skip
def test_what_all_names_end_with_takes_no_room(names, ending) -> None:
    assert common_ending(names) == ending


def test_a_text_is_cut_at_its_end() -> None:
    assert [cut("four five", cells) for cells in (9, 8, 2)] == ["four five", "four fi…", "f…"]
    assert cut("日本語", 5) == "日本…"
