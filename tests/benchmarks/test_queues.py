"""What queues are measured beside what is played; who puts and takes does so for a moment."""

import pytest

from benchmarks import summary, table
from benchmarks.entrants import JETSTREAM, MANAGER, WAYS, ZMQ, Entrant
from benchmarks.parts import PARTS, queues
from benchmarks.settings import Settings
from tests.benchmarks.test_peers import crew, installed

PUTTERS = [*queues.OURS, *(Entrant(name, *WAYS[name]) for name in (JETSTREAM, ZMQ, MANAGER))]


@pytest.fixture
def played(monkeypatch):
    """Everybody moves ten items a second; multiprocessing is not there."""
    monkeypatch.setattr(table, "absent", lambda: {MANAGER: "multiprocessing not installed"})
    monkeypatch.setattr(queues, "rate", lambda crew, count, seconds: 10.0)
    return {each.name: each for each in PARTS["queues"](Settings(repeats=1))}


def test_there_is_a_table_for_each_size_and_number_of_consumers(played):
    assert list(played) == ["queues", *summary.QUEUES]
    for name in summary.QUEUES:
        assert played[name].ours == [str(each) for each in queues.OURS]


def test_who_is_not_installed_is_left_out_with_the_reason(played):
    shown = played["queues-64-4"]
    assert MANAGER not in {row.name for row in shown.rows}
    assert f"{MANAGER} is left out: multiprocessing not installed." in shown.remarks


def test_goals_are_about_ours_that_promises_the_same_and_has_the_same_face(played):
    wishes = {row.name: row.wish for row in played["queues-64-1"].rows if row.wish}
    assert wishes == {
        JETSTREAM: table.Wish(5.0, "meshcluster, async: acks, unix"),
        ZMQ: table.Wish(0.5, "meshcluster, blocking: at_most_once, unix"),
    }


def test_only_the_peers_that_are_named_take_part(monkeypatch):
    monkeypatch.setattr(queues, "rate", lambda crew, count, seconds: 10.0)
    monkeypatch.setattr(table, "absent", dict)
    tables = list(queues.run(Settings(repeats=1, peers=("nats",))))
    assert [{row.name for row in each.rows} & set(WAYS) for each in tables[1:]] == [{JETSTREAM}] * 4


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("entrant", installed(*PUTTERS))
def test_items_come_to_two_consumers(entrant):
    with crew(entrant) as members:
        assert queues.rate(members, 2, 0.1) > 0
