"""Members' values as text and as JSON: exact where they can be, harmless always."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.cli.values import dumped, plain, text_of
from meshcluster.lettering import harmless


@pytest.mark.parametrize(
    ("value", "is_told"),
    [
        (None, None),
        ([1, 2.5, "x", True], [1, 2.5, "x", True]),
        (b"\xff\x00", "/wA="),
        ((1, (2,)), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (math.nan, None),
        ({"k": b"x", 1: 2, (1, 2): 3, b"x": 4}, {"k": "eA==", "1": 2, "[1, 2]": 3, '"eA=="': 4}),
        (10**30, 10**30),
    ],
)
def test_what_json_does_not_know_becomes_what_it_does(value, is_told) -> None:
    assert plain(value) == is_told
    assert json.loads(dumped(value)) == is_told


def test_a_text_is_shown_as_it_is_bytes_as_far_as_they_are_text_the_rest_as_json() -> None:
    assert text_of("Grüezi 👋") == "Grüezi 👋"
    assert text_of("bytes ä".encode()) == "bytes ä"
    assert text_of(b"\xffx") == "\\xffx"
    assert text_of({"a": (1, None)}) == '{"a": [1, null]}'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本 👋", "plain ä 日本 👋"),
        ("family 👨‍👩‍👧 and\xa0space", "family 👨‍👩‍👧 and\xa0space"),
        ("a\tb\nc\r", "a\\tb\\nc\\r"),
        ("\x1b[2J\x07\x9b31m", "\\x1b[2J\\x07\\x9b31m"),
        ("\u202eright to left\u2066\u2028", "\\u202eright to left\\u2066\\u2028"),
        ("C:\\new", "C:\\new"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_could_disturb_a_terminal_is_written_out(text, shown) -> None:
    assert harmless(text) == shown


def test_a_number_of_more_digits_than_python_writes_is_shown_as_hexadecimal() -> None:
    assert dumped([2**20_000, -(2**20_000)]) == f'["{hex(2**20_000)}", "{hex(-(2**20_000))}"]'
    assert dumped({2**20_000: 2**4000}) == f'{{"{hex(2**20_000)}": {2**4000}}}'


TEXTS = some.text(some.characters(codec=None))
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | TEXTS,
    lambda inner: some.lists(inner) | some.dictionaries(TEXTS, inner),
)


@given(VALUES)
def test_json_comes_back_whole_and_could_be_shown_on_any_terminal(value) -> None:
    assert json.loads(dumped(value)) == json.loads(json.dumps(plain(value)))
    assert "\x1b" not in dumped(value)
    assert harmless(dumped(value)) == dumped(value)
    lines = dumped(value, indent=2).split("\n")
    assert all(harmless(line) == line for line in lines)
