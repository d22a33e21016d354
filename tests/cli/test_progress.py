"""The progress line: readable at any width, sane from its start, and only where a person looks."""

import pytest

from meshcluster.cli.progress import Pace, Standing, rendered, speed

HALF = Standing(done=50, total=100, failed=0, workers=4, rate=2.5)


def test_it_says_how_many_how_fast_and_how_long_still() -> None:
    assert rendered(HALF, 80) == (
        "[############------------]  50/100 50%  2.5/s  0:20 left  4 workers"
    )
    assert rendered(HALF._replace(failed=3, workers=1), 100).endswith("1 worker  3 failed")


def test_where_the_end_is_not_known_there_is_no_bar_and_no_time_left() -> None:
    assert rendered(HALF._replace(total=None), 80) == "50 done  2.5/s  4 workers"


def test_at_the_start_it_guesses_nothing() -> None:
    assert rendered(Standing(0, 100, 0, 0, None), 80).endswith("]  0/100 0%  0 workers")
    assert rendered(Standing(0, 0, 0, 0, None), 80) == "0/0  0 workers"


def test_what_matters_least_goes_first_where_it_is_narrow() -> None:
    failing = HALF._replace(failed=7)
    seen = [rendered(failing, cells) for cells in (200, 70, 50, 40, 31, 20, 11, 5, 1)]
    assert seen == [
        "[############------------]  50/100 50%  2.5/s  0:20 left  4 workers  7 failed",
        "50/100 50%  2.5/s  0:20 left  4 workers  7 failed",
        "50/100 50%  2.5/s  0:20 left  4 workers  7 failed",
        "50/100 50%  0:20 left  7 failed",
        "50/100 50%  7 failed",
        "50/100 50%",
        "50/100 50%",
        "50/1",
        "",
    ]


def test_it_never_reaches_the_last_column() -> None:
    """Terminals go on to the next line there, which nothing would take away again."""
    standing = Standing(123_456_789, 987_654_321, 12_345, 1024, 98_765.4)
    assert [cells for cells in range(1, 200) if len(rendered(standing, cells)) >= cells] == []


@pytest.mark.parametrize(
    ("rate", "told"),
    [(12345, "12,345/s"), (10, "10/s"), (9.96, "10.0/s"), (1, "1.0/s"), (0.5, "30/min"),
     (0.02, "1.2/min"), (0.01, "36/h"), (0.0001, "0.4/h")],
)  # fmt: skip
def test_the_speed_is_one_that_can_be_pictured(rate, told) -> None:
    assert speed(rate) == told


def test_a_long_time_has_hours() -> None:
    assert "  27:46:40 left" in rendered(Standing(0, 1000, 0, 1, 0.01), 80)


def test_no_speed_until_each_worker_has_done_something() -> None:
    pace = Pace(100.0)
    assert pace.rate(0, 4, 100.0) is None
    assert pace.rate(3, 4, 101.0) is None
    assert pace.rate(4, 4, 102.0) == 2
    assert Pace(100.0).rate(1, 1, 102.0) is None


def test_a_slow_start_is_soon_forgotten() -> None:
    """Ten seconds until the first worker was there, then 100 a second."""
    pace, seen = Pace(0.0), {}
    for tenth in range(1, 400):
        now = tenth / 10
        seen[tenth] = pace.rate(max(0, int((now - 10) * 100)), 4, now)
    assert seen[99] is None
    assert seen[250] == pytest.approx(100, rel=0.25)
    assert seen[399] == pytest.approx(100, rel=0.05)


def test_a_few_long_tasks_are_seen_all_the_same() -> None:
    """Four workers, ten seconds a task: never out by more than a half, nor gone."""
    pace = Pace(0.0)
    for tenth in range(1, 2000):
        rate = pace.rate(4 * (tenth // 100), 4, tenth / 10)
        if tenth >= 210:
            assert rate == pytest.approx(0.4, rel=0.5), tenth


# --- on a terminal -----------------------------------------------------------------------------


@pytest.fixture
def six(jobs, tmp_path):
    """A file with as many lines."""
    path = tmp_path / "six"
    path.write_text("1\n2\n3\n4\n5\n-6")
    return path


def shown(text: str) -> list[str]:
    """The lines that stay on a terminal that was written to."""
    screen = []
    for line in text.split("\n"):
        seen = ""
        for piece in line.split("\r"):
            seen = piece + seen[len(piece) :] if "\x1b[K" not in piece else piece
            seen = seen.replace("\x1b[K", "")
        screen.append(seen)
    return screen


@pytest.mark.process
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_it_is_drawn_and_nothing_of_it_remains(jobs, six, tmp_path, terminal, columns) -> None:
    """The terminal is that of stderr: what stdout is says nothing of its width."""
    roots, path = tmp_path / "roots", tmp_path / "slow"
    path.write_text('"a"\n"b"\n')
    with path.open() as lines, roots.open("w") as out:
        screen = terminal(
            "work", "--local", "1", f"{jobs}:wait_for", columns=columns, stdin=lines, stdout=out
        )
        screen.until("0/2 0%  1 worker")
        (tmp_path / "a").touch()
        screen.until("1/2 50%")
        (tmp_path / "b").touch()
        done = screen.done()
    assert done.code == 0
    (last, empty) = shown(done.out)
    assert last.startswith("done: 2 lines in ")
    assert empty == ""
    drawn = [each.split("\x1b[K")[0] for each in done.out.split("\r")]
    assert all(len(each) < columns for each in drawn)
    assert any(each.startswith("[") for each in drawn) == (columns > 40)
    assert roots.read_text() == "a\nb\n"


@pytest.mark.process
def test_results_and_errors_are_on_lines_of_their_own(jobs, six, terminal) -> None:
    with six.open() as lines:
        done = terminal("work", "--local", "2", f"{jobs}:root", stdin=lines).done()
    assert done.code == 1
    *results, failed, end, empty = shown(done.out)
    assert results == ["1", "1", "1", "2", "2"]
    assert failed == "line 6: ValueError: -6 has none"
    assert end.startswith("done: 6 lines in ")
    assert end.endswith(" s, 1 failed")
    assert empty == ""


@pytest.mark.process
def test_ctrl_c_takes_it_away(jobs, six, terminal, tmp_path) -> None:
    path = tmp_path / "never"
    path.write_text('"never-made"\n')
    with path.open() as lines:
        screen = terminal("work", "--local", "1", f"{jobs}:wait_for", stdin=lines)
        screen.until("0/1 0%  1 worker")
        screen.press(b"\x03")
        done = screen.done()
    assert done.code == 130
    assert shown(done.out)[-2].startswith("interrupted: 0 lines in ")


@pytest.mark.process
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_control_characters_has_none(
    jobs, six, terminal, monkeypatch, name, value
) -> None:
    monkeypatch.setenv(name, value)
    with six.open() as lines:
        done = terminal("work", "--local", "2", f"{jobs}:double", stdin=lines).done()
    assert (done.code, done.out) == (0, "2\n4\n6\n8\n10\n-12\n")


@pytest.mark.process
def test_it_does_not_write_where_somebody_types(jobs, terminal) -> None:
    screen = terminal("work", "--local", "1", f"{jobs}:double")
    screen.until("lines from the terminal; Ctrl-D ends them\n")
    screen.press(b"21\n")
    screen.until("\n42\n")
    screen.press(b"\x04")
    done = screen.done()
    assert (done.code, "\x1b" in done.out) == (0, False)
