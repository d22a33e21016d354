"""How long a suspect has: more in a larger mesh, less when others find the same."""

import pytest

from meshcluster.node.suspicion import CONFIRMATIONS, NOTED, UNCONFIRMED, Suspicion


def suspicion(confirmed_by: int) -> Suspicion:
    made = Suspicion(0.0, active=True)
    made.by = {bytes([number]) for number in range(confirmed_by)}
    return made


@pytest.mark.parametrize(
    ("members", "times"), [(3, 1.0), (10, 1.0), (100, 2.0), (1000, 3.0), (10_000, 4.0)]
)
def test_the_shortest_time_grows_with_the_logarithm_of_the_mesh(members, times):
    assert suspicion(CONFIRMATIONS).seconds(members, 2.0) == pytest.approx(2.0 * times)


def test_who_is_alone_with_it_waits_longest_and_each_confirmation_shortens_it():
    times = [suspicion(confirmed).seconds(100, 1.0) for confirmed in range(CONFIRMATIONS + 1)]
    assert times[0] == pytest.approx(UNCONFIRMED * times[-1])
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)


def test_more_confirmations_than_wanted_shorten_nothing():
    assert suspicion(9).seconds(100, 1.0) == suspicion(CONFIRMATIONS).seconds(100, 1.0)


@pytest.mark.parametrize("members", [0, 1, 2])
def test_where_nobody_could_confirm_it_the_time_is_the_shortest(members):
    assert suspicion(0).seconds(members, 1.0) == 1.0


def test_where_only_one_could_confirm_it_one_is_enough():
    assert suspicion(1).seconds(3, 1.0) == 1.0
    assert suspicion(0).seconds(3, 1.0) == pytest.approx(UNCONFIRMED)


def test_of_those_who_say_so_the_first_few_are_noted():
    made = suspicion(0)
    news = [made.suspected_by(bytes([number % 20])) for number in range(40)]
    for number in range(40):
        made.dead_by(bytes([number]))
    assert (sum(news), len(made.by), len(made.dead)) == (NOTED, NOTED, NOTED)
