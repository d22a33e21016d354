"""The hooks of one cluster: order, filters, refusals, removal."""

import functools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshcluster.errors import ConfigError
from meshcluster.hooks import POINTS, HookRegistry

INLINE = ["send", "receive", "service.validate"]
OUTSIDE = ["service.discovered", "service.changed", "service.lost", "event", "query"]
SERVICE_POINTS = [name for name in POINTS if name.startswith("service.")]


def plain(_): ...
def other(_): ...
async def awaited(_): ...


class Hooks:
    def method(self, _): ...
    async def awaited(self, _): ...


class AwaitedCall:
    async def __call__(self, _): ...


ASYNC = [awaited, functools.partial(awaited), Hooks().awaited, AwaitedCall()]


@pytest.fixture
def registry():
    return HookRegistry(allow_async=True)


# --- order ---


def test_hooks_run_in_the_order_in_which_they_were_placed(registry):
    registry.add("event", plain)
    registry.add("event", other)
    assert registry.chain("event") == (plain, other)


@given(some.lists(some.integers(-3, 3), max_size=12))
def test_a_lower_order_runs_earlier_and_equal_ones_as_placed(orders):
    registry = HookRegistry(allow_async=True)
    placed = [(order, lambda _: None) for order in orders]
    for order, function in placed:
        registry.add("event", function, order=order)
    expected = [function for _, function in sorted(placed, key=lambda pair: pair[0])]
    assert list(registry.chain("event")) == expected


def test_a_hook_tells_how_it_was_placed(registry):
    hook = registry.add("query", plain, channel=7, protocol="tcp", order=-1)
    assert registry.hooks("query") == (hook,)
    assert (hook.point, hook.function) == ("query", plain)
    assert (hook.channel, hook.protocol, hook.order) == (7, "tcp", -1)


def test_a_point_without_hooks_has_an_empty_chain(registry):
    assert all(registry.chain(point) == () for point in POINTS)


# --- filters ---


@pytest.mark.parametrize(
    ("filters", "fitting"),
    [
        ({}, {(0, "tcp"), (7, "tcp"), (0, "unix"), (7, "unix")}),
        ({"channel": 7}, {(7, "tcp"), (7, "unix")}),
        ({"channel": 0}, {(0, "tcp"), (0, "unix")}),
        ({"protocol": "tcp"}, {(0, "tcp"), (7, "tcp")}),
        ({"channel": 7, "protocol": "tcp"}, {(7, "tcp")}),
    ],
)
def test_a_filter_lets_only_its_messages_through(registry, filters, fitting):
    registry.add("event", plain, **filters)
    messages = {(channel, protocol) for channel in (0, 7) for protocol in ("tcp", "unix")}
    assert {each for each in messages if registry.chain("event", *each)} == fitting


@pytest.mark.parametrize("point", SERVICE_POINTS)
@pytest.mark.parametrize("filters", [{"channel": 0}, {"protocol": "tcp"}], ids=str)
def test_a_filter_where_none_applies_is_refused(registry, point, filters):
    with pytest.raises(ConfigError, match=point):
        registry.add(point, plain, **filters)


@pytest.mark.parametrize("channel", [-1, 2**32, "7", True])
def test_a_filter_by_what_is_no_channel_is_refused(registry, channel):
    with pytest.raises(ConfigError, match="channel"):
        registry.add("event", plain, channel=channel)


# --- what cannot be placed ---


def test_an_unknown_point_names_the_known_ones(registry):
    with pytest.raises(ConfigError) as caught:
        registry.add("service.discoverd", plain)
    assert all(name in str(caught.value) for name in ["service.discoverd", *POINTS])


@pytest.mark.parametrize("thing", [None, "plain", 5], ids=repr)
def test_what_cannot_be_called_is_refused(registry, thing):
    with pytest.raises(ConfigError, match="must be a function"):
        registry.add("event", thing)


@pytest.mark.parametrize("point", INLINE)
@pytest.mark.parametrize("function", ASYNC, ids=lambda function: type(function).__name__)
def test_inside_the_member_async_functions_are_refused_when_placed(registry, point, function):
    with pytest.raises(ConfigError, match="plain functions only"):
        registry.add(point, function)
    assert registry.hooks(point) == ()


