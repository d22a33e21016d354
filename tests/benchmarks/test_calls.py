"""What calls are measured beside what is played; who makes them does so for a moment."""

import pytest

from benchmarks import entrants, table
from benchmarks.entrants import GRPC_AWAITED, NATS, PYRO, RPYC, WAYS, Entrant
from benchmarks.parts import PARTS, asking, calls
from benchmarks.settings import Settings
from benchmarks.task import FUNCTIONS
from tests.benchmarks.test_peers import crew, installed

CALLERS = [*calls.AWAITED[:2], calls.BLOCKING[2], Entrant(GRPC_AWAITED, *WAYS[GRPC_AWAITED])]
"""Each face, and each way of exposing; how peers are called is tested with the part ``peers``."""


@pytest.fixture
def played(monkeypatch):
    """Every entrant takes ten microseconds, or has ten answers a second; rpyc is not there."""

    def measured(plan, settings, **more):
        return table.run(plan, settings.repeats, lambda entrant: table.Figure(10.0))

    monkeypatch.setattr(table, "absent", lambda: {RPYC: "rpyc not installed"})
    monkeypatch.setattr(asking, "run", measured)
    monkeypatch.setattr(asking, "at_once", measured)
    return {each.name: each for each in PARTS["calls"](Settings(repeats=1))}


def test_each_table_has_ours_by_every_kind_of_function(played):
    assert list(played) == ["calls", "calls-sync", "calls-async", "calls-inflight"]
    for name, faces in (("sync", 1), ("async", 1), ("inflight", 2)):
        assert len(played[f"calls-{name}"].ours) == faces * len(FUNCTIONS)


def test_who_is_not_installed_is_left_out_with_the_reason(played):
    for name in ("calls-sync", "calls-inflight"):
        assert RPYC not in {row.name for row in played[name].rows}
        assert "rpyc is left out: rpyc not installed." in played[name].remarks


def test_goals_are_about_functions_in_the_loop(played):
    wishes = {row.name: row.wish for row in played["calls-inflight"].rows if row.wish}
    assert set(wishes) == {PYRO, entrants.PYRO_BATCHES, NATS}  # and rpyc, were it here
    assert set(wishes.values()) == {table.Wish(3.0, "meshcluster, async: in_loop, unix")}


def test_only_the_peers_that_are_named_take_part(monkeypatch):
    plans = []
    monkeypatch.setattr(asking, "run", lambda plan, settings, **more: plans.append(plan))
    monkeypatch.setattr(asking, "at_once", lambda plan, settings: plans.append(plan))
    list(calls.run(Settings(peers=("grpc",))))
    assert [{each.name for each in plan.entrants} & set(WAYS) for plan in plans] == [
        {"grpc"}, {GRPC_AWAITED}, {"grpc", GRPC_AWAITED}
    ]  # fmt: skip


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("entrant", installed(*CALLERS))
def test_calls_are_answered(entrant):
    with crew(entrant) as members:
        members.start("respond").hear()
        in_turns, at_once = members.start("ask"), members.start("ask_many")
        assert at_once.hear()["rate"] > 0
        got = in_turns.hear()
        assert got["lost"] == 0
        assert got["median"] > 0
