"""Texts from elsewhere are harmless, and no wider than there is room."""

import pytest

from meshcluster.lettering import duration, harmless, listed, shortened, width, wrapped

LONG = "connection to 猫.example.org refused after 3 tries, unreasonably_long_words_are_broken"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, naïve 猫", "plain, naïve 猫"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\rc\x7f\x9b", "a\\nb\\rc\\x7f\\x9b"),
        ("right\u202eleft", "right\\u202eleft"),
        ("\udc80\uffff", "\\udc80\\uffff"),
    ],
)
def test_what_is_not_seen_is_written_out(text, shown):
    assert harmless(text) == shown


def test_but_what_is_wanted():
    assert harmless("a\n\tb\x00", keep="\n\t") == "a\n\tb\\x00"


def test_letters_of_east_asia_take_two_cells_and_accents_none():
    assert [width(text) for text in ("abc", "猫a", "e\u0301", "")] == [3, 3, 1, 0]


@pytest.mark.parametrize("text", ["web-server-17.example.org", "猫" * 12, "ab"])
def test_a_name_is_shortened_in_its_middle(text):
    for cells in range(30):
        short = shortened(text, cells)
        assert width(short) <= cells
        if width(text) <= cells:
            assert short == text
        elif cells >= 5:
            assert short[0] == text[0]
            assert short[-1] == text[-1]
            assert "…" in short


@pytest.mark.parametrize("indented", ["", "    "])
def test_lines_are_broken_and_nothing_is_lost(indented):
    for cells in range(2, 90):
        lines = list(wrapped(indented + LONG, cells))
        assert max(map(width, lines)) <= cells
        assert [line for line in lines if line != line.rstrip()] == []
        assert "".join("".join(lines).split()) == "".join(LONG.split())


def test_between_words_where_there_are_any_and_further_to_the_right():
    assert list(wrapped("  port 80 is taken", 12)) == ["  port 80 is", "    taken"]
    assert list(wrapped("as it is", 0)) == ["as it is"]


def test_of_many_names_the_first_are_named():
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0.0 s"),
        (0.0421, "0.042 s"),
        (3.24, "3.2 s"),
        (99.96, "100.0 s"),
        (245.4, "245 s"),
        (1000, "16 min"),
        (7320, "2 h 2 min"),
    ],
)
def test_a_time_is_said_as_people_do(seconds, said):
    assert duration(seconds) == said
