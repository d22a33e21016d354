"""Who is meant: all words must match; a resolver narrows from left to right."""

import re
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.errors import ConfigError
from meshcluster.model import Identity, Service
from meshcluster.resolver import (
    MODIFIERS,
    OPERATIONS,
    compile_tests,
    filter_by,
    has_words,
    passes,
    resolve,
    words_of,
)


def member(name, *tags, host="here", address="10.0.0.1", local=False):
    identity = Identity(name.encode().ljust(16, b"."), 1, name, host)
    return Service(identity, tags=tags, address=address, local=local)


ADA = member("ada", "web", "rack-1", local=True)
BOB = member("bob", "web", "db", "rack-2", host="there", address="10.0.0.2")
CAT = member("cat", "db", "webcam", address="10.0.0.3")
DAN = member("dan", address="10.0.0.4")
ALL = (ADA, BOB, CAT, DAN)


def names(services):
    return " ".join(service.name for service in services)


def found(words):
    return names(resolve(ALL, words))


def passing(*resolver):
    return names(filter_by(ALL, resolver))


# --- words ---


@pytest.mark.parametrize(
    ("words", "who"),
    [
        ("web", "ada bob"),
        (["web", "db"], "bob"),
        ({"web", "db"}, "bob"),
        ("bob", "bob"),
        (CAT.id, "cat"),
        ("there", "bob"),
        ("10.0.0.3", "cat"),
        ("localhost", "ada"),
        (["localhost", "db"], ""),
        ("we", ""),
        ("", ""),
        ("*", ""),
    ],
)
def test_a_service_has_every_word_that_is_asked_for(words, who):
    assert found(words) == who


@pytest.mark.parametrize("words", [None, (), []])
def test_no_words_mean_everybody_in_order(words):
    assert found(words) == "ada bob cat dan"


def test_one_string_is_one_word():
    assert words_of("web") == ("web",)
    assert words_of(["a", "b"]) == ("a", "b")
    assert words_of(None) == ()


def test_one_member_is_asked_about_alone():
    assert has_words(ADA.words, ("web", "localhost"))
    assert not has_words(ADA.words, ("web", "db"))
    assert has_words(ADA.words, ())
    assert passes(ADA.words, ADA.tags, ["-has", "web", "-not", "db"])
    assert not passes(ADA.words, ADA.tags, ["-exact", "web"])


@pytest.mark.parametrize("words", [["web", 5], [None], b"web", [b"web"], 5], ids=repr)
def test_a_word_that_is_no_text_is_refused(words):
    with pytest.raises(ConfigError, match="a word"):
        resolve(ALL, words)


def test_words_that_can_be_read_only_once_are_refused():
    """Read a second time they would be none, and mean everybody."""
    with pytest.raises(ConfigError, match="a word"):
        words_of(word for word in ["a", "b"])
    with pytest.raises(ConfigError, match="a word"):
        compile_tests(["-has", iter(["a", "b"])])


# --- resolvers: the members, by everything they can be resolved by ---
#
#   ada  web rack-1       here   10.0.0.1  localhost
#   bob  web db rack-2    there  10.0.0.2
#   cat  db webcam        here   10.0.0.3
#   dan  (no tags)        here   10.0.0.4


