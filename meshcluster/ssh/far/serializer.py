"""``Serializer``: values as bytes and back exactly, with what they share and their cycles.

Nothing that is decoded runs anything, but for the types that were registered by name at this end.
A value is a tag of one byte and what belongs to it; numbers are big-endian, lengths and counts of
four bytes. Each object that can be met again has a number, in the order in which they are met, and
is written as this number from then on.
"""

from __future__ import annotations

import builtins
import reprlib
import struct
from typing import Any, Callable

from .library import LIBRARY

NAME = "meshcluster-1"
SHARED_BYTES = 32
"""A text or bytes of this length is written once, even where it is met often."""

_LENGTH = struct.Struct(">I")
_INT = struct.Struct(">q")
_FLOAT = struct.Struct(">d")
_SMALL = range(-(1 << 63), 1 << 63)
_HASHED = 1 << 24
"""So many items may all keys of a value have that are tuples or frozensets. A few bytes can mean
a tuple of the same tuple twice, and so on: to hash that would take for ever.
"""
_HOLD_KEYS = frozenset({tuple, frozenset})
_MADE_BY_USERS = 1 << 9
"""The flag of a class that was made by a class statement, and not in C."""


class Unserializable(ValueError):
    """A value that cannot be written, or bytes that are no value. The text names the place."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path = ""
        self.what = "value"

    def within(self, step: str) -> None:
        """It was found in this part of a larger value."""
        self.path = step + self.path

    def __str__(self) -> str:
        return f"{self.what}{self.path}: {self.text}"


class Extension:
    """A type of the users', under the name that both ends know it by."""

    def __init__(
        self, name: str, kind: type, encode: Callable[[Any], Any] | None,
        decode: Callable[[Any], Any] | None, fill: Callable[[Any, Any], None] | None,
    ) -> None:  # fmt: skip
        self.name = name
        self.kind = kind
        raised = issubclass(kind, BaseException)
        self.encode = encode or (_raised if raised else vars)
        self.decode = decode
        self.fill = fill or (_raise if raised and not encode else _set_attributes)
        self.head = b"x" + _text(name)

    def blank(self) -> Any:
        """An object that is not filled yet."""
        kind: Any = self.kind
        return kind.__new__(kind)


def _set_attributes(made: Any, state: Any) -> None:
    made.__dict__.update(state)


def _raised(error: BaseException) -> Any:
    return error.args, vars(error)


def _raise(made: Any, state: Any) -> None:
    made.args, attributes = state
    made.__dict__.update(attributes)


def _is_bare(kind: type) -> bool:
    """One of Python's own exceptions that holds its ``args`` and nothing else."""
    own = kind.__module__ == "builtins" and issubclass(kind, BaseException)
    return own and kind.__basicsize__ == BaseException.__basicsize__


def _has_more_than_attributes(kind: type) -> bool:
    """Whether a part of its objects is not in their ``__dict__``, and would be lost."""
    return any(
        vars(each).get("__slots__") or not each.__flags__ & _MADE_BY_USERS
        for each in kind.__mro__
        if each is not object and not _is_bare(each)
    )


def _shown(value: Any) -> str:
    """A few characters of it, for a message, whatever it is."""
    try:
        return f"{value!r:.200}" if isinstance(value, Exception) else f"{reprlib.repr(value):.60}"
    except Exception:  # a class that cannot show its objects, or a number of too many digits
        return type(value).__name__


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data


