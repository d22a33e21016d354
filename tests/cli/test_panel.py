"""The panel: its lines are drawn over themselves, at once, and text scrolls above them."""

import io
import sys

import pytest

from meshcluster.cli import panel as module
from meshcluster.cli.panel import Panel, plain


class Stream(io.StringIO):
    """Keeps each write."""

    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, text):
        self.writes.append(text)
        return len(text)


@pytest.fixture
def at(monkeypatch):
    """A panel on a terminal of ten rows; ``lines`` is what it shows."""
    stream = Stream()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    seen = {"lines": ["one", "two"], "cells": 40, "rows": 10, "taken": False, "asked": []}

    def lines(cells, rows):
        seen["asked"].append((cells, rows))
        return seen["lines"]

    seen["panel"] = Panel(
        lines, is_taken=lambda: seen["taken"], measure=lambda _: (seen["cells"], seen["rows"])
    )
    seen["writes"] = stream.writes
    return seen


def test_each_time_all_is_written_at_once_over_what_was_there(at) -> None:
    at["panel"].draw()
    at["lines"] = ["one", "three"]
    at["panel"].draw()
    assert at["writes"] == [
        "one\ntwo\n",
        "\r\x1b[2Aone\x1b[K\nthree\x1b[K\n\x1b[J",
    ]


@pytest.mark.parametrize(
    ("rows", "most"), [(100, 50), (24, 12), (10, 5), (7, 4), (6, 4), (5, 3), (3, 1), (1, 1)]
)
def test_half_of_the_terminal_is_left_to_the_text_and_two_rows_of_a_small_one(
    at, rows, most
) -> None:
    at["rows"] = rows
    at["panel"].draw()
    assert at["asked"] == [(40, most)]


def test_what_has_not_changed_is_not_written(at) -> None:
    at["panel"].draw()
    at["panel"].draw()
    assert len(at["writes"]) == 1


def test_text_scrolls_above_with_the_next_drawing(at) -> None:
    at["panel"].draw()
    at["panel"].say("said")
    assert len(at["writes"]) == 1
    at["panel"].draw()
    assert at["writes"][1] == "\r\x1b[2Asaid\x1b[K\none\x1b[K\ntwo\x1b[K\n\x1b[J"


def test_what_is_over_soon_is_text_alone(at, monkeypatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 1000.0)
    at["panel"].say("said")
    at["panel"].draw()
    at["panel"].say("more")
    at["panel"].clear()
    assert at["writes"] == ["said\n", "more\n"]


def test_much_text_does_not_wait(at) -> None:
    at["panel"].say("x" * (module.MANY_CHARACTERS + 1))
    assert len(at["writes"]) == 1


def test_it_is_drawn_ten_times_a_second_at_most(at, monkeypatch) -> None:
    monkeypatch.setattr(module, "REDRAW_SECONDS", 1000.0)
    at["panel"].draw()
    at["lines"] = ["other"]
    at["panel"].draw()
    assert len(at["writes"]) == 1


def test_nothing_of_it_is_left_but_the_text(at) -> None:
    at["panel"].draw()
    at["panel"].say("last")
    at["panel"].clear()
    at["panel"].clear()
    assert at["writes"][1:] == ["\r\x1b[2Alast\x1b[K\n\x1b[J"]


def test_lines_that_a_narrower_terminal_has_broken_are_drawn_over_too(at) -> None:
    at["lines"] = ["\x1b[31m" + "x" * 30 + "\x1b[0m", "two"]
    at["panel"].draw()
    at["cells"] = 20
    at["lines"] = ["short"]
    at["panel"].draw()
    assert at["writes"][1].startswith("\r\x1b[3Ashort")


def test_while_somebody_is_asked_it_waits_and_then_begins_below(at) -> None:
    at["panel"].draw()
    at["taken"] = True
    at["lines"] = ["new"]
    at["panel"].draw()
    assert len(at["writes"]) == 1
    at["taken"] = False
    at["panel"].draw()
    assert at["writes"][1] == "new\n"


def test_escapes_take_no_room() -> None:
    assert plain("\x1b[31mred\x1b[0m and \x1b[1mbold\x1b[0m") == "red and bold"
    assert plain("nothing") == "nothing"


def test_a_dumb_terminal_and_a_pipe_have_none(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream())
    assert not module.is_possible()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert module.is_possible()
    monkeypatch.setenv("TERM", "dumb")
    assert not module.is_possible()


def test_of_what_is_no_terminal_the_size_is_the_usual_one() -> None:
    assert module.size(io.StringIO()) == (80, 24)
