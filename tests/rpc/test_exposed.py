"""What may be exposed, by which names, and what others are told of it."""

import functools
import inspect
import math

import pytest

from meshcluster import ConfigError
from meshcluster.rpc.exposed import Exposed, functions_of


def exposed(function, name="f", limit=None, in_loop=False, idempotent=False):
    return Exposed(name, function, limit=limit, in_loop=in_loop, idempotent=idempotent)


def names_of(thing, name=None):
    return [each for each, _ in functions_of(thing, name)]


class Arith:
    factor = 3

    def add(self, a: int, b: int) -> int:
        return a + b

    async def later(self): ...

    @staticmethod
    def static(a): ...

    @classmethod
    def of_class(cls): ...

    @property
    def broken(self):
        raise AttributeError("looked at")

    def _hidden(self): ...


class Adds:
    def __call__(self, a: int): ...


class AddsLater:
    async def __call__(self, a: int): ...


def plain(): ...


async def coroutine(): ...


def generator():
    yield 1


async def async_generator():
    yield 1


def test_an_object_has_its_public_methods_exposed_by_its_classes_name():
    assert names_of(Arith()) == ["Arith.add", "Arith.later", "Arith.of_class", "Arith.static"]
    assert names_of(Arith(), "Maths")[0] == "Maths.add"


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (plain, "plain"),
        (Arith().add, "Arith.add"),
        (Arith.of_class, "Arith.of_class"),
        (Arith.static, "static"),
        (Adds(), "Adds"),
        (math.sqrt, "sqrt"),
    ],
)
def test_a_function_has_its_own_name_or_the_one_given(thing, name):
    assert names_of(thing) == [name]
    assert names_of(thing, "other") == ["other"]


@pytest.mark.parametrize(
    ("thing", "trouble"),
    [
        (Arith, "a class; expose an object"),
        (5, "neither a function"),
        (object(), "neither"),
        (lambda: 1, "give it a name="),
    ],
)
def test_what_cannot_be_exposed_is_refused(thing, trouble):
    with pytest.raises(ConfigError, match=trouble):
        names_of(thing)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 10_000, 5])
def test_a_name_is_a_short_text(name):
    with pytest.raises(ConfigError):
        exposed(plain, name)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", True])
def test_a_limit_is_a_number(limit):
    with pytest.raises(ConfigError, match="limit="):
        exposed(plain, limit=limit)


@pytest.mark.parametrize("function", [generator, async_generator])
def test_a_generator_does_not_run_in_the_loop(function):
    with pytest.raises(ConfigError, match="not a generator"):
        exposed(function, in_loop=True)


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (plain, (False, False)),
        (coroutine, (True, False)),
        (generator, (False, True)),
        (async_generator, (True, True)),
        (Adds(), (False, False)),
        (AddsLater(), (True, False)),
        (Arith().later, (True, False)),
        (functools.partial(coroutine), (True, False)),
        (functools.partial(async_generator), (True, True)),
        (math.sqrt, (False, False)),
    ],
)
def test_it_is_known_what_kind_a_function_is(function, kinds):
    found = exposed(function)
    assert (found.is_async, found.is_stream) == kinds


def test_others_are_told_its_signature_and_its_traits():
    assert exposed(Arith().add).offer == ["(a: int, b: int) -> int"]
    assert exposed(Arith().add, idempotent=True).offer[1:] == ["idempotent"]
    assert exposed(generator).offer == ["()", "stream"]
    assert exposed(generator, idempotent=True).offer == ["()", "idempotent", "stream"]


def test_what_stands_for_another_function_is_told_as_that_one():
    @functools.wraps(Arith.add)
    def wrapper(*args): ...

    assert exposed(functools.partial(wrapper, 0)).offer == ["(a: int, b: int) -> int"]
    assert inspect.signature(wrapper).parameters.keys() == {"self", "a", "b"}
