"""Bytes that come in pieces are told line by line."""

import random

import pytest

from meshcluster.jobs.lines import LONGEST_BYTES, Lines


def test_a_line_is_given_when_it_is_complete():
    lines = Lines()
    assert lines.take(b"one\ntw") == ["one"]
    assert lines.take(b"o\n\nthree") == ["two", ""]
    assert lines.end() == ["three"]
    assert lines.end() == []


def test_what_ends_with_a_line_has_no_empty_one_after_it():
    lines = Lines()
    assert lines.take(b"one\n") == ["one"]
    assert lines.end() == []


def test_the_ends_of_lines_of_windows_are_ends_as_well():
    lines = Lines()
    assert lines.take(b"one\r") == []
    assert lines.take(b"\ntwo\r\n") == ["one", "two"]


def test_what_is_no_utf_8_is_shown():
    assert Lines().take(b"a\xffb\n") == ["a\\xffb"]


def test_pieces_may_begin_anywhere():
    text = "".join(f"größer {number} ⟶ weiter\n" for number in range(200))
    data, lines, found = text.encode(), Lines(), []
    chance = random.Random(7)
    while data:
        size = chance.randrange(1, 40)
        found += lines.take(data[:size])
        data = data[size:]
    assert found + lines.end() == text.splitlines()


@pytest.mark.parametrize("at_once", [True, False])
def test_a_long_line_is_given_in_parts_however_it_comes(at_once):
    data = b"x" * (2 * LONGEST_BYTES + 5) + b"\n"
    lines, found = Lines(), []
    for piece in [data] if at_once else [data[at : at + 999] for at in range(0, len(data), 999)]:
        found += lines.take(piece)
    assert [len(each) for each in found] == [LONGEST_BYTES, LONGEST_BYTES, 5]


def test_a_line_of_just_that_length_is_one():
    lines = Lines()
    assert lines.take(b"x" * LONGEST_BYTES) == []
    assert [len(each) for each in lines.take(b"\ny\n")] == [LONGEST_BYTES, 1]


def test_no_letter_is_cut_in_two():
    text = "x" + "ö" * LONGEST_BYTES
    parts = Lines().take(text.encode() + b"\n")
    assert len(parts) == 3
    assert "".join(parts) == text
