"""What a function takes, as one line; and the same verdict on arguments at both ends."""

import enum
import inspect
import math
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Optional

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshcluster import ArgumentError, ConfigError
from meshcluster.rpc.signature import ANYTHING, MAX_TEXT, Checker, Signature


def of(function, **options):
    return Signature.of("f", function, **options)


def told(function):
    """As another member has it."""
    return Signature.parse("f", str(of(function)))


@dataclass
class Point:
    x: int
    y: float = 0.0


class Colour(enum.Enum):
    RED = "red"


# --- one line --------------------------------------------------------------------------------


def nothing(): ...
def plain(a, b=1): ...
def typed(a: int, b: str | None = None) -> list[int]: ...
def only_by_name(a, *, b: int, c: float = 1.0): ...
def only_by_place(a: int, b=2, /): ...
def both(a, /, b, *, c): ...
def any_number(*args: int, **named: str) -> None: ...
def after_them(a, *rest, b=1): ...
def place_then_names(a, /, **rest): ...
def nested(a: dict[str, list[tuple[int, ...]]]) -> set[bytes]: ...
def one_of(a: Literal["x", 1, None], when: datetime): ...
def optional(a: Optional[int] = None): ...  # noqa: UP045
def own(a: Point, b: list[Point], c: Point | None) -> Point: ...
def meta(a: Annotated[int, msgspec.Meta(ge=1)]): ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (nothing, "()"),
        (plain, "(a, b=...)"),
        (typed, "(a: int, b: str | None = ...) -> list[int]"),
        (only_by_name, "(a, *, b: int, c: float = ...)"),
        (only_by_place, "(a: int, b=..., /)"),
        (both, "(a, /, b, *, c)"),
        (any_number, "(*args: int, **named: str) -> None"),
        (after_them, "(a, *rest, b=...)"),
        (place_then_names, "(a, /, **rest)"),
        (nested, "(a: dict[str, list[tuple[int, ...]]]) -> set[bytes]"),
        (one_of, "(a: Literal['x', 1, None], when: datetime)"),
        (optional, "(a: int | None = ...)"),
        (own, "(a, b: list, c)"),
        (meta, "(a)"),
        (math.sqrt, "(x, /)"),
        (max, "(*args)"),
    ],
)
def test_a_function_is_told_as_one_line_that_reads_back_as_itself(function, text):
    assert str(of(function)) == text
    assert str(Signature.parse("f", text)) == text


def test_a_generator_is_told_by_what_it_yields():
    def items() -> Iterator[int]: ...
    def others() -> AsyncIterator[str]: ...
    def whatever(): ...

    assert str(of(items, stream=True)) == "() -> int"
    assert str(of(others, stream=True)) == "() -> str"
    assert str(of(whatever, stream=True)) == "()"


def test_a_line_too_long_is_told_as_one_that_takes_anything():
    names = ", ".join(f"a{n}: int" for n in range(500))
    scope = {}
    exec(f"def long({names}): ...", scope)
    assert str(of(scope["long"])) == ANYTHING
    with pytest.raises(ArgumentError):  # who is called knows better
        of(scope["long"]).bind((1,), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "(a",
        "(a, a)",
        "(a): ...\nimport os\ndef g()",
        "(a=1, b)",
        "(\0)",
        "(" * 1000,
        "(a: " + "list[" * 300 + "int" + "]" * 300 + ")",
        "(a: " + " | ".join(["int"] * 500) + ")",
        "(a: int" + " " * MAX_TEXT + ")",
        "(a: lambda: 1, b: f(x), c: 'str', d: __import__('os').x[1:2]) -> (yield)",
        "(a: list[int, int], b: dict[int], c: set[...], d: tuple[()], e: Literal[x], f: int[int])",
        "(a: Literal[1.5], b: Literal[b'x'], c: Literal[...], d: Literal[True], e: tuple[...])",
        "(a: tuple[..., ...], b: tuple[int, ..., int], c: list[...], d: dict[..., int])",
        "(a: set[list[int]], b: dict[list[int], int])",
        "(self, /, name, *args, **kwargs) -> \ud800",
    ],
)
def test_what_is_not_understood_of_a_line_may_be_anything(text):
    """Nobody says such things but by mistake or malice: whoever is called knows better."""
    signature = Signature.parse("f", text)
    names = list(inspect.signature(lambda *args, **kwargs: 0).parameters)
    if list(signature._signature.parameters) == names:
        signature.bind((object(), 1, []), {"any": 1})
    else:
        count = sum(
            each.kind is not inspect.Parameter.VAR_POSITIONAL
            and each.kind is not inspect.Parameter.VAR_KEYWORD
            for each in signature._signature.parameters.values()
        )
        with suppress(ArgumentError):
            signature.bind((1,) * count, None)


