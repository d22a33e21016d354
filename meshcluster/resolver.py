"""Who is meant: tests the words and tags of a member against words or a resolver.

``resolve`` words must all be among a member's words. A resolver is a sequence that is read from
left to right; each word or sequence of words in it is a test, and every test must pass.

Operations say what a test asks:

    -has, -all   every word is there
    -not         none of them is
    -some        at least one is
    -exact       the member's tags are these, no more and no fewer, in any order

Modifiers say how words are compared:

    -equal       the same word (this is how a resolver begins)
    -match       a shell pattern (``*``, ``?``, ``[abc]``) of a whole word; capitals matter
    -regexp      a regular expression, found anywhere in a word

With patterns, ``-exact`` asks that every pattern matches a tag and every tag is matched.

An operation stays until another one comes. A modifier clears it, so it must be given again. A
resolver that begins with a word means ``-has``. A sequence alone in a resolver is the resolver.
An empty word or sequence is skipped (but ``-exact`` and an empty sequence mean: no tags), and so is
the word ``1`` right after a modifier. A tag that begins with ``-`` is put into a sequence.

Patterns are trusted, as all arguments of our own caller are: a regular expression such as
``(a+)+$`` can take for ever on an unlucky word, and the words are the other members' to choose.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from .errors import ConfigError

Words = str | Sequence[str]
Resolver = Sequence[str | Sequence[str]]

OPERATIONS = ("has", "all", "not", "some", "exact")
MODIFIERS = ("equal", "match", "regexp")


class Described(Protocol):
    """What can be meant by words: a ``Service``."""

    @property
    def words(self) -> frozenset[str]:
        """Everything it can be resolved by."""

    @property
    def tags(self) -> tuple[str, ...]:
        """What ``-exact`` looks at."""


Each = TypeVar("Each", bound=Described)
_Test = Callable[[Collection[str], Collection[str]], bool]
_Matcher = Callable[[str], bool]


def words_of(words: Words | None) -> tuple[str, ...]:
    """One string is one word, a collection many.

    Raises:
        ConfigError: something that is not a text, or can be read only once.
    """
    if words is None:
        return ()
    if isinstance(words, str):
        return (words,)
    return _texts("resolve", words)


def has_words(known: frozenset[str], words: Words | None) -> bool:
    """Whether every word is known; no words always are.

    Raises:
        ConfigError: see ``words_of``.
    """
    return known.issuperset(words_of(words))


def passes(known: Collection[str], tags: Collection[str], resolver: Resolver) -> bool:
    """Whether a member with these words and tags passes every test of a resolver.

    Raises:
        ConfigError: see ``compile_tests``.
    """
    return all(test(known, tags) for test in compile_tests(resolver))


def resolve(services: Iterable[Each], words: Words | None) -> tuple[Each, ...]:
    """Those that have every word among their tags, name, id, host, address, localhost."""
    wanted = words_of(words)
    if not wanted:
        return tuple(services)
    return tuple(s for s in services if s.words.issuperset(wanted))


def filter_by(services: Iterable[Each], resolver: Resolver | None) -> tuple[Each, ...]:
    """Those that pass every test of a resolver; all when there is none.

    Raises:
        ConfigError: see ``compile_tests``.
    """
    if resolver is None:
        return tuple(services)
    tests = compile_tests(resolver)
    return tuple(s for s in services if all(test(s.words, s.tags) for test in tests))


def compile_tests(resolver: Resolver) -> list[_Test]:
    """The tests of a resolver, in order; each takes a member's words and its tags.

    Raises:
        ConfigError: an unknown option, words without an operation, a broken pattern, or something
            that is not a text. The text says what would work.
    """
    operation, modifier, skipped = "has", "equal", ""
    tests: list[_Test] = []
    for item in _items(resolver):
        skip, skipped = skipped, ""
        if isinstance(item, str) and item.startswith("-"):
            option = _option(item)
            if option in OPERATIONS:
                operation = option
            else:
                operation, modifier, skipped = "", option, "1"
        elif item in ("", skip) or (_is_empty(item) and operation != "exact"):
            continue
        elif not operation:
            example = ["-" + modifier, "-has", item]
            raise ConfigError(
                f"resolver: {item!r} has no operation, since -{modifier} cleared it: "
                f"write for example {example!r}"
            )
        else:
            words = (item,) if isinstance(item, str) else _texts("resolver", item)
            tests.append(_test(operation, [_matcher(word, modifier) for word in words]))
    return tests


def _items(resolver: object) -> Sequence[object]:
    """The items to read: a sequence alone in a resolver is the resolver."""
    if isinstance(resolver, str | bytes) or not isinstance(resolver, Sequence):
        word = resolver if isinstance(resolver, str) else "web"
        raise ConfigError(f"resolver={resolver!r}: a sequence such as ['-has', {word!r}]")
    if len(resolver) == 1:
        (alone,) = resolver
        if isinstance(alone, Sequence) and not isinstance(alone, str | bytes):
            return alone
    return resolver


def _is_empty(item: object) -> bool:
    return isinstance(item, Collection) and not isinstance(item, bytes) and not item


def _option(item: str) -> str:
    """The operation or modifier that an item names."""
    known = [f"-{word}" for word in (*OPERATIONS, *MODIFIERS)]
    if item in known:
        return item[1:]
    import difflib  # for errors alone

    close = difflib.get_close_matches(item.lower(), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; a tag with a dash goes into a sequence"
    raise ConfigError(f"resolver: {item!r} is none of {', '.join(known)}{hint}")


def _texts(setting: str, words: object) -> tuple[str, ...]:
    """A collection of texts. What can be read only once would be empty, and match, the next time.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(words, Collection) and not isinstance(words, bytes | bytearray):
        texts = tuple(words)
        if all(isinstance(word, str) for word in texts):
            return texts
    raise ConfigError(f"{setting}={words!r}: a word, or a sequence of words")


def _test(operation: str, matchers: Sequence[_Matcher]) -> _Test:
    def found(words: Collection[str]) -> Iterable[bool]:
        return (any(map(matches, words)) for matches in matchers)

    if operation == "some":
        return lambda known, tags: any(found(known))
    if operation == "not":
        return lambda known, tags: not any(found(known))
    if operation == "exact":
        return lambda known, tags: (
            all(found(tags)) and all(any(matches(tag) for matches in matchers) for tag in tags)
        )
    return lambda known, tags: all(found(known))


def _matcher(word: str, modifier: str) -> _Matcher:
    if modifier == "equal":
        return word.__eq__
    try:
        pattern = re.compile(word if modifier == "regexp" else fnmatch.translate(word))
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(f"resolver: {word!r} is no {modifier} pattern: {error}") from None
    found = pattern.search if modifier == "regexp" else pattern.match
    return lambda text: found(text) is not None
