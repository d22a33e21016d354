"""What words about roles mean: ``Selector``. Pure: it knows neither sites nor who has which role.

app            the sites that have the role ``app``
web-*          those with a role that the shell pattern (``*``, ``?``, ``[abc]``) fits
!db            those without it
app & !db      those with both
app | db       those with one of them
(a | b) & c    what is in parentheses comes first; then ``!``, then ``&``, then ``|``
app, db        a comma is a list: the same as ``["app", "db"]``, whoever is in one of them
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ..errors import ConfigError

MAX_DEPTH = 32
"""Parentheses in parentheses, or lists in lists."""
MAX_CHARACTERS = 4096
"""Of one text."""

_LETTERS = r"[\w.:@/+=-]"
_NAME = re.compile(rf"{_LETTERS}+")
_TOKEN = re.compile(rf"\s*(?:([(),&|!])|((?:{_LETTERS}|[*?]|\[!?{_LETTERS}+\])+))")
LEGAL = "letters, digits and any of -_.:@/+="

Roles = Collection[str]
_Test = Callable[[Roles], bool]


class Term(NamedTuple):
    """One of a list. ``role``: its name, where it is nothing but that; None of an expression."""

    role: str | None
    test: _Test


def flatten(what: str, words: Any, depth: int = 0) -> Iterator[Any]:
    """The items of lists in lists, one after the other; what is no list is one item.

    Raises:
        ConfigError: they are too deep.
    """
    if depth > MAX_DEPTH:
        raise ConfigError(f"{what}: lists in lists, deeper than {MAX_DEPTH}")
    if isinstance(words, list | tuple | set | frozenset):
        for word in words:
            yield from flatten(what, word, depth + 1)
    else:
        yield words


def is_name(word: object) -> bool:
    """Whether a site or a role may be called so."""
    return isinstance(word, str) and len(word) <= 255 and _NAME.fullmatch(word) is not None


def names_of(what: str, words: Any) -> tuple[str, ...]:
    """Names of sites or roles, single or in nested lists, each once.

    Raises:
        ConfigError: one of them can be no name.
    """
    names: dict[str, None] = {}
    for name in flatten(what, words):
        if not isinstance(name, str):
            raise ConfigError(f"{what}={name!r:.80}: a text, or a list of texts")
        if not is_name(name):
            raise ConfigError(f"{what}={name!r:.80}: a name has {LEGAL}, 1 to 255 of them")
        names[name] = None
    return tuple(names)


class Selector:
    """What role words mean, read once; see the module.

    Args:
        words: a text, or texts in nested lists, which mean the union of what each of them means:
            ``["app", "!db"]`` is whoever is in ``app``, and also whoever is not in ``db``. An empty
            list means nobody.

    Raises:
        ConfigError: a text that cannot be understood; it shows where, and says what would work.
    """

    def __init__(self, words: Any) -> None:
        self.terms: tuple[Term, ...] = tuple(
            term for text in flatten("roles", words) for term in _Reader(text).terms()
        )

    def matches(self, roles: Roles) -> bool:
        """Whether somebody with these roles is meant."""
        return any(term.test(roles) for term in self.terms)


class _Reader:
    """Reads one text, from left to right."""

    def __init__(self, text: Any) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"roles={text!r:.80}: a text such as 'app & !db', or a list of them")
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(f"roles={text!r:.40}...: over {MAX_CHARACTERS} characters")
        self._text, self._place, self._depth = text, 0, 0
        self._sign, self._word, self._end = "", "", 0
        self._next()

    def terms(self) -> Iterator[Term]:
        """What is between commas."""
        yield self._term()
        while self._sign == ",":
            self._next()
            yield self._term()
        if self._sign == ")":
            raise self._wrong("nothing is open here: leave ) out")
        if self._sign or self._word:
            raise self._wrong("between two words there is & or | or a comma")

    def _term(self) -> Term:
        word, place = self._word, self._place
        test = self._either()
        alone = is_name(word) and self._text[place : self._place].strip() == word
        return Term(word if alone else None, test)

    def _either(self) -> _Test:
        tests = [self._both()]
        while self._sign == "|":
            self._next()
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda roles: any(test(roles) for test in tests)

    def _both(self) -> _Test:
        tests = [self._one()]
        while self._sign == "&":
            self._next()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda roles: all(test(roles) for test in tests)

    def _one(self) -> _Test:
        negated = False
        while self._sign == "!":
            negated = not negated
            self._next()
        if self._sign == "(":
            test = self._inner()
        elif self._word:
            test = _word_test(self._word)
            self._next()
        else:
            raise self._wrong("a role is missing here, such as app, web-* or !db")
        return (lambda roles: not test(roles)) if negated else test

    def _inner(self) -> _Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"at most {MAX_DEPTH} parentheses in one another")
        self._next()
        test = self._either()
        if self._sign != ")":
            raise self._wrong("a ) is missing here")
        self._depth -= 1
        self._next()
        return test

    def _next(self) -> None:
        """Goes on to the next sign or word; to neither at the end."""
        rest = self._text[self._end :]
        self._place = self._end + len(rest) - len(rest.lstrip())
        self._sign = self._word = ""
        if self._place == len(self._text):
            self._end = self._place
            return
        found = _TOKEN.match(self._text, self._end)
        if found is None:
            raise self._wrong(
                f"a role has {LEGAL}, a pattern also * ? [abc]; signs are & | ! ( ) ,"
            )
        self._sign, self._word, self._end = found[1] or "", found[2] or "", found.end()

    def _wrong(self, hint: str) -> ConfigError:
        begin = max(0, self._place - 40)
        shown = f"{self._text[begin : self._place]} >>> {self._text[self._place :][:40]}"
        return ConfigError(f"roles: {shown.strip()!r} at character {self._place + 1}: {hint}")


def _word_test(word: str) -> _Test:
    if is_name(word):
        return lambda roles: word in roles
    return lambda roles: any(fnmatchcase(role, word) for role in roles)