@pytest.mark.parametrize(
    ("resolver", "who"),
    [
        # It begins with a word: a plain resolve.
        (["web"], "ada bob"),
        (["web", "db"], "bob"),
        (["bob"], "bob"),
        (["localhost"], "ada"),
        (["10.0.0.3"], "cat"),
        (["nobody"], ""),
        (["web", "-not", "db"], "ada"),
        # Every word.
        (["-has", "web"], "ada bob"),
        (["-has", ["web", "db"]], "bob"),
        (["-has", "web", "db"], "bob"),
        (["-has", ["web"], ["db"]], "bob"),
        (["-has", {"web", "db"}], "bob"),
        (["-all", "web"], "ada bob"),
        (["-all", ["web", "db"]], "bob"),
        (["-has", "here", "-all", "db"], "cat"),
        # None of them.
        (["-not", "web"], "cat dan"),
        (["-not", ["web", "db"]], "dan"),
        (["-not", "web", "db"], "dan"),
        (["-not", ["rack-1", "rack-2"]], "cat dan"),
        (["-not", "localhost"], "bob cat dan"),
        (["-not", "nobody"], "ada bob cat dan"),
        # At least one.
        (["-some", ["rack-1", "webcam"]], "ada cat"),
        (["-some", "web"], "ada bob"),
        (["-some", ["web", "db"], ["here", "nobody"]], "ada cat"),
        (["-some", ["nobody", "nothing"]], ""),
        # The tags, no more and no fewer.
        (["-exact", ["web", "rack-1"]], "ada"),
        (["-exact", ["rack-1", "web"]], "ada"),
        (["-exact", ("web", "rack-1", "web")], "ada"),
        (["-exact", "web"], ""),
        (["-exact", ["web", "rack-1", "ada"]], ""),
        (["-exact", ["web", "rack-1", "localhost"]], ""),
        (["-exact", []], "dan"),
        (["-exact", ["db", "webcam"], "-has", "cat"], "cat"),
        (["-exact", "db", "webcam"], ""),
        # One after the other.
        (["-has", "web", "-not", "db"], "ada"),
        (["-some", ["web", "db"], "-not", "rack-2"], "ada cat"),
        (["db", "-not", "web", "-has", "webcam"], "cat"),
        (["-not", "db", "-not", "web"], "dan"),
        (["-has", "-not", "web"], "cat dan"),
        (["-has", "web", "-has"], "ada bob"),
    ],
)
def test_operations_narrow_from_left_to_right(resolver, who):
    assert passing(*resolver) == who


@pytest.mark.parametrize(
    ("resolver", "who"),
    [
        (["-equal", "-has", "web"], "ada bob"),
        (["-equal", "-not", "we*"], "ada bob cat dan"),
        # Shell patterns, of a whole word.
        (["-match", "-has", "rack-*"], "ada bob"),
        (["-match", "-has", "rack-?", "-not", "*-2"], "ada"),
        (["-match", "-has", "[abc]a[dt]*"], "cat"),
        (["-match", "-has", "[!w]e*"], "ada cat dan"),
        (["-match", "-has", "*"], "ada bob cat dan"),
        (["-match", "-has", ["w*", "r*"]], "ada bob"),
        (["-match", "-has", "web"], "ada bob"),
        (["-match", "-has", "cam"], ""),
        (["-match", "-has", "ack-1"], ""),
        (["-match", "-has", "RACK-*"], ""),
        (["-match", "-not", "rack-*"], "cat dan"),
        (["-match", "-not", ["rack-*", "*cam"]], "dan"),
        (["-match", "-some", ["*-1", "*cam"]], "ada cat"),
        (["-match", "-all", "10.0.0.[34]"], "cat dan"),
        (["-match", "-exact", ["w*", "r*"]], "ada"),
        (["-match", "-exact", "*"], "ada bob cat"),
        (["-match", "-exact", ["*b*", "db"]], "cat"),
        (["-match", "-exact", []], "dan"),
        # Regular expressions, anywhere.
        (["-regexp", "-has", r"^rack-\d$"], "ada bob"),
        (["-regexp", "-has", "cam"], "cat"),
        (["-regexp", "-has", "ack-1"], "ada"),
        (["-regexp", "-has", "RACK"], ""),
        (["-regexp", "-has", "(?i)RACK"], "ada bob"),
        (["-regexp", "-has", ["^w", "^r"]], "ada bob"),
        (["-regexp", "-not", "b$"], "dan"),
        (["-regexp", "-not", ["cam", "1$"]], "bob dan"),
        (["-regexp", "-some", ["-1$", "cam$"]], "ada cat"),
        (["-regexp", "-exact", ["^web", "^db$"]], "cat"),
        (["-regexp", "-exact", "b"], "cat"),
        # A modifier clears the operation, and stays itself.
        (["-has", "web", "-match", "-not", "*-2"], "ada"),
        (["-match", "-has", "rack-*", "-equal", "-has", "db"], "bob"),
        (["-regexp", "-has", "^(ada|bob)$", "-equal", "-not", "db"], "ada"),
        (["-match", "-regexp", "-has", "cam"], "cat"),
        (["web", "-match"], "ada bob"),
    ],
    ids=str,
)
def test_modifiers_say_how_words_are_compared(resolver, who):
    assert passing(*resolver) == who


