"""Who gets a call: the least busy, equals in turn, and only those who are meant."""

import asyncio
from collections import Counter

import pytest

from meshcluster import NotExposed
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


class Servers:
    """Three members that expose ``f``, whose calls end when they are let."""

    def __init__(self, members, caller):
        self.members = members
        self.caller = caller
        self.let = asyncio.Event()

    def go(self, **options):
        return self.caller.go("f", **options)

    def called(self, calls):
        return Counter(call.service.name for call in calls)

    def service(self, name):
        (found,) = self.caller.resolve(name)
        return found


@pytest.fixture
async def servers(join, settled):
    words = {"s0": ["gpu", "big"], "s1": ["gpu"], "s2": ["big"]}
    members = {name: await join(*tags, name=name) for name, tags in words.items()}
    made = Servers(members, await join(name="caller"))

    async def f():
        await made.let.wait()

    for member in members.values():
        member.expose(f)
    await made.caller.wait_for_exposed("f", 3)
    yield made
    made.let.set()


async def test_calls_go_to_the_least_busy(servers):
    calls = [servers.go() for _ in range(6)]
    assert servers.called(calls) == {"s0": 2, "s1": 2, "s2": 2}
    busy = [servers.go(where="s0") for _ in range(4)]
    more = [servers.go() for _ in range(8)]
    assert servers.called(more) == {"s1": 4, "s2": 4}
    servers.let.set()
    await soon(asyncio.gather(*calls, *busy, *more))
    assert servers.called([servers.go() for _ in range(3)]) == {"s0": 1, "s1": 1, "s2": 1}


async def test_among_equals_each_has_its_turn(servers):
    servers.let.set()
    names = []
    for _ in range(9):
        call = servers.go()
        names.append(call.service.name)
        await soon(call)
    assert Counter(names) == {"s0": 3, "s1": 3, "s2": 3}


async def test_what_is_cancelled_is_no_load(servers):
    for call in [servers.go(where="s0") for _ in range(5)]:
        call.cancel()
    assert servers.called([servers.go() for _ in range(3)]) == {"s0": 1, "s1": 1, "s2": 1}


@pytest.mark.parametrize(
    ("where", "names"),
    [
        (lambda s: None, "s0 s1 s2"),
        (lambda s: "gpu", "s0 s1"),
        (lambda s: ["gpu", "big"], "s0"),
        (lambda s: ("gpu", "s1"), "s1"),
        (lambda s: {"big"}, "s0 s2"),
        (lambda s: (word for word in ("gpu", "big")), "s0"),
        (lambda s: s("s1"), "s1"),
        (lambda s: [s("s1"), s("s2")], "s1 s2"),
        (lambda s: (s(name) for name in ("s1", "s2")), "s1 s2"),
        (lambda s: frozenset([s("s0")]), "s0"),
        (lambda s: lambda service: service.name != "s1", "s0 s2"),
        (lambda s: lambda service: "big" in service.tags, "s0 s2"),
        (lambda s: "localhost", "s0 s1 s2"),
    ],
    ids=range(13),
)
async def test_where_says_who_may_have_it(servers, where, names):
    names = names.split()
    where = where(servers.service)
    if hasattr(where, "__next__"):  # read once, it is used for one call
        assert servers.go(where=where).service.name in names
        return
    calls = [servers.go(where=where) for _ in range(len(names) * 2)]
    assert servers.called(calls) == dict.fromkeys(names, 2)


@pytest.mark.parametrize(
    "where",
    ["nobody", ["gpu", "nobody"], [], (), iter(()), lambda service: False, "caller"],
    ids=range(7),
)  # fmt: skip
async def test_if_it_is_nobody_that_is_said(servers, where):
    with pytest.raises(NotExposed, match="none of the 3 that expose it is where="):
        servers.go(where=where)


async def test_a_function_that_says_who_and_raises_is_heard(servers):
    with pytest.raises(ZeroDivisionError):
        servers.go(where=lambda service: 1 / 0)


async def test_words_are_those_that_members_have_now(servers):
    old = servers.service("s2")
    assert servers.called([servers.go(where="gpu") for _ in range(2)]) == {"s0": 1, "s1": 1}
    servers.members["s2"].tags.append("gpu")
    servers.members["s0"].tags.remove("gpu")
    await eventually(lambda: len(servers.caller.resolve("gpu", "s2")) == 1)
    await eventually(lambda: not servers.caller.resolve("gpu", "s0"))
    servers.let.set()
    await soon(asyncio.gather(*[servers.go() for _ in range(3)]))
    assert servers.called([servers.go(where="gpu") for _ in range(2)]) == {"s1": 1, "s2": 1}
    assert servers.go(where=old).service == servers.service("s2")


async def test_only_those_who_expose_it_are_called(servers, join):
    other = await join("gpu", name="other")
    other.expose(lambda: "other", name="g")
    await servers.caller.wait_for_exposed("g")
    assert {servers.go().service.name for _ in range(12)} == {"s0", "s1", "s2"}
    assert [await servers.caller.call("g") for _ in range(5)] == ["other"] * 5


async def test_who_comes_takes_part_and_who_leaves_does_not(servers, join):
    fourth = await join(name="s3")
    fourth.expose(lambda: 1, name="f")
    await servers.caller.wait_for_exposed("f", 4)
    assert servers.called([servers.go() for _ in range(4)])["s3"] == 1
    servers.let.set()
    await servers.members["s0"].leave()
    await fourth.leave()
    assert {servers.go().service.name for _ in range(12)} == {"s1", "s2"}


async def test_many_members_are_not_all_looked_at_yet_all_have_their_turn(servers):
    """The choice itself: a mesh of a thousand would take long to join."""
    from meshcluster.rpc.choice import LOOKED_AT, Load, Place

    class Known:
        def __init__(self, number):
            self.key = bytes([number])

    count = LOOKED_AT * 2
    signature = None
    places = [Place(Known(n), Load(), ["()"], signature) for n in range(count)]
    choice = servers.caller._functions.calls.choice
    found = Counter()
    for number in range(count * 2):
        place = choice.choose(places, (), 0.0)
        place.load.open.add(number)
        found[place.service.key] += 1
    assert set(found.values()) == {2}
    tried = {place.service.key for place in places[1:]}
    got = {choice.choose(places, tried, 0.0) for _ in range(count)}
    assert got == {None, places[0]}
