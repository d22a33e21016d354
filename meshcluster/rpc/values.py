"""Users' own types across the mesh: how they are made plain, and made anew at the other end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from ..errors import ConfigError, DecodeError, EncodeError
from .letters import LEAVES

T = TypeVar("T")

OURS: frozenset[type] = LEAVES | {list, dict, tuple, set, datetime}
"""What need not be registered."""

NATIVE = (bytes, datetime)
"""What travels as it is though msgspec would turn it into text."""

TAG = "\0type"
"""The key of the dict that stands for a value of a registered type: ``{TAG: [name, plain]}``."""

MAX_DEPTH = 60


class Registered(Generic[T]):
    """One type of a user's, and how it is made plain and made anew."""

    __slots__ = ("decode", "encode", "kind", "name")

    def __init__(
        self, kind: type[T], encode: Callable[[T], object], decode: Callable[[Any], T], name: str
    ) -> None:
        self.kind = kind
        self.encode = encode
        self.decode = decode
        self.name = name


class Values:
    """The registered types of one cluster object."""

    def __init__(self) -> None:
        self._by_kind: dict[type, Registered[Any]] = {}
        self._by_name: dict[str, Registered[Any]] = {}

    def register(
        self, kind: type[T], encode: Callable[[T], object], decode: Callable[[Any], T], name: str
    ) -> None:
        """Adds a type.

        Raises:
            ConfigError: ``kind`` is no class, or one that travels anyway; the name is another's.
        """
        if not isinstance(kind, type) or kind in OURS:
            raise ConfigError(f"register({kind!r:.80}): a class of your own")
        if not callable(encode) or not callable(decode):
            raise ConfigError(f"register({kind.__name__}): encode and decode must be functions")
        other = self._by_name.get(name)
        if other is not None and other.kind is not kind:
            raise ConfigError(f"register({kind.__name__}): {name!r} is {other.kind} already: name=")
        self._by_kind[kind] = self._by_name[name] = Registered(kind, encode, decode, name)

    def pack(self, value: Any) -> Any:
        """The value as it can be sent: the very same object where nothing needs to be done.

        A dataclass or Struct becomes the dict of its fields, which an annotation at the other end
        makes a dataclass again.

        Raises:
            EncodeError: there is something in it that is not registered.
        """
        return self._pack(value, MAX_DEPTH)

    def _pack(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in LEAVES or kind is datetime:
            return value
        if depth < 0:
            raise EncodeError("a value is nested too deeply, or holds itself")
        if kind in self._by_kind:
            registered = self._by_kind[kind]
            return {TAG: [registered.name, self._pack(registered.encode(value), depth - 1)]}
        if kind is list or kind is tuple or kind is set:
            if LEAVES.issuperset(map(type, value)):
                return value
            packed = [self._pack(each, depth - 1) for each in value]
            if all(map(_is, packed, value)):
                return value
            return packed if kind is list else kind(packed)
        if kind is dict:
            return self._pack_dict(value, depth)
        try:
            return msgspec.to_builtins(value, builtin_types=NATIVE, enc_hook=self._other)
        except RecursionError:
            raise EncodeError("a value is nested too deeply, or holds itself") from None
        except TypeError as error:
            raise EncodeError(f"a {kind.__name__} cannot be sent: {error}") from None

    def _pack_dict(self, value: dict[Any, Any], depth: int) -> Any:
        if TAG in value:
            raise EncodeError(f"the key {TAG!r} of a dict is ours")
        packed = {self._pack(k, depth - 1): self._pack(v, depth - 1) for k, v in value.items()}
        same = all(map(_is, packed.values(), value.values())) and all(map(_is, packed, value))
        return value if same else packed

    def _other(self, value: Any) -> Any:
        """What is inside a dataclass and msgspec does not know."""
        if type(value) in self._by_kind:
            return self._pack(value, MAX_DEPTH)
        name = type(value).__name__
        raise EncodeError(
            f"a {name} cannot be sent: cluster.register({name}, encode, decode) at both ends"
        )

    def unpack(self, value: Any) -> Any:
        """What ``pack`` made plain, anew.

        Raises:
            DecodeError: a type that is not registered here, or whose ``decode`` refuses it.
        """
        kind = type(value)
        if kind is list or kind is tuple or kind is set:
            return value if LEAVES.issuperset(map(type, value)) else kind(map(self.unpack, value))
        if kind is not dict:
            return value
        if TAG not in value:
            return {self.unpack(key): self.unpack(each) for key, each in value.items()}
        try:
            name, plain = value[TAG]
            registered = self._by_name[name]
        except (KeyError, TypeError, ValueError):
            raise DecodeError(
                f"{value[TAG]!r:.80} came, of a type that is not registered here: "
                "cluster.register(type, encode, decode) at both ends"
            ) from None
        try:
            return registered.decode(self.unpack(plain))
        except Exception as error:
            raise DecodeError(f"a {name} cannot be made anew: {error}") from error

    @staticmethod
    def made(kind: type, value: Any) -> Any:
        """What msgspec asks for types that it does not know: they were made by ``unpack``."""
        if isinstance(value, kind):
            return value
        raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


def weight(value: Any) -> int:
    """About how many bytes a plain value is: what is long in it is text or bytes."""
    if type(value) in (bytes, str):
        return len(value)
    if type(value) is dict:
        return sum(weight(key) + weight(each) for key, each in value.items())
    return sum(map(weight, value)) if type(value) in (list, tuple, set) else 8


def _is(one: object, other: object) -> bool:
    return one is other