class Serializer:
    """Turns values into bytes and back: None, bool, int of any size, float, complex, str, bytes,
    bytearray, list, tuple, set, frozenset, dict, datetime, date, time, timedelta, Decimal,
    Fraction, UUID, and what is registered.

    One object that a value holds twice is one object again, and a cycle is a cycle. Subclasses of
    these types are other types: register them.
    """

    name = NAME

    def __init__(self) -> None:
        self._by_type: dict[type, Extension] = {}
        self._by_name: dict[str, Extension] = {}
        for extension in LIBRARY:
            self.register(*extension)

    @property
    def types(self) -> list[str]:
        """The names of the registered types; both ends compare theirs."""
        return sorted(self._by_name)

    def register(
        self, name: str, kind: type, encode: Callable[[Any], Any] | None = None,
        decode: Callable[[Any], Any] | None = None, *,
        fill: Callable[[Any, Any], None] | None = None,
    ) -> None:  # fmt: skip
        """Has values of a class travel. Both ends must register it under the same name.

        Args:
            name: under which it travels.
            kind: the class, exactly; subclasses are registered themselves.
            encode: makes of an object a value that can travel; by default its ``__dict__``, and of
                an exception its ``args`` as well.
            decode: makes an object of such a value. An object that holds itself, by whatever way,
                cannot be made so.
            fill: instead of ``decode``: is given a bare object (``kind.__new__(kind)``) and the
                value. By default it sets the attributes.

        Raises:
            ValueError: the name or the class is registered already; or both hooks were given; or
                there is no ``encode`` and its objects have more than attributes, as those with
                ``__slots__`` or of a class derived from ``list`` have.
        """
        if name in self._by_name or kind in self._by_type or kind in _WRITERS:
            raise ValueError(f"{name!r} or {kind!r} is registered already")
        if decode is not None and fill is not None:
            raise ValueError(f"register({name!r}): decode= or fill=, not both")
        if encode is None and _has_more_than_attributes(kind):
            raise ValueError(f"register({name!r}): it has more than attributes: give encode=")
        extension = Extension(name, kind, encode, decode, fill)
        self._by_name[name] = self._by_type[kind] = extension

    def dumps(self, value: Any) -> bytes:
        """A value as bytes.

        Raises:
            Unserializable: it holds what cannot travel; the text names the place inside it.
        """
        writer = _Writer(self._by_type)
        try:
            writer.write(value)
        except RecursionError:
            raise Unserializable("nested too deeply") from None
        except RuntimeError as error:  # a dict or a set has changed meanwhile
            raise Unserializable(str(error)) from None
        return bytes(writer.out)

    def loads(self, data: bytes) -> Any:
        """The value that ``dumps`` made bytes of.

        Raises:
            Unserializable: no such bytes, or a type that is not registered here.
        """
        reader = _Reader(self._by_name, data)
        try:
            value = reader.read()
        except RecursionError:
            raise Unserializable("nested too deeply") from None
        except Unserializable:
            raise
        except Exception as error:  # of users' __hash__ and __eq__, too, whatever they raise
            damage = f"not a value: damaged, or cut off ({type(error).__name__})"
            raise Unserializable(damage) from None
        if reader.at != len(data):
            raise Unserializable(f"not a value: it has {len(data) - reader.at} bytes too many")
        return value


