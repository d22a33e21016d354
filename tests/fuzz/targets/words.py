"""The command: what is typed, and what members' answers do to a terminal. First byte: which."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from meshcluster.cli import options
from meshcluster.cli.values import dumped, text_of
from meshcluster.config import ClusterConfig, distinct, is_ip, parse_seed
from meshcluster.errors import ConfigError, DecodeError
from meshcluster.interfaces import split_choice
from meshcluster.wire import body

from ..dialects import LIES, WORDS, Dialect, items, words, wrapped
from ..target import Target
from .bodies import VALUES

PARAM = click.Option(["--word"])
CONTEXT = click.Context(click.Command("fuzzed"))


def _number(low: float, high: float) -> Callable[[str], Any]:
    check = options.number(low, high)

    def read(word: str) -> Any:
        found = check(CONTEXT, PARAM, word)
        assert low <= found <= high
        return found

    return read


def _seed(word: str) -> object:
    host, port = parse_seed(word, 27677)
    assert host
    assert 0 < port < 65536
    return host, port


def _joining(word: str) -> ClusterConfig:
    """What a command's words become at last."""
    return ClusterConfig(
        cluster=word[:70], name=word[-70:], tags=tuple(word.split()), seeds=(word,), ttl=1,
        address=word, interfaces=distinct("interfaces", word.split(",")),
    )  # fmt: skip


READERS: tuple[Callable[[str], object], ...] = (
    _number(0, 255), _number(1, 65535), _number(0.001, 1e6), _seed, _joining,
    lambda word: split_choice(word.split()),
    lambda word: options.label(CONTEXT, PARAM, tuple(word.split("\n"))),
    lambda word: options.text(CONTEXT, PARAM, word),
    lambda word: options.seeds(CONTEXT, PARAM, (word,)),
    is_ip,
)  # fmt: skip


def typed(data: bytes) -> object:
    """A word as a shell hands it to Python, to what reads it."""
    if not data:
        return None
    word = data[1:].decode(errors="surrogateescape")
    return READERS[data[0] % len(READERS)](word)


TYPED = (
    "1", "255", "65535", "0.001", "1e6", "10.0.0.5", "10.0.0.5:27677", "[fe80::1%eth0]:27677",
    "::1",
    "mesh.local", "mesh.local:80", "239.255.77.67", "eth0 !docker* 10.0.0.0/8", "!fe80::/10",
    "web\nblue",
    "a b c", "fe80::1%eth0",
)  # fmt: skip


def shown(data: bytes) -> object:
    """A member's answer on a terminal and as JSON: nothing that is not seen, and JSON is JSON."""
    value = body.decode(data[0] % 6 if data else 0, data[1:])
    text = text_of(value) if isinstance(value, list | dict | tuple | set) else dumped(value)
    assert text.replace("\n", "").isprintable() or _is_only_spaces(text)
    json.loads(text)
    return text


def _is_only_spaces(text: str) -> bool:
    return all(c.isprintable() or c.isspace() or c == "\u200d" for c in text) and "\x1b" not in text


def answers() -> list[bytes]:
    return [bytes([form]) + data for form, data in map(body.encode, VALUES)]


TARGETS = (
    Target(
        "command",
        "what is typed: numbers, seeds, interfaces, names, tags, texts, and the settings of them",
        lambda: typed,
        lambda: [bytes([n]) + each.encode() for n in range(len(READERS)) for each in TYPED],
        Dialect(lambda data: [(a + 1, b + 1) for a, b in words(data[1:])], WORDS.tokens,
        WORDS.wrap),
        refuses=(ConfigError, click.BadParameter), limit_bytes=600,
        costs=2,
    ),
    Target(
        "answer", "members' answers as the command shows them",
        lambda: shown, answers, Dialect(lambda data: items(data, 1), LIES, wrapped),
        refuses=(DecodeError,), limit_bytes=2400,
        costs=20,
    ),
)  # fmt: skip
