"""How the functions of one point run: in order, whole messages only, what breaks drops them."""

import pytest

from meshcluster.errors import HookFailed, HookRejected
from meshcluster.hooks.chain import intercept, name_of, validate
from meshcluster.model import Identity, Service
from meshcluster.wire import body
from meshcluster.wire.message import Message

ADA = Service(Identity(b"a" * 16, 1, "ada", "host"))


def message(data="hi"):
    return Message(ADA, 0, *body.encode(data))


def adding(word):
    return lambda each: each.replace(data=each.data + word)


def raising(error):
    def hook(_):
        raise error

    return hook


# --- interceptors ---


def test_without_functions_a_message_stays_as_it_is():
    original = message()
    assert intercept((), original) is original


def test_none_leaves_a_message_as_it_is():
    original, seen = message(), []
    assert intercept((seen.append, seen.append), original) is original
    assert seen == [original, original]


def test_a_returned_message_replaces_it_for_the_next():
    assert intercept((adding("a"), adding("b")), message("")).data == "ab"


def test_a_veto_stops_the_chain_and_keeps_its_text():
    seen = []
    with pytest.raises(HookRejected, match="not today"):
        intercept((raising(HookRejected("not today")), seen.append), message())
    assert seen == []


def test_a_hook_that_breaks_is_named_and_its_exception_is_the_cause():
    error = KeyError("x")
    with pytest.raises(HookFailed, match=r"raising\.<locals>\.hook raised KeyError") as caught:
        intercept((raising(error),), message())
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("returned", [False, True, "text", b"bytes", ADA, 0])
def test_returning_anything_else_is_a_mistake_not_a_veto(returned):
    with pytest.raises(HookFailed, match="returned"):
        intercept((lambda _: returned,), message())


def test_what_a_later_hook_breaks_leaves_the_original_untouched():
    original = message()
    with pytest.raises(HookFailed):
        intercept((adding("!"), raising(ValueError())), original)
    assert original.data == "hi"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_the_users_wish_to_stop_is_no_broken_hook(error):
    with pytest.raises(error):
        intercept((raising(error()),), message())


# --- validators ---


@pytest.mark.parametrize("returned", [None, True, 0, "", "no"])
def test_a_validator_accepts_unless_it_returns_false(returned):
    assert validate((lambda _: returned,), ADA)


def test_one_false_is_enough_and_the_rest_is_not_asked():
    asked = []
    assert not validate((asked.append, lambda _: False, asked.append), ADA)
    assert asked == [ADA]


def test_a_rejection_refuses_too():
    assert not validate((raising(HookRejected("unknown")),), ADA)


def test_a_validator_that_breaks_is_reported_and_accepts_nobody():
    with pytest.raises(HookFailed, match="ValueError") as caught:
        validate((raising(ValueError("x")),), ADA)
    assert isinstance(caught.value.__cause__, ValueError)


# --- names ---


class Greeter:
    def greet(self, service): ...
    def __call__(self, service): ...


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (message, "test_chain.message"),
        (Greeter().greet, "test_chain.Greeter.greet"),
        (Greeter(), "Greeter object"),
        (len, "builtins.len"),
    ],
)
def test_a_hook_is_named_so_that_a_person_finds_it(function, name):
    assert name_of(function).startswith("hook ")
    assert name in name_of(function)