class _Writer:
    def __init__(self, extensions: builtins.dict[type, Extension]) -> None:
        self.out = bytearray()
        self._extensions = extensions
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        """Whose ids are numbered must not go meanwhile."""

    def write(self, value: Any) -> None:
        write = _WRITERS.get(type(value))
        if write is not None:
            write(self, value)
        else:
            self._extended(value)

    def _known(self, value: Any) -> bool:
        """It was met before and is written as its number; else it gets one."""
        number = self._numbers.get(id(value))
        if number is None:
            self._number(value)
            return False
        self.out += b"r" + _LENGTH.pack(number)
        return True

    def _number(self, value: Any) -> None:
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)

    def none(self, _: None) -> None:
        self.out += b"N"

    def truth(self, value: bool) -> None:
        self.out += b"T" if value else b"F"

    def integer(self, value: int) -> None:
        if value in _SMALL:
            self.out += b"i" + _INT.pack(value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
            self._blob(b"I", data)

    def real(self, value: float) -> None:
        self.out += b"f" + _FLOAT.pack(value)

    def text(self, value: str) -> None:
        if len(value) < SHARED_BYTES or not self._known(value):
            self._blob(
                b"s" if len(value) < SHARED_BYTES else b"S", value.encode("utf-8", "surrogatepass")
            )

    def data(self, value: bytes) -> None:
        if len(value) < SHARED_BYTES or not self._known(value):
            self._blob(b"b" if len(value) < SHARED_BYTES else b"B", value)

    def array(self, value: bytearray) -> None:
        if not self._known(value):
            self._blob(b"a", value)

    def _blob(self, tag: bytes, data: Any) -> None:
        if len(data) >> 32:
            raise Unserializable("longer than 4 GiB")
        self.out += tag
        self.out += _LENGTH.pack(len(data))
        self.out += data

    def list(self, value: Any) -> None:
        if not self._known(value):
            self._items(b"l", value)

    def set(self, value: Any) -> None:
        if not self._known(value):
            self._items(b"u", value)

    def dict(self, value: Any) -> None:
        if self._known(value):
            return
        self.out += b"d" + _LENGTH.pack(len(value))
        key = None
        try:
            for key, item in value.items():
                self.write(key)
                self.write(item)
        except Unserializable as error:
            error.within(f"[{_shown(key)}]")
            raise

    def fixed(self, value: Any) -> None:
        """A tuple or a frozenset, which is made when its items are there: it has its number after
        theirs. If it holds itself it was met, and numbered, among them: then those are the object.
        """
        number = self._numbers.get(id(value))
        if number is not None:
            self.out += b"r" + _LENGTH.pack(number)
            return
        start = len(self.out)
        self._items(b"t" if type(value) is tuple else b"z", value)
        number = self._numbers.get(id(value))
        if number is None:
            self._number(value)
        else:
            self.out[start : start + 1] = b"o"
            self.out += _LENGTH.pack(number)

    def _items(self, tag: bytes, items: Any) -> None:
        count = len(items)
        self.out += tag
        self.out += _LENGTH.pack(count)
        index = 0
        write = self.write
        try:
            for item in items:
                write(item)
                index += 1
        except Unserializable as error:
            error.within(f"[{index}]")
            raise
        if index != count:
            raise Unserializable("it has changed while it was written")

    def _extended(self, value: Any) -> None:
        extension = self._extensions.get(type(value))
        if extension is None:
            raise Unserializable(
                f"of type {type(value).__qualname__}, which cannot be sent; "
                f"register(name, {type(value).__name__}) at both ends has it travel"
            )
        if self._known(value):
            return
        self.out += extension.head
        try:
            state = extension.encode(value)
        except Exception as error:
            raise Unserializable(f"{extension.name}: encode raised {_shown(error)}") from error
        self._kept.append(state)
        try:
            self.write(state)
        except Unserializable as error:
            error.within(f".<{extension.name}>")
            raise


_WRITERS: dict[type, Callable[[_Writer, Any], None]] = {
    type(None): _Writer.none, bool: _Writer.truth, int: _Writer.integer, float: _Writer.real,
    str: _Writer.text, bytes: _Writer.data, bytearray: _Writer.array, list: _Writer.list,
    set: _Writer.set, dict: _Writer.dict, tuple: _Writer.fixed, frozenset: _Writer.fixed,
}  # fmt: skip

_UNMADE = object()
"""Stands for an object that is made when what it is made of is there."""


class _Reader:
    def __init__(self, extensions: builtins.dict[str, Extension], data: bytes) -> None:
        self.at = 0
        self._extensions = extensions
        self._data = data
        self._met: list[Any] = []
        self._hashed = 0
        self._sizes: builtins.dict[int, int] = {}

    def read(self) -> Any:
        tag = self._data[self.at]
        self.at += 1
        read = _READERS.get(tag)
        if read is None:
            raise Unserializable(f"not a value: unknown tag {chr(tag)!r}")
        return read(self)

    def _length(self) -> int:
        (length,) = _LENGTH.unpack_from(self._data, self.at)
        self.at += 4
        return int(length)

    def _count(self) -> int:
        """Of items that follow, of one byte at least each."""
        count = self._length()
        if count > len(self._data) - self.at:
            raise Unserializable("not a value: cut off")
        return count

    def blob(self) -> bytes:
        length = self._count()
        self.at += length
        return self._data[self.at - length : self.at]

    def _number(self, value: Any) -> Any:
        self._met.append(value)
        return value

    def integer(self) -> int:
        (value,) = _INT.unpack_from(self._data, self.at)
        self.at += 8
        return int(value)

    def real(self) -> float:
        (value,) = _FLOAT.unpack_from(self._data, self.at)
        self.at += 8
        return float(value)

    def text(self) -> str:
        return self.blob().decode("utf-8", "surrogatepass")

    def list(self) -> Any:
        made: list[Any] = self._number([])
        made.extend(self._items())
        return made

    def set(self) -> Any:
        made = self._number(set())
        made.update(self._keys())
        return made

    def dict(self) -> Any:
        made = self._number({})
        read = self.read
        for _ in range(self._count()):
            key = read()
            if type(key) in _HOLD_KEYS:
                self._hash(key)
            made[key] = read()
        return made

    def _keys(self) -> Any:
        for key in self._items():
            if type(key) in _HOLD_KEYS:
                self._hash(key)
            yield key

    def _hash(self, key: Any) -> None:
        """Takes the work that it is to hash and compare this from what is allowed."""
        self._hashed += self._size(key)
        if self._hashed > _HASHED:
            raise Unserializable("not a value: its keys have too many items")

    def _size(self, key: Any) -> int:
        """With the items of those in it. All of them are kept, so no other has the id of one."""
        size = self._sizes.get(id(key))
        if size is None:
            size = 1 + sum(self._size(each) if type(each) in _HOLD_KEYS else 1 for each in key)
            self._sizes[id(key)] = size
        return size

    def _items(self) -> Any:
        read = self.read
        for _ in range(self._count()):
            yield read()

    def met(self) -> Any:
        number = self._length()
        value = self._met[number]
        if value is _UNMADE:
            raise Unserializable("it holds itself, and decode= cannot make that: give fill=")
        return value

    def original(self) -> Any:
        for _ in self._items():
            pass
        return self.met()

    def extended(self) -> Any:
        name = self.text()
        extension = self._extensions.get(name)
        if extension is None:
            raise Unserializable(f"type {name!r} is not registered at this end")
        place = len(self._met)
        made = self._number(_UNMADE if extension.decode else extension.blank())
        state = self.read()
        try:
            if extension.decode:
                self._met[place] = made = extension.decode(state)
            else:
                extension.fill(made, state)
        except Exception as error:
            raise Unserializable(f"{name}: decode raised {_shown(error)}") from error
        return made


_READERS: dict[int, Callable[[_Reader], Any]] = {
    ord("N"): lambda reader: None,
    ord("T"): lambda reader: True,
    ord("F"): lambda reader: False,
    ord("i"): _Reader.integer,
    ord("I"): lambda reader: int.from_bytes(reader.blob(), "big", signed=True),
    ord("f"): _Reader.real,
    ord("s"): _Reader.text,
    ord("S"): lambda reader: reader._number(reader.text()),
    ord("b"): _Reader.blob,
    ord("B"): lambda reader: reader._number(reader.blob()),
    ord("a"): lambda reader: reader._number(bytearray(reader.blob())),
    ord("l"): _Reader.list,
    ord("u"): _Reader.set,
    ord("d"): _Reader.dict,
    ord("t"): lambda reader: reader._number(tuple(reader._items())),
    ord("z"): lambda reader: reader._number(frozenset(reader._keys())),
    ord("o"): _Reader.original,
    ord("r"): _Reader.met,
    ord("x"): _Reader.extended,
}