@pytest.mark.parametrize(
    "text",
    ["(a: Literal[1.5])", "(a: Literal[b'x'])", "(a: Literal[...])", "(a: tuple[..., ...])",
     "(a: list[...])", "(a: dict[..., int])", "(a: tuple[int, ..., int])", "(a: Weird)",
     "(a: weird.Type)", "(a: 'int')", "(a: Weird[int])"],
)  # fmt: skip
def test_a_type_that_is_not_understood_takes_anything(text):
    for value in (1, "x", None, [1], object()):
        Signature.parse("f", text).bind((value,), None)


ORDER = [int, str, float, None]  # typing remembers of equal unions the first one's order
kinds = st.recursive(
    st.sampled_from([None, bool, int, float, str, bytes, list, dict, tuple, set, datetime, Any]),
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),
        st.tuples(st.sampled_from([str, int]), inner).map(lambda both: dict[both]),
        inner.map(lambda kind: tuple[kind, ...]),
        st.lists(inner, min_size=1, max_size=3).map(lambda every: tuple[tuple(every)]),
        st.lists(st.sampled_from(ORDER), min_size=2, unique=True).map(
            lambda every: typing.Union[tuple(sorted(every, key=ORDER.index))]  # noqa: UP007
        ),
        st.lists(
            st.one_of(st.integers(-5, 5), st.text("abc'\"\\\n", max_size=5)), min_size=1, max_size=4
        ).map(lambda every: Literal[tuple(every)]),
    ),
    max_leaves=4,
)


@st.composite
def signatures(draw):
    """Any order of parameters that Python allows."""
    Parameter = inspect.Parameter
    count, optional, parameters = draw(st.integers(0, 5)), False, []
    chosen = sorted(
        draw(
            st.lists(st.sampled_from(list(inspect._ParameterKind)), min_size=count, max_size=count)
        )
    )
    for index, kind in enumerate(chosen):
        if kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) and kind in chosen[:index]:
            continue
        default = Parameter.empty
        if kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            optional = optional or draw(st.booleans())
            default = 1 if optional else default
        elif kind is Parameter.KEYWORD_ONLY and draw(st.booleans()):
            default = None
        parameters.append(Parameter(f"p{index}", kind, default=default, annotation=draw(kinds)))
    return inspect.Signature(parameters, return_annotation=draw(kinds))


@settings(max_examples=150)
@given(signatures())
def test_every_line_reads_back_as_itself(signature):
    text = str(Signature("f", signature))
    assert str(Signature.parse("f", text)) == text


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text("()ab:,=.*/ [|]", max_size=60))
def test_no_line_breaks_who_reads_it(text):
    assert str(Signature.parse("f", text)).startswith("(")


values = st.one_of(st.integers(-3, 3), st.text(max_size=2), st.none(), st.booleans(), st.floats())
FUNCTIONS = [
    lambda: (),
    lambda a: (a,),
    lambda a, b=0: (a, b),
    lambda a, /, b, *, c=0: (a, b, c),
    lambda *args, **named: (args, named),
    lambda a, *rest, key=None, **more: (a, rest, key, more),
    lambda *, key: key,
]


@settings(max_examples=200)
@given(
    st.sampled_from(FUNCTIONS),
    st.lists(values, max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "c", "key", "other"]), values, max_size=3),
)
def test_both_ends_take_what_the_function_takes_and_no_more(function, args, named):
    try:
        wanted = function(*args, **named)
    except TypeError:
        for each in (of(function), told(function)):
            with pytest.raises(ArgumentError):
                each.bind(tuple(args), named)
        return
    told(function).bind(tuple(args), named)
    bound, by_name = of(function).bind(tuple(args), named)
    assert repr(function(*bound, **by_name)) == repr(wanted)


