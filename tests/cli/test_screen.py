"""Tables: aligned, wrapped and coloured for people, separated by tabs for programs."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.cli.screen import LEAST_CELLS, Screen, width, wrap

HEADER = ("NAME", "STATE", "TEXT", "TIME")


@pytest.fixture
def screen(monkeypatch) -> Screen:
    """A terminal of 40 cells."""
    monkeypatch.setenv("COLUMNS", "40")
    screen = Screen()
    screen.terminal, screen.colors = True, False
    return screen


def lines(screen: Screen, *rows: tuple[str, ...]) -> list[str]:
    return screen.table_lines(HEADER, rows, wrapped="TEXT")


def test_columns_are_as_wide_as_their_widest_cell(screen) -> None:
    assert lines(screen, ("a", "alive", "x", "1 ms"), ("beta", "-", "yy", "22 ms")) == [
        "NAME  STATE  TEXT  TIME",
        "a     alive  x     1 ms",
        "beta  -      yy    22 ms",
    ]


def test_wide_characters_count_twice_and_marks_not_at_all(screen) -> None:
    assert lines(screen, ("日本", "alive", "e\u0301", "1"), ("ab", "alive", "é", "2")) == [
        "NAME  STATE  TEXT  TIME",
        "日本  alive  e\u0301     1",
        "ab    alive  é     2",
    ]


def test_a_long_text_goes_on_below_itself(screen) -> None:
    assert lines(screen, ("a", "alive", "one two three four five six seven", "1 ms")) == [
        "NAME  STATE  TEXT                TIME",
        "a     alive  one two three four  1 ms",
        "             five six seven",
    ]


def test_a_text_of_many_lines_keeps_them(screen) -> None:
    assert lines(screen, ("a", "-", "one\n  two\n\nthree\n", "1 ms"))[1:] == [
        "a     -      one    1 ms",
        "               two",
        "",
        "             three",
    ]


def test_no_cell_can_move_the_cursor(screen) -> None:
    shown = lines(screen, ("a\x1b[2J", "\r", "b\x1b[31m\nc\x07", "\n"))
    assert all(line.isprintable() for line in shown)


def test_a_narrow_terminal_makes_nothing_unreadable(screen, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    assert max(map(width, lines(screen, ("a", "b", "x" * 100, "c")))) == 4 + 5 + 20 + 4 + 6


def test_states_have_colours_on_a_terminal_only(screen) -> None:
    screen.colors = True
    (_, row) = lines(screen, ("alive-1", "alive", "x", "1 ms"))
    assert "alive-1  \x1b[32malive\x1b[0m  x" in row
    screen.colors = False
    assert "\x1b" not in "".join(lines(screen, ("a", "alive", "x", "1 ms")))


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(monkeypatch, variable, value) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert Screen().colors
    monkeypatch.setenv(variable, value)
    assert not Screen().colors


def test_in_a_pipe_rows_are_lines_and_cells_have_tabs_between(capsys) -> None:
    screen = Screen()
    assert not screen.terminal
    screen.table(HEADER, [("a", "alive", "x\ty\nz", "1"), ("b", "-", "", "2")], wrapped="TEXT")
    assert capsys.readouterr().out == "a\talive\tx\\ty\\nz\t1\nb\t-\t\t2\n"


def test_documents_are_one_line_in_a_pipe_and_laid_out_for_people(capsys) -> None:
    screen = Screen()
    screen.document({"a": [1]})
    screen.terminal = True
    screen.document({"a": [1]})
    assert capsys.readouterr().out == '{"a": [1]}\n{\n  "a": [\n    1\n  ]\n}\n'


def test_a_line_is_cut_to_the_terminal_but_never_in_a_pipe(screen) -> None:
    assert screen.shortened("x" * 100, taken=10) == "x" * 27 + "..."
    assert screen.shortened("日本" * 100, taken=11) == "日本" * 6 + "日..."
    assert screen.shortened("a\nb", taken=10) == "a\\nb"
    screen.terminal = False
    assert screen.shortened("x" * 100, taken=10) == "x" * 100


@given(some.text(some.characters(codec="utf-8")), some.integers(2, 30))
def test_wrapping_loses_nothing_but_spaces_and_keeps_to_the_room(text, room) -> None:
    pieces = list(wrap(text, room))
    assert all(width(piece) <= room for piece in pieces)
    assert all(piece.isprintable() or not piece.isascii() for piece in pieces)
    printable = "".join(c for c in text if c.isalnum())
    kept = "".join(pieces)
    assert all(c in kept for c in printable)


def test_the_least_width_is_one_that_can_be_read() -> None:
    assert LEAST_CELLS >= 10


def test_what_is_no_file_is_read_for_all_we_know(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert Screen().is_read
