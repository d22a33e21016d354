"""Who is meant: turns words and tests into services.

``resolve`` words must all match. A resolver is a sequence read from left to right: words that
begin with ``-`` set an operation (``-has``, ``-not``, ``-some``) or a modifier (``-equal``,
``-match`` for shell patterns of whole words, ``-regexp`` for a match anywhere); every other item
is a word, or a sequence of words, tested with the current ones, and each test narrows.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence

from ..errors import ConfigError
from ..model import Service

Words = str | Sequence[str]
Resolver = Sequence[str | Sequence[str]]
_Test = Callable[[frozenset[str]], bool]

OPERATIONS = ("has", "not", "some")
MODIFIERS = ("equal", "match", "regexp")


def words_of(words: Words | None) -> tuple[str, ...]:
    """One string is one word, a sequence many.

    Raises:
        ConfigError: something that is not a text.
    """
    if words is None:
        return ()
    if isinstance(words, str):
        return (words,)
    if not isinstance(words, Iterable):
        raise ConfigError(f"resolve={words!r}: a word, or a sequence of words")
    words = tuple(words)
    for word in words:
        if not isinstance(word, str):
            raise ConfigError(f"resolve={word!r}: a word, or a sequence of words")
    return words


def resolve(services: Iterable[Service], words: Words | None) -> tuple[Service, ...]:
    """The services that have every word among their tags, name, id, host, address, localhost."""
    wanted = words_of(words)
    if not wanted:
        return tuple(services)
    return tuple(s for s in services if s.words.issuperset(wanted))


def filter_by(services: Iterable[Service], resolver: Resolver | None) -> tuple[Service, ...]:
    """The services that pass every test of a resolver.

    Raises:
        ConfigError: a word that is no operation or modifier, or a broken pattern.
    """
    if resolver is None:
        return tuple(services)
    tests = compile_tests(resolver)
    return tuple(s for s in services if all(test(s.words) for test in tests))


def compile_tests(resolver: Resolver) -> list[_Test]:
    """The tests of a resolver, in order.

    Raises:
        ConfigError: a word that is no operation or modifier, or a broken pattern.
    """
    if isinstance(resolver, str):
        raise ConfigError(f"resolver={resolver!r}: a sequence such as ['-has', {resolver!r}]")
    operation, modifier = "has", "equal"
    tests: list[_Test] = []
    for item in resolver:
        if isinstance(item, str) and item.startswith("-"):
            word = item[1:]
            if word in OPERATIONS:
                operation = word
            elif word in MODIFIERS:
                modifier = word
            else:
                known = ", ".join(f"-{w}" for w in (*OPERATIONS, *MODIFIERS))
                raise ConfigError(f"resolver: {item!r} is none of {known}")
        else:
            tests.append(_test(operation, [_matcher(w, modifier) for w in words_of(item)]))
    return tests


def _test(operation: str, matchers: Sequence[Callable[[str], bool]]) -> _Test:
    def found(words: frozenset[str]) -> Iterable[bool]:
        return (any(map(matches, words)) for matches in matchers)

    if operation == "some":
        return lambda words: any(found(words))
    if operation == "not":
        return lambda words: not any(found(words))
    return lambda words: all(found(words))


def _matcher(word: str, modifier: str) -> Callable[[str], bool]:
    if modifier == "equal":
        return word.__eq__
    try:
        pattern = re.compile(word if modifier == "regexp" else fnmatch.translate(word))
        found = pattern.search if modifier == "regexp" else pattern.match
    except re.error as error:
        raise ConfigError(f"resolver: {word!r} is no {modifier} pattern: {error}") from None
    return lambda text: found(text) is not None
