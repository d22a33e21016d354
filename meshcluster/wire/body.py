"""Users' values as a body and a form number, and back exactly as they were.

Forms (append-only): 1 bytes as they are; 2 text as UTF-8; 3 MessagePack of values that it keeps
exactly; 4 the same plus tagged extensions for tuples, sets, large integers, datetimes and
dictionaries with other keys; 5 a dataclass or Struct as the map of its fields.

MessagePack alone would turn a tuple into a list and a set into a list without a word, so every
container is checked on its way out: what cannot come back as it was is refused at the send.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from msgspec.msgpack import Ext

from ..errors import DecodeError, EncodeError
from .collisions import FEW, check_keys, collide
from .depth import LEAVES, is_deeper

if TYPE_CHECKING:  # else imported by who has one: most programs send no time with a zone
    from zoneinfo import ZoneInfo

BYTES, TEXT, PLAIN, EXTENDED, TYPED = FORMS = (1, 2, 3, 4, 5)

MAX_DEPTH = 64
"""Containers inside containers; deeper ones, and cycles, are refused at the send, and by who reads
them. (The fields of a dataclass are not walked at the send.)"""

TYPED_DEPTH = 256
"""The same for a dataclass that is read as a dict; read as what it is, the interpreter's holds."""

ZONES = 1024
"""Time zones that are kept, which is all there are (about 600): their files are read once."""

_TUPLE, _SET, _INTEGER, _DATETIME, _PAIRS = 1, 2, 3, 4, 5
_WIRE_ERRORS = (
    msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError, TypeError, OverflowError
)  # fmt: skip

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode


def encode(value: object) -> tuple[int, bytes]:
    """Any sendable value as (form, body).

    Raises:
        EncodeError: the value holds something that would not come back as it was; the text names
            the place.
    """
    kind = type(value)
    if kind is bytes:
        return BYTES, value  # type: ignore[return-value]
    try:
        if kind is str:
            return TEXT, value.encode()  # type: ignore[attr-defined]
        if kind in LEAVES or ((kind is dict or kind is list) and _is_plain(value, MAX_DEPTH)):
            try:
                return PLAIN, _encode(value)
            except OverflowError:  # an integer beyond 64 bits
                pass
        elif _is_typed(value):
            return TYPED, _encode(value)
        return EXTENDED, _encode(_extended(value, "data", MAX_DEPTH))
    except RecursionError:
        raise EncodeError("data is nested too deeply, or holds itself") from None
    except (UnicodeEncodeError, TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise EncodeError(
            f"{_place_of_trouble(value, 'data', type(error))} cannot be sent: {error}"
        ) from error


def decode(form: int, body: bytes) -> Any:
    """The value a body holds. A dataclass or Struct comes as the dict of its fields.

    Raises:
        DecodeError: not a body of that form.
    """
    if form == BYTES:
        return body
    try:
        if form == TEXT:
            return body.decode()
        check_keys(body)
        if form == PLAIN or form == TYPED:
            return _shallow(_plain_decoder.decode(body), form, len(body))
        if form == EXTENDED:
            return _shallow(_extended_decoder.decode(body), form, len(body))
    except _WIRE_ERRORS as error:
        raise DecodeError(f"body of form {form}: {error}") from None
    raise DecodeError(f"form {form} of a body is not known here")


def _shallow(value: Any, form: int, size: int) -> Any:
    """The value; each level takes a byte, so that short bodies need not be looked into."""
    most = TYPED_DEPTH if form == TYPED else MAX_DEPTH
    if size > most and is_deeper(value, most):
        raise DecodeError(f"body of form {form}: nested deeper than {most}")
    return value


def read(form: int, body: bytes, wanted: type[T]) -> T:
    """The value a body holds as a ``wanted`` (a dataclass, a Struct, ``list[Point]``, ...).

    Raises:
        DecodeError: the body does not fit; the text names the field.
    """
    try:
        if form == PLAIN or form == TYPED:
            check_keys(body)
            return cast(T, _decoder_for(cast(Hashable, wanted)).decode(body))
        return msgspec.convert(decode(form, body), wanted)
    except _WIRE_ERRORS as error:
        raise DecodeError(f"not of type {getattr(wanted, '__name__', wanted)}: {error}") from None


def _is_plain(value: Any, depth: int) -> bool:
    """Whether MessagePack keeps a list or dict exactly. Leaves are checked in bulk, in C."""
    if depth == 0:
        return False
    if type(value) is dict:
        if not LEAVES.issuperset(map(type, value)):
            return False
        items: Iterable[Any] = value.values()
    else:
        items = value
    if LEAVES.issuperset(map(type, items)):
        return True
    for item in items:
        kind = type(item)
        if kind in LEAVES:
            continue
        if not (kind is dict or kind is list) or not _is_plain(item, depth - 1):
            return False
    return True


def _is_typed(value: object) -> bool:
    return isinstance(value, msgspec.Struct) or (
        dataclasses.is_dataclass(value) and not isinstance(value, type)
    )


def _fields_of(value: Any) -> dict[str, Any]:
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _place_of_trouble(value: Any, place: str, trouble: type[Exception]) -> str:
    """Where inside a value that cannot be encoded the trouble is; looked for only then."""
    children: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        keys = [(f"key {k!r} of {place}", k) for k in value]
        children = [*keys, *((f"{place}[{k!r}]", v) for k, v in value.items())]
    elif isinstance(value, list | tuple | set):
        children = [(f"{place}[{i}]", item) for i, item in enumerate(value)]
    elif _is_typed(value):
        children = [(f"{place}.{name}", item) for name, item in _fields_of(value).items()]
    for inside, child in children:
        try:
            _encode(child)
        except trouble:
            return _place_of_trouble(child, inside, trouble)
        except (UnicodeEncodeError, TypeError, OverflowError, msgspec.MsgspecError):
            continue  # what the extended form can carry
    return place


def _extended(value: Any, place: str, depth: int) -> Any:
    """The value with everything MessagePack would change wrapped in an extension."""
    kind = type(value)
    if kind is int:
        return value if -(2**63) <= value < 2**64 else Ext(_INTEGER, _integer_bytes(value))
    if kind in LEAVES:
        return value
    if depth == 0:
        raise EncodeError(f"{place} is nested deeper than {MAX_DEPTH}, or holds itself")
    convert = _CONVERTERS.get(kind)
    if convert is not None:
        return convert(value, place, depth - 1)
    what = f"an object of class {kind.__name__}"
    if _is_typed(value):
        hint = f"send a dataclass with a field for it, such as list[{kind.__name__}]"
        raise EncodeError(f"{place} is {what}, which would arrive as a dict: {hint}")
    hint = _HINTS.get(kind.__name__, "convert it first, or send a dataclass")
    raise EncodeError(f"{place} is {what}, which would not arrive as one: {hint}")


def _from_list(value: Iterable[Any], place: str, depth: int) -> list[Any]:
    return [_extended(item, f"{place}[{i}]", depth) for i, item in enumerate(value)]


def _from_tuple(value: tuple[Any, ...], place: str, depth: int) -> Ext:
    return Ext(_TUPLE, _encode(_from_list(value, place, depth)))


def _from_set(value: set[Any], place: str, depth: int) -> Ext:
    return Ext(_SET, _encode(_from_list(value, place, depth)))


def _from_dict(value: dict[Any, Any], place: str, depth: int) -> Any:
    if LEAVES.issuperset(map(type, value)) and not _has_large_integer(value):
        return {k: _extended(v, f"{place}[{k!r}]", depth) for k, v in value.items()}
    pairs = [
        [_extended(k, f"key {k!r} of {place}", depth), _extended(v, f"{place}[{k!r}]", depth)]
        for k, v in value.items()
    ]
    return Ext(_PAIRS, _encode(pairs))


def _from_datetime(value: datetime, place: str, _depth: int) -> Ext:
    zone = value.tzinfo
    key = _key_of(zone)
    if not key and not (zone is None or (type(zone) is timezone and not _is_named(zone))):
        kind = type(zone).__name__
        raise EncodeError(f"{place} has a tzinfo of class {kind}: use timezone or ZoneInfo")
    clock = value.replace(tzinfo=None, fold=0).isoformat()
    offset = "" if zone is None or key else repr(_microseconds(zone.utcoffset(value)))
    return Ext(_DATETIME, _encode([clock, value.fold, offset, key]))


def _key_of(zone: tzinfo | None) -> str:
    """The name of a time zone; "" when it is none that has one."""
    if zone is None or type(zone) is timezone:
        return ""
    from zoneinfo import ZoneInfo

    return zone.key or "" if type(zone) is ZoneInfo else ""


_CONVERTERS: dict[type, Callable[[Any, str, int], Any]] = {
    list: _from_list,
    tuple: _from_tuple,
    set: _from_set,
    dict: _from_dict,
    datetime: _from_datetime,
}
_HINTS = {
    "bytearray": "use bytes(...)",
    "memoryview": "use bytes(...)",
    "frozenset": "use set(...)",
    "date": "use a datetime or isoformat()",
    "Decimal": "use str(...) or a field of a dataclass",
    "UUID": "use str(...) or a field of a dataclass",
}


def _restore(code: int, data: memoryview) -> Any:
    """The value of an extension; msgspec calls it for each, innermost first."""
    if code == _INTEGER:
        return int.from_bytes(data, "big", signed=True)
    if code == _DATETIME:
        return _to_datetime(*msgspec.msgpack.decode(data, type=tuple[str, int, str, str]))
    check_keys(data)
    items = _extended_decoder.decode(data)
    if type(items) is list:
        if code == _TUPLE:
            return tuple(items)
        if code == _SET:
            return set(_apart(items, items))
        if code == _PAIRS and all(type(pair) is list for pair in items):
            return dict(_apart(items, (pair[0] for pair in items if pair)))
    raise DecodeError(f"extension {code} of a body is not one of ours")


def _apart(items: list[Any], keys: Iterable[Any]) -> list[Any]:
    if len(items) > FEW and collide(keys):
        raise DecodeError("keys that collide")
    return items


def _to_datetime(clock: str, fold: int, offset: str, key: str) -> datetime:
    zone: timezone | ZoneInfo | None = None
    if key:
        from zoneinfo import ZoneInfoNotFoundError

        try:
            zone = _zone(key)
        except (ZoneInfoNotFoundError, OSError):
            raise DecodeError(f"time zone {key!r} is not known on this machine") from None
    elif offset:
        zone = timezone(timedelta(microseconds=int(offset)))
    return datetime.fromisoformat(clock).replace(tzinfo=zone, fold=fold)


@lru_cache(maxsize=ZONES)
def _zone(key: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(key)


def _is_named(zone: timezone) -> bool:
    """Whether an offset has a name of its own, which would not arrive."""
    return zone.tzname(None) != timezone(zone.utcoffset(None)).tzname(None)


def _microseconds(delta: timedelta | None) -> int:
    return 0 if delta is None else delta // timedelta(microseconds=1)


def _integer_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _has_large_integer(keys: Iterable[Any]) -> bool:
    return any(type(k) is int and not -(2**63) <= k < 2**64 for k in keys)


def _refuse_extension(code: int, data: memoryview) -> Any:
    raise DecodeError(f"extension {code} in a body that has none")


_plain_decoder = msgspec.msgpack.Decoder(ext_hook=_refuse_extension)
_extended_decoder = msgspec.msgpack.Decoder(ext_hook=_restore)


@lru_cache(maxsize=256)
def _decoder_for(wanted: Hashable) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(wanted)
