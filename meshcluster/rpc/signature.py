"""What a function takes and gives, told to others as one line of Python, checked at both ends.

``(a: int, b: list[int] = ..., *rest: str) -> float``. Who calls knows from it how many arguments
there are, and their types as far as they are Python's own; who is called knows all of them.
"""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from datetime import datetime
from inspect import Parameter
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from ..errors import ArgumentError, ConfigError
from .letters import LEAVES
from .values import NATIVE, Values

MAX_TEXT = 2000
"""A longer signature is told as one that takes anything."""

ANYTHING = "(*args, **kwargs)"

FIELD = re.compile(r"argument:? '(\w+)'")
"""Whom ``inspect.Signature.bind`` names: missing, unexpected, or given twice."""

LITERALS = (str, int, bool, type(None))
"""What ``Literal`` is told to others with."""

KNOWN_FORMS = 64
"""So many combinations of argument types are remembered as fitting."""

PLAIN_TYPES = {
    "None": None, "bool": bool, "int": int, "float": float, "str": str, "bytes": bytes,
    "list": list, "dict": dict, "tuple": tuple, "set": set, "datetime": datetime,
}  # fmt: skip
STREAMS = (Iterator, Iterable, Generator, AsyncIterator, AsyncGenerator)
_KINDS = {
    Parameter.POSITIONAL_ONLY: "", Parameter.POSITIONAL_OR_KEYWORD: "", Parameter.KEYWORD_ONLY: "",
    Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**",
}  # fmt: skip


class Checker:
    """Checks values against one annotation, and makes of them what it says."""

    __slots__ = ("_fits", "kind")

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self._fits = _leaves_of(kind)

    def sure(self, value: Any) -> bool:
        """Whether the value's class alone tells that it fits, as it is."""
        return self._fits is None or type(value) in self._fits

    def convert(self, value: Any, *, objects: bool = False) -> Any:
        """The value as the annotation says.

        Raises:
            ValueError: it does not fit.
        """
        if self.sure(value):
            return value
        try:
            return msgspec.convert(
                value, self.kind, builtin_types=NATIVE, dec_hook=Values.made,
                from_attributes=objects,
            )  # fmt: skip
        except (msgspec.ValidationError, RecursionError) as error:
            raise ValueError(str(error)) from None
        except TypeError:  # a union that msgspec does not know, of leaves: see _misunderstood
            raise ValueError(
                f"Expected `{text_of_type(self.kind)}`, got `{type(value).__name__}`"
            ) from None