@pytest.mark.parametrize(
    ("resolver", "who"),
    [
        # A sequence alone is the resolver.
        ([["web", "db"]], "bob"),
        ([["-has", "web", "-not", "db"]], "ada"),
        ([("-match", "-has", "rack-*")], "ada bob"),
        ([["-has", ["web", "db"]]], "bob"),
        ([[]], "ada bob cat dan"),
        # What is empty is skipped.
        (["", "web"], "ada bob"),
        (["-has", "", "web"], "ada bob"),
        (["-has", [], "web"], "ada bob"),
        (["-some", []], "ada bob cat dan"),
        (["-match", "", "-has", "rack-*"], "ada bob"),
        # So is the 1 that may follow a modifier, but no other.
        (["-match", "1", "-has", "rack-*"], "ada bob"),
        (["-regexp", "1", "-not", "b$"], "dan"),
        (["-has", "web", "-equal", "1", "-not", "db"], "ada"),
        (["-has", "1"], ""),
        (["-match", "-has", "1"], ""),
        (["1"], ""),
    ],
    ids=str,
)
def test_old_ways_of_writing_it_are_understood(resolver, who):
    assert passing(*resolver) == who


def test_a_tag_may_begin_with_a_dash_inside_a_sequence():
    dashed = member("eve", "-has")
    assert filter_by((*ALL, dashed), ["-has", ["-has"]]) == (dashed,)


def test_a_tag_may_be_called_1():
    first = member("eve", "1")
    assert filter_by((*ALL, first), ["-match", "-has", "1"]) == (first,)
    assert filter_by((*ALL, first), ["-match", "1", "-has", "1"]) == (first,)


def test_no_resolver_or_an_empty_one_means_everybody():
    assert filter_by(ALL, None) == filter_by(ALL, []) == ALL


# --- what means nothing is refused, with what would work ---


@pytest.mark.parametrize(
    ("resolver", "text"),
    [
        (["-hass", "web"], "'-hass' is none of .*did you mean -has"),
        (["-NOT", "web"], "did you mean -not"),
        (["-regex", "web"], "did you mean -regexp"),
        (["-excat", "web"], "did you mean -exact"),
        (["-"], "'-' is none of"),
        (["-zzz"], "a tag with a dash goes into a sequence"),
        (["-match", "rack-*"], r"write for example \['-match', '-has', 'rack-\*'\]"),
        (["-has", "web", "-regexp", "1", "^a"], "'\\^a' has no operation"),
        (["-match", ["a*", "b*"]], r"\['-match', '-has', \['a\*', 'b\*'\]\]"),
        (["-regexp", "-has", "("], r"'\(' is no regexp pattern"),
        (["-regexp", "-has", "a{99999999999999999999}"], "is no regexp pattern"),
        (["-regexp", "-has", "(" * 5000 + ")" * 5000], "is no regexp pattern"),
        ("web", r"\['-has', 'web'\]"),
        (b"web", "a sequence such as"),
        (5, "a sequence such as"),
        ({"-has", "web"}, "a sequence such as"),
        (["web", 5], "5: a word"),
        (["web", b"db"], "b'db': a word"),
        ([b"web"], "b'web': a word"),
        (["web", None], "None: a word"),
        (["-has", ["web", None]], "None]: a word"),
        (["-has", [["web"]]], "a word, or a sequence of words"),
    ],
)
def test_a_resolver_that_means_nothing_is_refused(resolver, text):
    with pytest.raises(ConfigError, match=text):
        filter_by(ALL, resolver)


def test_an_unknown_option_names_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        filter_by(ALL, ["-is", "web"])
    known = "-has -all -not -some -exact -equal -match -regexp".split()
    assert all(word in str(caught.value) for word in known)


def test_a_broken_resolver_is_refused_even_when_nobody_is_there():
    with pytest.raises(ConfigError):
        filter_by((), ["-regexp", "-has", "("])


