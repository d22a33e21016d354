"""The members as users see them: what is found is what a look at each would find, for less work."""

import threading
from random import Random

import pytest

from meshcluster import ConfigError, resolver
from meshcluster.model import Identity, Service
from meshcluster.runtime.directory import RESOLVED, Directory

TAGS = ("web", "db", "idle", "busy", "n1", "localhost")


def service(number, *tags):
    return Service(Identity(number.to_bytes(16), 1, f"n{number}", f"h{number % 3}"), tags=tags)


class Counting:
    """A member that counts how often its words are looked at."""

    looks = 0

    def __init__(self, number, *tags):
        self.key = number.to_bytes(16)
        self.number = number
        self._words = frozenset({*tags, f"n{number}"})

    @property
    def words(self):
        Counting.looks += 1
        return self._words

    def listed_words(self):
        return self.words


def looks(function):
    Counting.looks = 0
    function()
    return Counting.looks


def names(services):
    return [each.name for each in services]


@pytest.fixture
def three():
    directory = Directory()
    for number, tags in ((3, ["web"]), (1, ["web", "idle"]), (2, ["db"])):
        directory.put(service(number, *tags))
    return directory


def test_they_are_in_the_order_of_their_discovery(three):
    assert names(three.services) == ["n3", "n1", "n2"]
    assert names(three.resolve("web")) == ["n3", "n1"]
    assert names(three.resolve(())) == ["n3", "n1", "n2"]
    assert len(three) == 3


def test_every_word_must_be_had(three):
    assert names(three.resolve(["web", "idle"])) == ["n1"]
    assert three.resolve(["web", "db"]) == three.resolve("nothing") == ()
    assert names(three.resolve(["n2", "db"])) == ["n2"]
    assert three.resolve(["n2", "web"]) == ()
    with pytest.raises(ConfigError):
        three.resolve(7)


def test_who_says_something_new_keeps_its_place(three):
    three.put(service(3, "db"))
    assert names(three.services) == ["n3", "n1", "n2"]
    assert names(three.resolve("web")) == ["n1"]
    assert names(three.resolve("db")) == ["n3", "n2"]
    assert three.resolve("n3")[0].tags == ("db",)


def test_who_is_lost_is_found_no_more_and_comes_back_at_the_end(three):
    three.remove(service(3))
    three.remove(service(3))
    assert names(three.services) == ["n1", "n2"]
    assert names(three.resolve("web")) == ["n1"]
    assert three.resolve("n3") == ()
    three.put(service(3, "web"))
    assert names(three.resolve("web")) == ["n1", "n3"]


def test_nothing_is_kept_of_who_is_gone(three):
    for number in (1, 2, 3):
        three.remove(service(number))
    assert not three._having
    assert not three._numbers
    assert not three._members
    assert three.services == ()


def test_it_finds_what_a_look_at_each_would_find_whatever_happens():
    random, directory, model = Random(1), Directory(), {}
    for step in range(3000):
        number = random.randrange(12)
        each = service(number, *random.sample(TAGS, random.randrange(4)))
        if random.random() < 0.4:
            directory.remove(each)
            model.pop(number, None)
        else:
            directory.put(each)
            model[number] = each
        words = random.sample([*TAGS, f"n{number}", "h1"], random.randrange(3))
        assert directory.services == tuple(model.values()), step
        assert directory.resolve(words) == resolver.resolve(model.values(), words), step
        assert [s.tags for s in directory.services] == [s.tags for s in model.values()]


# --- how much work it is ---


@pytest.mark.parametrize("size", [10, 1000, 10_000])
def test_a_change_costs_the_same_in_any_mesh(size):
    directory = Directory()
    for number in range(size):
        directory.put(Counting(number, "web"))
    assert looks(lambda: directory.put(Counting(size, "web"))) <= 3
    assert looks(lambda: directory.put(Counting(size, "db"))) <= 4
    assert looks(lambda: directory.remove(Counting(size))) <= 2


@pytest.mark.parametrize("size", [10, 1000, 10_000])
def test_only_those_with_the_rarest_word_are_looked_at(size):
    directory = Directory()
    for number in range(size):
        directory.put(Counting(number, "web", *(["rare"] if number < 3 else [])))
    assert looks(lambda: directory.resolve("web")) == 0
    assert looks(lambda: directory.resolve(["web", "rare"])) == 3
    assert looks(lambda: directory.resolve(["web", "n7"])) == 1
    assert looks(lambda: directory.resolve(["web", "nobody"])) == 0


def test_nothing_is_copied_until_something_changes(three):
    everybody, web = three.services, three.resolve("web")
    assert three.services is everybody
    assert three.resolve("web") is three.resolve(["web"][0]) is web
    assert three.resolve(()) is everybody
    three.put(service(4))
    assert names(three.services) == ["n3", "n1", "n2", "n4"]
    assert names(everybody) == ["n3", "n1", "n2"]


def test_answers_that_are_kept_are_bounded(three):
    for number in range(2 * RESOLVED):
        three.resolve(f"word{number}")
    assert len(three.resolved) == RESOLVED


def test_any_thread_may_look_while_members_come_and_go():
    directory, end, broken = Directory(), threading.Event(), []

    def look():
        while not end.is_set():
            try:
                found = directory.resolve("web")
                assert len(directory.services) >= 50
                assert len(set(found)) == len(found) >= 50
            except BaseException as error:
                broken.append(error)
                return

    for number in range(50):
        directory.put(service(number, "web"))
    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(3000):
        directory.put(service(50 + number % 70, "web"))
        directory.remove(service(50 + (number + 35) % 70))
    end.set()
    for thread in threads:
        thread.join()
    assert not broken