class Signature:
    """The parameters of a function, and what it returns."""

    def __init__(self, name: str, signature: inspect.Signature) -> None:
        self.name = name
        self._signature = signature
        self._checkers = {
            each.name: Checker(_annotation(each.annotation))
            for each in signature.parameters.values()
        }
        self.returns = Checker(_annotation(signature.return_annotation))
        self.fitting: set[tuple[type, ...]] = set()
        """Classes of arguments by position, all of leaves, that fit as they are."""

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], *, stream: bool = False) -> Signature:
        """Of a function that is exposed.

        Raises:
            ConfigError: it has annotations that cannot be understood.
        """
        try:
            signature = inspect.signature(function, eval_str=True)
        except (NameError, SyntaxError, AttributeError, TypeError) as error:
            raise ConfigError(f"expose({name!r}): its annotations: {error}") from error
        except ValueError:  # some functions written in C
            signature = inspect.Signature([
                Parameter("args", Parameter.VAR_POSITIONAL),
            ])  # fmt: skip
        if stream:
            signature = signature.replace(return_annotation=_item(signature.return_annotation))
        found = cls(name, signature)
        for checker in (*found._checkers.values(), found.returns):
            if trouble := _misunderstood(checker.kind):
                raise ConfigError(f"expose({name!r}): its annotations: {trouble}")
        return found

    @classmethod
    def parse(cls, name: str, text: str) -> Signature:
        """Of a line that another member says. What is not understood may be anything."""
        try:
            if len(text) > MAX_TEXT:
                text = ANYTHING
            (function,) = ast.parse(f"def f{text}: ...").body
            assert isinstance(function, ast.FunctionDef)
            return cls(name, _from_tree(function))
        except (SyntaxError, ValueError, TypeError, AssertionError, MemoryError, RecursionError):
            return cls.parse(name, ANYTHING)

    def __str__(self) -> str:
        """The line."""
        parts: list[str] = []
        before: Any = Parameter.POSITIONAL_ONLY
        for each in self._signature.parameters.values():
            if each.kind is not Parameter.POSITIONAL_ONLY and parts:
                if before is Parameter.POSITIONAL_ONLY:
                    parts.append("/")
            if each.kind is Parameter.KEYWORD_ONLY and before not in (
                Parameter.KEYWORD_ONLY, Parameter.VAR_POSITIONAL
            ):  # fmt: skip
                parts.append("*")
            before = each.kind
            kind = text_of_type(self._checkers[each.name].kind)
            part = _KINDS[each.kind] + each.name + (f": {kind}" if kind else "")
            if each.default is not Parameter.empty:
                part += " = ..." if kind else "=..."
            parts.append(part)
        if parts and before is Parameter.POSITIONAL_ONLY:
            parts.append("/")
        result = text_of_type(self.returns.kind)
        text = f"({', '.join(parts)})" + (f" -> {result}" if result else "")
        return text if len(text) <= MAX_TEXT else ANYTHING

    def bind(
        self, args: tuple[Any, ...], named: dict[str, Any] | None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the annotations say.

        Raises:
            ArgumentError: they do not fit; it names the field.
        """
        form = tuple(map(type, args))
        if not named and form in self.fitting:
            return args, {}
        try:
            bound = self._signature.bind(*args, **(named or {}))
        except TypeError as error:
            found = FIELD.search(str(error))
            field = found.group(1) if found else ""
            raise ArgumentError(f"{self.name}{self}: {error}", field) from None
        sure = not named and LEAVES.issuperset(form)
        arguments = bound.arguments
        for field, value in arguments.items():
            checker, kind = self._checkers[field], self._signature.parameters[field].kind
            if kind is Parameter.VAR_POSITIONAL:
                sure = sure and all(map(checker.sure, value))
                fixed: Any = tuple(self._convert(checker, field, each) for each in value)
            elif kind is Parameter.VAR_KEYWORD:
                fixed = {k: self._convert(checker, k, each) for k, each in value.items()}
            else:
                sure = sure and checker.sure(value)
                fixed = self._convert(checker, field, value)
            arguments[field] = fixed
        if sure and len(self.fitting) < KNOWN_FORMS:
            self.fitting.add(form)
        return bound.args, bound.kwargs

    def _convert(self, checker: Checker, field: str, value: Any) -> Any:
        try:
            return checker.convert(value)
        except ValueError as error:
            raise ArgumentError(f"{self.name}: argument {field!r}: {error}", field) from None


def _annotation(kind: Any) -> Any:
    return Any if kind is Parameter.empty else kind


def _misunderstood(kind: Any) -> str:
    """Why nothing can be checked against an annotation; "": it can."""
    if _leaves_of(kind):  # such as str | bytes, which msgspec refuses
        return ""
    try:
        msgspec.convert(None, kind, builtin_types=NATIVE, dec_hook=Values.made)
    except msgspec.ValidationError:
        return ""
    except Exception as error:  # such as a NameError of a dataclass's own annotations
        return str(error)
    return ""


def _item(kind: Any) -> Any:
    """What a generator yields."""
    if get_origin(kind) in STREAMS and get_args(kind):
        return get_args(kind)[0]
    return Any


def _leaves_of(kind: Any) -> frozenset[type] | None:
    """The classes whose values fit an annotation just as they are; None: all."""
    if kind is Any or kind is object:
        return None
    if kind is None:
        return frozenset({type(None)})
    if isinstance(kind, type) and kind in LEAVES:
        return frozenset({kind})
    if get_origin(kind) in (Union, types.UnionType):
        of_all = [_leaves_of(each) for each in get_args(kind)]
        if None in of_all:
            return None
        return frozenset().union(*(each for each in of_all if each is not None))
    return frozenset()


def text_of_type(kind: Any) -> str:
    """An annotation as text; "" for what only its own member knows, which may be anything."""
    if kind is None or kind is type(None):
        return "None"
    if kind is Any:
        return ""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is None:
        name = getattr(kind, "__name__", "")
        return name if PLAIN_TYPES.get(name) is kind else ""
    if origin is Literal:
        plain = all(type(each) in LITERALS for each in inside)
        return f"Literal[{', '.join(map(repr, inside))}]" if plain else ""
    texts = ["..." if each is Ellipsis else text_of_type(each) for each in inside]
    if origin in (Union, types.UnionType):
        return " | ".join(texts) if all(texts) else ""
    if origin in (list, dict, tuple, set):
        return f"{origin.__name__}[{', '.join(texts)}]" if all(texts) else origin.__name__
    return ""


def _from_tree(function: ast.FunctionDef) -> inspect.Signature:
    tree = function.args
    parameters = []

    def add(each: ast.arg, kind: Any, optional: bool) -> None:
        default = ... if optional else Parameter.empty
        annotation = Any if each.annotation is None else _understood(each.annotation)
        parameters.append(Parameter(each.arg, kind, default=default, annotation=annotation))

    positional = [
        *((each, Parameter.POSITIONAL_ONLY) for each in tree.posonlyargs),
        *((each, Parameter.POSITIONAL_OR_KEYWORD) for each in tree.args),
    ]
    required = len(positional) - len(tree.defaults)
    for index, (each, kind) in enumerate(positional):
        add(each, kind, index >= required)
    if tree.vararg is not None:
        add(tree.vararg, Parameter.VAR_POSITIONAL, False)
    for each, default in zip(tree.kwonlyargs, tree.kw_defaults, strict=True):
        add(each, Parameter.KEYWORD_ONLY, default is not None)
    if tree.kwarg is not None:
        add(tree.kwarg, Parameter.VAR_KEYWORD, False)
    returns = Any if function.returns is None else _understood(function.returns)
    return inspect.Signature(parameters, return_annotation=returns)


def _understood(node: ast.expr) -> Any:
    kind = _from_node(node)
    return Any if _misunderstood(kind) else kind


def _from_node(node: ast.expr) -> Any:
    """The type that an annotation means; ``Any`` for what is not Python's own."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Name):
        return PLAIN_TYPES.get(node.id, Any)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return typing.Union[_from_node(node.left), _from_node(node.right)]  # noqa: UP007
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(node.value.id, inside)
    return Any


def _generic(name: str, inside: list[ast.expr]) -> Any:
    if name == "Literal":
        values = tuple(map(ast.literal_eval, inside))
        return Literal[values] if all(type(each) in LITERALS for each in values) else Any
    counts = {"list": (1,), "set": (1,), "dict": (2,)}
    if name == "tuple" or len(inside) in counts.get(name, ()):
        kinds = tuple(_inner(each) for each in inside)
        return PLAIN_TYPES[name][kinds]  # type: ignore[index]
    return PLAIN_TYPES.get(name, Any)


def _inner(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and node.value is Ellipsis:
        return ...
    return _from_node(node)
