"""The picture of a run."""

import itertools
import re
from xml.etree import ElementTree

import pytest

from meshcluster.jobs.gantt import COLORS, MOST_SYMBOLS, WIDTH, gantt
from meshcluster.jobs.outcomes import STATUSES

from .runs import crowd, deployment, outcome, run

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>\x00\x1b[2J & \" ' ]]> 猫"


def picture(result):
    return ElementTree.fromstring(gantt(result).encode())


def texts(root):
    return [each.text for each in root.iter(f"{SVG}text")]


def bars(root):
    """Of each bar and mark: its title and its first rectangle."""
    for group in root.iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        if title is not None and box is not None:
            numbers = {key: float(box.get(key)) for key in ("x", "y", "width", "height")}
            yield title.text, numbers | {"fill": box.get("fill")}


def parallel():
    jobs = ("build", "test", "lint")
    return run(
        *(
            outcome(job, site, "ok", 0, 5 + position, position)
            for position, job in enumerate(jobs)
            for site in "abc"
        ),
        jobs=jobs,
        schedule="parallel",
    )


RUNS = {
    "deployment": deployment(),
    "one": run(outcome("backup", "localhost", began=0, ended=0.01)),
    "thirty": crowd(30, bad={11}, status="unreachable"),
    "hundred": crowd(100, bad={3, 4}),
    "two hundred": crowd(200),
    "parallel": parallel(),
    "nothing": run(),
    "late": run(outcome("a", "s", "lost", 4), outcome("b", "s", "ok", 0, 9), seconds=5.0),
}


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_each_site_has_a_row_and_each_pair_a_bar_or_a_mark(result):
    root = picture(result)
    shown = texts(root)
    assert [each.site for each in result.outcomes if each.site not in shown] == []
    said = [title for title, _ in bars(root)]
    assert len(said) == len(result.outcomes)
    for each in result.outcomes:
        assert any(title.startswith(f"{each.job} on {each.site}: {each.status}") for title in said)


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_nothing_is_outside(result):
    root = picture(result)
    high = float(root.get("height"))
    for _, box in bars(root):
        assert box["x"] >= 0
        assert box["width"] > 0
        assert box["height"] > 0
        assert box["x"] + box["width"] <= WIDTH
        assert box["y"] + box["height"] <= high


@pytest.mark.parametrize("result", RUNS.values(), ids=RUNS)
def test_no_bar_covers_another(result):
    boxes = [box for _, box in bars(picture(result))]
    for one, other in itertools.combinations(boxes, 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        below = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        assert beside or below


def test_bars_are_where_their_times_are():
    lion = [box for title, box in bars(picture(deployment())) if " on lion" in title]
    seconds = [0.6, 2.3, 1.4, 0.9, 0.5]
    scale = lion[1]["width"] / seconds[1]
    for box, long in zip(lion, seconds, strict=True):
        assert box["width"] == pytest.approx(long * scale, abs=1)
    assert [box["x"] for box in lion] == sorted(box["x"] for box in lion)


def test_titles_tell_job_site_seconds_and_reason():
    said = [title for title, _ in bars(picture(deployment()))]
    assert "copy on lion: ok, 2.3 s" in said
    assert "migrate on puma: failed, 2.0 s: ValueError: port 80 is taken" in said
    assert "start on puma: skipped: migrate failed" in said


def test_names_of_jobs_are_in_their_bars_where_they_fit():
    assert texts(picture(deployment())).count("copy") == 3
    assert "test" not in texts(picture(crowd(60)))[1:]  # the title alone


def test_status_is_told_by_color_and_by_pattern():
    made = run(*(outcome("j", status, status, began=0, ended=1) for status in STATUSES[:4]))
    root = picture(made)
    fills = {
        group.find(f"{SVG}title").text.split(": ")[1].split(",")[0]: [
            box.get("fill") for box in group.findall(f"{SVG}rect")
        ]
        for group in root.iter(f"{SVG}g")
        if group.find(f"{SVG}title") is not None
    }
    assert fills["ok"][0] == COLORS["ok"]
    for status in ("failed", "lost", "unreachable"):
        assert fills[status][:2] == [COLORS[status], f"url(#{status})"]
    known = {each.get("id") for each in root.iter(f"{SVG}pattern")}
    used = {
        name for each in fills.values() for fill in each for name in re.findall(r"#(\w+)\)", fill)
    }
    assert used == known


def test_the_legend_names_what_there_is():
    shown = texts(picture(deployment()))
    assert shown[-3:] == ["ok 12", "failed 1", "skipped 2"]
    assert not [text for text in shown if text.startswith(("lost", "unreachable"))]


def test_the_heading_tells_what_it_was():
    shown = texts(picture(deployment()))
    assert shown[:2] == [
        "stop, copy, migrate, start, check",
        "site-sequential: 12 of 15 ok on 3 sites in 6.8 s",
    ]


def test_an_interrupted_run_says_so():
    began = outcome("a", "s", "failed", 0, 5)
    assert "interrupted" in texts(picture(run(began, interrupted=True)))
    assert "interrupted" not in texts(picture(run(began)))


def test_of_very_many_marks_the_rest_is_counted():
    skipped = [
        outcome(f"j{n}", "s", "skipped", position=n, reason="stopped")
        for n in range(MOST_SYMBOLS + 4)
    ]
    root = picture(run(*skipped))
    assert "+4" in texts(root)
    titles = [each.text for each in root.iter(f"{SVG}title")]
    assert f"not begun: {', '.join(f'j{MOST_SYMBOLS + n}' for n in range(4))}" in titles


def test_of_very_many_sites_the_rest_is_counted():
    assert "50 more sites have no row here" in texts(picture(crowd(250)))


def test_names_are_escaped_and_long_ones_shortened():
    bad = outcome(HOSTILE, HOSTILE, "failed", 0, 1, reason=HOSTILE)
    long = outcome("j", "x" * 300, began=0, ended=1)
    root = picture(run(bad, long, jobs=(HOSTILE,), schedule=HOSTILE))
    safe = HOSTILE.replace("\x00", "\\x00").replace("\x1b", "\\x1b")
    assert not list(root.iter(f"{SVG}script"))
    assert f"{safe} on {safe}: failed, 1.0 s: {safe}" in [title for title, _ in bars(root)]
    assert [text for text in texts(root) if re.fullmatch("x+…x+", text)]


def test_a_result_draws_itself():
    assert deployment().gantt() == gantt(deployment())
