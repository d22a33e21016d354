"""How a queue was opened: what both ends must agree on, and how items become bytes."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Union, get_args, get_origin

import msgspec

from ..encoding import dumps, loads
from ..errors import ConfigError, DecodeError, EncodeError, MessageTooLarge
from ..rpc.letters import LEAVES
from ..rpc.signature import Checker, text_of_type
from ..rpc.values import Values
from .letters import MODES, ONE, POLICIES, READY, ROUND_ROBIN

Codec = tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]

PACKED = b"\xff"
"""Before a value that ``Values`` packed; ``dumps`` begins with no such byte."""

MAX_BATCH = 256
BATCH_BYTES = 256 * 1024
"""So many items or results are sent at once, and not more bytes, unless a single one has more."""

LETTER_BYTES = 4096
"""What is around these in a letter, at most; the rest of ``message_bytes`` is for them."""

BOUND = 1024
LEASE_SECONDS = 30.0
MAX_DELIVERIES = 3


class Settings:
    """The settings of one queue of a cluster object."""

    def __init__(
        self, *, kind: Any = None, mode: str = ONE, policy: str = READY, bound: int = BOUND,
        at_most_once: bool = False, lease: float = LEASE_SECONDS,
        max_deliveries: int = MAX_DELIVERIES, prefetch: int | None = None,
        codecs: Sequence[Codec] = (), values: Values, most_bytes: Callable[[], int],
    ) -> None:  # fmt: skip
        if mode not in MODES:
            raise ConfigError(f"mode={mode!r}: one of {', '.join(MODES)}")
        if policy not in POLICIES:
            raise ConfigError(f"policy={policy!r}: one of {', '.join(POLICIES)}")
        if policy == ROUND_ROBIN and mode != ONE:
            raise ConfigError(f"policy={policy!r} is for mode={ONE!r}, not {mode!r}")
        for setting, value in (("bound", bound), ("max_deliveries", max_deliveries)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"{setting}={value!r}: a number of 1 or more")
        if prefetch is not None and (type(prefetch) is not int or prefetch < 1):
            raise ConfigError(f"prefetch={prefetch!r}: a number of 1 or more, or None")
        if type(lease) not in (int, float) or not 0.1 <= lease <= 86400:
            raise ConfigError(f"lease={lease!r}: seconds, 0.1 to 86400")
        if not isinstance(codecs, Sequence) or not all(map(_is_codec, codecs)):
            raise ConfigError("codecs: pairs of functions (encode, decode), each bytes -> bytes")
        self.kind = kind
        self.mode = mode
        self.policy = policy
        self.bound = bound
        self.at_most_once = at_most_once
        self.lease = float(lease)
        self.max_deliveries = max_deliveries
        self.prefetch = prefetch
        self._codecs = tuple(codecs)
        self._values = values
        self._most_bytes = most_bytes
        self._checker = None if kind is None else Checker(kind)
        try:
            self.kind_text = "" if kind is None else describe(kind)
            """The type of the items, in words that are compared when a consumer attaches; "" any.
            """
        except (NameError, TypeError, AttributeError) as error:
            raise ConfigError(f"type={kind!r:.80}: {error}") from error

    @cached_property
    def item_bytes(self) -> int:
        """So many an item or result may have: known once joined, and the same until left."""
        return self._most_bytes() - LETTER_BYTES

    @property
    def batch_bytes(self) -> int:
        """So many those have that are sent at once."""
        return min(BATCH_BYTES, self.item_bytes)

    def dump(self, value: Any) -> bytes:
        """An item as bytes.

        Raises:
            TypeError: it is not of the queue's type.
            EncodeError, MessageTooLarge: it cannot be sent.
        """
        if self._checker is not None and not self._checker.sure(value):
            try:
                value = self._checker.convert(value, objects=True)
            except ValueError as error:
                raise TypeError(f"an item that is no {self.kind_text}: {error}") from None
        return self._dump(value)

    def dump_result(self, value: Any) -> bytes:
        """What came of an item as bytes: of any type. Raises as ``dump``."""
        return self._dump(value)

    def _dump(self, value: Any) -> bytes:
        if type(value) in LEAVES:
            data = dumps(value)
        else:
            packed = self._values.pack(value)
            data = dumps(packed) if packed is value else PACKED + dumps(packed)
        for encode, _ in self._codecs:
            data = encode(data)
            if type(data) is not bytes:
                raise EncodeError(f"{encode} of codecs gave {type(data).__name__}, not bytes")
        if len(data) > self.item_bytes:
            raise MessageTooLarge(f"an item of {len(data):,} bytes: {self.item_bytes:,} at most")
        return data

    def load(self, data: bytes) -> Any:
        """The item that came as bytes.

        Raises:
            DecodeError: it is none, or a codec refuses it.
        """
        value = self._load(data)
        if self._checker is not None and not self._checker.sure(value):
            try:
                value = self._checker.convert(value)
            except ValueError as error:
                raise DecodeError(f"an item that is no {self.kind_text}: {error}") from None
        return value

    def load_result(self, data: bytes | None) -> Any:
        """What came of an item. Raises as ``load``."""
        return None if data is None else self._load(data)

    def _load(self, data: bytes) -> Any:
        if self._codecs:
            data = self._decoded(data)
        packed = data[:1] == PACKED
        try:
            value = loads(data[1:] if packed else data)
        except DecodeError as error:
            raise DecodeError(
                f"what came is no item ({error}); do both sides have the same codecs?"
            ) from None
        return self._values.unpack(value) if packed else value

    def _decoded(self, data: bytes) -> bytes:
        try:
            for _, decode in reversed(self._codecs):
                data = decode(data)
        except Exception as error:
            raise DecodeError(f"a codec refuses what came: {error!r}") from error
        if type(data) is not bytes:
            raise DecodeError(f"a codec made {type(data).__name__} of what came, not bytes")
        return data


def _is_codec(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2 and all(map(callable, pair))


def describe(kind: Any, within: tuple[Any, ...] = ()) -> str:
    """A type in words: of a dataclass or Struct with its fields; "" for what may be anything."""
    if kind is Any or kind is object:
        return ""
    if get_origin(kind) in (Union, types.UnionType):
        texts = [describe(each, within) for each in get_args(kind)]
        return " | ".join(texts) if all(texts) else ""
    fields = _fields_of(kind)
    if fields is None or kind in within:
        return text_of_type(kind) or getattr(kind, "__name__", "")
    words = [f"{name}: {describe(of, (*within, kind))}" for name, of in fields.items()]
    return f"{kind.__name__}({', '.join(words)})"


def _fields_of(kind: Any) -> dict[str, Any] | None:
    """The fields of a dataclass or Struct, and their types."""
    if not isinstance(kind, type):
        return None
    if issubclass(kind, msgspec.Struct):
        return {field.name: field.type for field in msgspec.structs.fields(kind)}
    if not dataclasses.is_dataclass(kind):
        return None
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