# --- arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", [of(typed), told(typed)], ids=["called", "calls"])
@pytest.mark.parametrize(
    ("args", "named", "field"),
    [
        ((), None, "a"),
        ((1, None, 3), None, ""),
        ((1,), {"c": 1}, "c"),
        ((1,), {"a": 1}, "a"),
        (("1",), None, "a"),
        ((1.5,), None, "a"),
        ((1, 2), None, "b"),
        ((1,), {"b": b"x"}, "b"),
        ((None,), None, "a"),
        ((True,), None, "a"),
        (([],), None, "a"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_both_and_named(signature, args, named, field):
    with pytest.raises(ArgumentError) as caught:
        signature.bind(args, named)
    assert caught.value.field == field
    assert str(caught.value).startswith("f")
    assert not field or f"argument {field!r}" in str(caught.value).replace(": '", " '")


@pytest.mark.parametrize(
    "text", ["(a: Literal[{[]}])", "(a: Literal[[1]] | None)", "(a: Literal[{[]: 1}])"]
)
def test_a_line_of_unhashable_types_makes_nobody_uncallable(text):
    Signature.parse("f", text).bind((1,), None)


def test_an_error_names_the_one_among_many_and_shows_the_signature():
    signature = told(any_number)
    signature.bind((1, 2, 3), {"x": "y"})
    with pytest.raises(ArgumentError, match="argument 'args'"):
        signature.bind((1, "2", 3), None)
    with pytest.raises(ArgumentError, match="argument 'x'"):
        signature.bind((), {"x": 1})
    with pytest.raises(ArgumentError, match=r"f\(a, \*, b: int, c: float = \.\.\.\): missing"):
        told(only_by_name).bind((1,), None)


def test_what_fitted_before_is_no_passport_for_what_does_not():
    signature = of(typed)
    for _ in range(3):
        assert signature.bind((1, "x"), None) == ((1, "x"), {})
        with pytest.raises(ArgumentError):
            signature.bind(("x", 1), None)


def test_who_is_called_gets_what_the_annotations_say():
    def f(a: float, p: Point, t: tuple[int, ...], s: set[int], c: Colour, when: datetime): ...

    now = datetime(2026, 1, 2, tzinfo=UTC)
    given = (1, {"x": 1}, [1, 2], [3, 3], "red", now)
    args, named = of(f).bind(given, None)
    assert (args, named) == ((1.0, Point(1), (1, 2), {3}, Colour.RED, now), {})
    assert type(args[0]) is float


def test_an_argument_given_by_name_arrives_where_it_belongs():
    assert of(plain).bind((1,), {"b": 2}) == ((1, 2), {})
    assert of(only_by_name).bind((), {"a": 1, "b": 2}) == ((1,), {"b": 2})


@pytest.mark.parametrize(
    ("value", "path"),
    [({"x": "1"}, r"\$.x"), ({}, "`x`"), (5, "Expected `object`"), ({"x": 1, "y": []}, r"\$.y")],
)
def test_an_error_inside_a_value_says_where(value, path):
    def f(p: Point): ...

    with pytest.raises(ArgumentError, match=path) as caught:
        of(f).bind((value,), None)
    assert caught.value.field == "p"


def test_types_of_the_called_alone_are_anything_to_who_calls():
    told(own).bind((object(), [object()], 5), None)
    with pytest.raises(ArgumentError):
        told(own).bind((1, "no list", 1), None)


def test_names_that_are_no_text_are_refused():
    with pytest.raises(ArgumentError):
        of(any_number).bind((), {1: 2})


# --- annotations -----------------------------------------------------------------------------


def test_annotations_may_be_texts():
    def f(a: "int", b: "Point"): ...

    assert of(f).bind((1, {"x": 2}), None)[0] == (1, Point(2))


@pytest.mark.parametrize(
    "kind",
    ["Unheard", "a b", "Point.none", Literal[1.5], dict[str, Point] | Point, list[Literal[b"x"]]],
    ids=str,
)
def test_annotations_that_nobody_understands_are_refused(kind):
    """When it is exposed: never later, when a caller would get to hear of it."""

    def f(a) -> None: ...

    for name in ("a", "return"):
        f.__annotations__ = {name: kind}
        with pytest.raises(ConfigError, match="annotations"):
            of(f)


def test_a_class_of_ones_own_is_an_annotation_that_its_objects_fit():
    class Own: ...

    def f(a: Own, b: Callable): ...

    own = Own()
    assert of(f).bind((own, len), None)[0] == (own, len)
    with pytest.raises(ArgumentError, match="Expected `Own`, got `int`"):
        of(f).bind((1, len), None)


# --- results ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "made"),
    [
        (int, 1, 1),
        (float, 1, 1.0),
        (None, None, None),
        (Any, object, object),
        (int | None, None, None),
        (list[int], (1, 2), [1, 2]),
        (tuple[int, str], [1, "x"], (1, "x")),
        (bytes, b"x", b"x"),
        (Point, {"x": 1}, Point(1)),
        (dict[int, Point], {1: {"x": 2}}, {1: Point(2)}),
    ],
)
def test_a_value_is_made_what_it_should_be(kind, value, made):
    found = Checker(kind).convert(value)
    assert (found, type(found)) == (made, type(made))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, "1"),
        (str | bytes, 1),
        (None, 1),
        (str, b"x"),
        (bytes, "eA=="),
        (datetime, "2026-01-01T00:00:00Z"),
        (list[int], [1, "2"]),
        (Point, {"y": 1}),
        (int | str, None),
        (Literal["a"], "b"),
    ],
)
def test_a_value_that_cannot_be_it_is_refused(kind, value):
    with pytest.raises(ValueError, match=r"\w+"):
        Checker(kind).convert(value)
