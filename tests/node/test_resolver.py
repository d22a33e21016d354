"""Who is meant: all words must match; a resolver narrows from left to right."""

import pytest

from meshcluster.errors import ConfigError
from meshcluster.model import Identity, Service
from meshcluster.node.resolver import filter_by, resolve, words_of


def member(name, *tags, host="here", address="10.0.0.1", local=False):
    identity = Identity(name.encode().ljust(16, b"."), 1, name, host)
    return Service(identity, tags=tags, address=address, local=local)


ADA = member("ada", "web", "rack-1", local=True)
BOB = member("bob", "web", "db", "rack-2", host="there", address="10.0.0.2")
CAT = member("cat", "db", "webcam", address="10.0.0.3")
ALL = (ADA, BOB, CAT)


def names(services):
    return [service.name for service in services]


def found(words):
    return names(resolve(ALL, words))


def passing(*resolver):
    return names(filter_by(ALL, resolver))


# --- words ---


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("web", ["ada", "bob"]),
        (["web", "db"], ["bob"]),
        ("bob", ["bob"]),
        (CAT.id, ["cat"]),
        ("there", ["bob"]),
        ("10.0.0.3", ["cat"]),
        ("localhost", ["ada"]),
        (["localhost", "db"], []),
        ("we", []),
        ("", []),
    ],
    ids=str,
)
def test_a_service_has_every_word_that_is_asked_for(words, who):
    assert found(words) == who


@pytest.mark.parametrize("words", [None, (), []])
def test_no_words_mean_everybody_in_order(words):
    assert found(words) == ["ada", "bob", "cat"]


def test_one_string_is_one_word():
    assert words_of("web") == ("web",)
    assert words_of(word for word in ["a", "b"]) == ("a", "b")
    assert words_of(None) == ()


@pytest.mark.parametrize("words", [["web", 5], [None], b"web", [b"web"], 5], ids=repr)
def test_a_word_that_is_no_text_is_refused(words):
    with pytest.raises(ConfigError, match="a word"):
        resolve(ALL, words)


# --- resolvers ---


@pytest.mark.parametrize(
    ("resolver", "who"),
    [
        (["web"], ["ada", "bob"]),
        (["web", "db"], ["bob"]),
        ([["web", "db"]], ["bob"]),
        (["-has", "web", "-not", "db"], ["ada"]),
        (["-not", ["web", "db"]], []),
        (["-not", ["rack-1", "rack-2"]], ["cat"]),
        (["-some", ["rack-1", "webcam"]], ["ada", "cat"]),
        (["-some", ["web", "db"], "-not", "rack-2"], ["ada", "cat"]),
        (["db", "-not", "web", "-has", "webcam"], ["cat"]),
    ],
    ids=str,
)
def test_operations_narrow_from_left_to_right(resolver, who):
    assert passing(*resolver) == who


@pytest.mark.parametrize(
    ("resolver", "who"),
    [
        (["-match", "rack-*"], ["ada", "bob"]),
        (["-match", "rack-?", "-not", "*-2"], ["ada"]),
        (["-match", "[abc]a[dt]*"], ["cat"]),
        (["-match", "*"], ["ada", "bob", "cat"]),
        (["-regexp", r"^rack-\d$"], ["ada", "bob"]),
        (["-regexp", "cam"], ["cat"]),
        (["-regexp", "^(ada|bob)$", "-equal", "db"], ["bob"]),
        (["-regexp", "^rack", "-not", "-equal", "rack"], ["ada", "bob"]),
    ],
    ids=str,
)
def test_modifiers_say_how_words_are_compared(resolver, who):
    assert passing(*resolver) == who


def test_a_shell_pattern_matches_the_whole_word():
    assert passing("-match", "cam") == []
    assert passing("-match", "ack-1") == []
    assert passing("-match", "web") == ["ada", "bob"]


def test_a_regular_expression_is_searched_anywhere():
    assert passing("-regexp", "ack-1") == ["ada"]


def test_capitals_matter_everywhere():
    assert passing("-match", "RACK-*") == passing("-regexp", "RACK") == passing("WEB") == []


def test_a_word_may_begin_with_a_dash_inside_a_sequence():
    dashed = member("dan", "-has")
    assert filter_by((*ALL, dashed), [["-has"]]) == (dashed,)


def test_no_resolver_or_an_empty_one_means_everybody():
    assert filter_by(ALL, None) == filter_by(ALL, []) == ALL


@pytest.mark.parametrize(
    ("resolver", "word"),
    [
        (["-hass", "web"], "-hass"),
        (["-"], "'-'"),
        (["-regexp", "("], r"'\('"),
        ("web", "-has"),
        (["web", 5], "5"),
        ([["web", None]], "None"),
    ],
    ids=str,
)
def test_a_resolver_that_means_nothing_is_refused(resolver, word):
    with pytest.raises(ConfigError, match=word):
        filter_by(ALL, resolver)


def test_an_unknown_operation_names_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        filter_by(ALL, ["-is", "web"])
    known = "-has -not -some -equal -match -regexp".split()
    assert all(word in str(caught.value) for word in known)


def test_a_broken_resolver_is_refused_even_when_nobody_is_there():
    with pytest.raises(ConfigError):
        filter_by((), ["-regexp", "("])
