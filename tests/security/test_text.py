"""Keys as text: copied exactly, or refused; never in an error."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster import ConfigError
from meshcluster.security.text import is_key, new_key, parse_key, text_of

KEY = bytes(range(32))
TEXT = "mc1_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypx45ajbm"


def test_a_key_is_written_as_it_always_was():
    assert text_of(KEY) == TEXT
    assert parse_key(TEXT) == KEY


@given(some.binary(min_size=32, max_size=32))
def test_any_key_is_read_as_it_was_written(key):
    assert parse_key(text_of(key)) == key
    assert re.fullmatch("mc1_[a-z2-7]{58}", text_of(key))


def test_no_two_keys_are_the_same():
    assert len({new_key() for _ in range(100)}) == 100
    assert len(parse_key(new_key())) == 32


def test_large_letters_are_the_same_key():
    assert parse_key("mc1_" + TEXT[4:].upper()) == KEY


@given(some.integers(4, len(TEXT) - 1), some.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_wrong_character_is_an_error(place, letter):
    text = TEXT[:place] + letter + TEXT[place + 1 :]
    if text == TEXT:
        return
    with pytest.raises(ConfigError, match="a character of this one is wrong: copy it again"):
        parse_key(text)


@given(some.integers(4, len(TEXT) - 2))
def test_two_exchanged_characters_are_an_error(place):
    text = TEXT[:place] + TEXT[place + 1] + TEXT[place] + TEXT[place + 2 :]
    if text == TEXT:
        return
    with pytest.raises(ConfigError, match="wrong"):
        parse_key(text)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        (TEXT[:-1], "57 characters after that, not 58"),
        (TEXT + "a", "59 characters"),
        ("mc1_", "0 characters"),
        (TEXT[:-1] + "1", "other than a-z and 2-7"),
        (TEXT[:-1] + "é", "other than a-z and 2-7"),
        (TEXT[:-1] + "=", "other than a-z and 2-7"),
        ("swordfish", "does not begin so"),
    ],
)
def test_what_is_wrong_is_said_without_the_key(text, trouble):
    with pytest.raises(ConfigError, match=trouble) as refused:
        parse_key(text)
    assert text[6:] not in str(refused.value) or not text[6:]
    assert "meshcluster keygen" in str(refused.value)
    assert refused.value.__context__ is None


@given(some.text(max_size=70))
def test_any_text_is_a_key_or_refused(text):
    for each in (text, "mc1_" + text):
        try:
            assert len(parse_key(each)) == 32
        except ConfigError:
            pass


def test_what_begins_as_a_key_is_meant_to_be_one():
    assert is_key("mc1_oops")
    assert not is_key("correct horse battery staple")