@pytest.mark.parametrize("point", OUTSIDE)
@pytest.mark.parametrize("function", ASYNC, ids=lambda function: type(function).__name__)
def test_elsewhere_async_functions_are_welcome_unless_the_cluster_blocks(point, function):
    assert HookRegistry(allow_async=True).add(point, function).is_async
    with pytest.raises(ConfigError, match="AsyncCluster"):
        HookRegistry(allow_async=False).add(point, function)


@pytest.mark.parametrize("point", POINTS)
def test_plain_functions_are_welcome_everywhere(point):
    for function in (plain, functools.partial(plain), Hooks().method, lambda _: None):
        assert not HookRegistry(allow_async=False).add(point, function).is_async


def none_taken(): ...
def two_wanted(_, other): ...
def keyword_wanted(_, *, other): ...
def more_allowed(_, other=None, *rest, another=None): ...


class Calls:
    def none_taken(self): ...
    def __call__(self, _): ...


@functools.wraps(two_wanted)
def injected(message):
    """What a decorator makes that hands the second argument in."""


@pytest.mark.parametrize("point", ["event", "service.lost"])
@pytest.mark.parametrize(
    "function",
    [none_taken, two_wanted, keyword_wanted, Calls().none_taken, lambda: None],
    ids=lambda function: function.__name__,
)
def test_what_cannot_take_the_one_argument_is_refused_when_placed(registry, point, function):
    with pytest.raises(ConfigError, match=rf"must take one argument, the {POINTS[point].takes}"):
        registry.add(point, function)
    assert registry.hooks(point) == ()


@pytest.mark.parametrize(
    "function",
    [more_allowed, Calls(), functools.partial(two_wanted, None), injected, [].append, {}.pop, dict],
    ids=lambda function: getattr(function, "__name__", type(function).__name__),
)
def test_what_can_take_one_argument_or_does_not_say_is_welcome(registry, function):
    registry.add("event", function)
    assert registry.chain("event") == (function,)


# --- removal ---


def test_unhooking_says_from_how_many_points(registry):
    registry.add("event", plain)
    registry.add("service.lost", plain)
    registry.add("event", other)
    assert registry.remove(plain) == 2
    assert registry.chain("event") == (other,)
    assert registry.chain("service.lost") == ()


def test_unhooking_what_was_never_placed_is_no_error(registry):
    assert registry.remove(plain) == 0


def test_a_method_is_unhooked_by_its_name(registry):
    hooks = Hooks()
    registry.add("event", hooks.method)
    registry.add("event", Hooks().method)
    assert registry.remove(hooks.method) == 1
    assert len(registry.chain("event")) == 1


# --- readers ---


def test_a_change_is_seen_by_the_next_message(registry):
    registry.add("event", plain)
    assert registry.chain("event", 7, "tcp") == (plain,)
    registry.add("event", other, channel=7)
    assert registry.chain("event", 7, "tcp") == (plain, other)
    registry.remove(plain)
    assert registry.chain("event", 7, "tcp") == (other,)


def test_a_chain_in_use_does_not_change(registry):
    registry.add("event", plain)
    chain, hooks = registry.chain("event"), registry.hooks("event")
    registry.add("event", other)
    assert chain == (plain,)
    assert len(hooks) == 1


def test_send_hooks_are_those_of_the_point(registry):
    assert registry.send_hooks == ()
    registry.add("send", plain)
    assert registry.send_hooks == registry.hooks("send") != ()
    registry.remove(plain)
    assert registry.send_hooks == ()


def test_whoever_runs_the_hooks_hears_of_each_that_is_added(registry):
    heard = []
    registry.added = heard.append
    hook = registry.add("event", plain)
    with pytest.raises(ConfigError):
        registry.add("nowhere", plain)
    assert heard == [hook]


def test_channel_numbers_chosen_by_senders_do_not_fill_the_memory(registry):
    registry.add("event", plain)
    tracemalloc.start()
    try:
        for channel in range(50_000):
            assert registry.chain("event", channel, "tcp") == (plain,)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * 1024 * 1024