# --- what is true of every resolver ---

letters = some.sampled_from(["a", "b", "ab", "ba", "abc", "1", "-a"])
patterns = {
    "-equal": letters,
    "-match": some.sampled_from(["a*", "*b", "?", "[ab]*", "*", "abc", "z"]),
    "-regexp": some.sampled_from(["a", "b$", "^.$", "^ab", "", "c|1", "z"]),
}
lists = some.sampled_from(list(patterns)).flatmap(
    lambda modifier: some.tuples(
        some.just(modifier), some.lists(patterns[modifier], min_size=1, max_size=3)
    )
)
crowds = some.lists(some.lists(letters, max_size=4).map(tuple), max_size=6).map(
    lambda tags: tuple(member(f"m{number}", *each) for number, each in enumerate(tags))
)


@given(crowds, lists)
def test_not_is_everybody_but_some(crowd, asked):
    modifier, words = asked
    some_of_them = set(filter_by(crowd, [modifier, "-some", words]))
    none_of_them = set(filter_by(crowd, [modifier, "-not", words]))
    assert some_of_them | none_of_them == set(crowd)
    assert not some_of_them & none_of_them


@given(crowds, lists)
def test_exact_implies_has_and_has_implies_some(crowd, asked):
    modifier, words = asked
    exact, has, at_least = (
        set(filter_by(crowd, [modifier, operation, words]))
        for operation in ("-exact", "-has", "-some")
    )
    assert exact <= has <= at_least


@given(crowds, lists)
def test_all_is_another_word_for_has(crowd, asked):
    modifier, words = asked
    assert filter_by(crowd, [modifier, "-all", words]) == filter_by(
        crowd, [modifier, "-has", words]
    )


@given(crowds, some.lists(letters, min_size=1, max_size=3))
def test_exact_words_are_those_whose_tags_are_the_same_set(crowd, words):
    expected = tuple(each for each in crowd if set(each.tags) == set(words))
    assert filter_by(crowd, ["-exact", words]) == expected


@given(crowds, lists, lists, some.sampled_from(OPERATIONS), some.sampled_from(OPERATIONS))
def test_each_test_narrows_what_the_ones_before_it_left(crowd, one, other, first, second):
    left = [one[0], f"-{first}", one[1]]
    right = [other[0], f"-{second}", other[1]]
    both = filter_by(crowd, [*left, *right])
    assert both == filter_by(filter_by(crowd, left), right)
    assert set(both) == set(filter_by(crowd, left)) & set(filter_by(crowd, right))


@given(
    crowds,
    lists,
    some.lists(some.lists(letters, min_size=1, max_size=2), max_size=4),
    some.sampled_from(OPERATIONS),
    some.randoms(use_true_random=False),
)
def test_the_order_of_lists_within_one_operation_does_not_matter(
    crowd, asked, more, operation, random
):
    modifier, words = asked
    tests = [words, *more]
    if modifier == "-regexp":
        tests = [[re.escape(word) for word in each] for each in tests]
    shuffled = random.sample(tests, len(tests))
    assert filter_by(crowd, [modifier, f"-{operation}", *tests]) == filter_by(
        crowd, [modifier, f"-{operation}", *shuffled]
    )


@given(crowds, some.lists(letters.filter(lambda word: word != "-a"), max_size=3))
def test_plain_words_are_a_resolve(crowd, words):
    assert filter_by(crowd, words) == resolve(crowd, words)


anything = some.recursive(
    some.text(max_size=6)
    | some.sampled_from([f"-{word}" for word in (*OPERATIONS, *MODIFIERS)])
    | some.sampled_from(["(", "[", "a{9", "*", "1", "(?P<", "\\", None, 5, b"x", 1.5]),
    lambda inner: some.lists(inner, max_size=6) | some.sets(some.text(max_size=3), max_size=3),
    max_leaves=12,
)


@settings(max_examples=500)
@given(anything)
def test_anything_is_a_resolver_or_refused(resolver):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some patterns are understood, with a word of advice
        try:
            kept = filter_by(ALL, resolver)
        except ConfigError:
            return
    assert set(kept) <= set(ALL)
