"""What our dispatcher is measured beside what is played; who has work does so for a moment."""

import itertools
import math
from contextlib import contextmanager

import pytest

from benchmarks import summary, table
from benchmarks.entrants import DISPATCHED, EXECNET, EXECNET_BATCHES, FABRIC, PARALLEL_SSH, Entrant
from benchmarks.members import load
from benchmarks.parts import PARTS, ssh
from benchmarks.settings import Settings
from benchmarks.task import SSH, Task
from tests.benchmarks.test_peers import installed

EACH, BATCHES = ssh.EACH, ssh.BATCHES
THEIRS = [Entrant(name, SSH) for name in (EXECNET, EXECNET_BATCHES, FABRIC, PARALLEL_SSH)]
LACKING = ssh.lacking()
needs_server = pytest.mark.skipif(bool(LACKING), reason=LACKING)
TASK = Task(member="", role="work", way=SSH, folder="", port=0, seconds=0.01)
SHORT = Settings(repeats=1, seconds=0.02)


@contextmanager
def nobody():
    yield None


@pytest.fixture
def all_play(monkeypatch):
    """Everybody has ten results a second; Fabric is not there."""
    monkeypatch.setattr(table, "absent", lambda: {FABRIC: "fabric not installed"})
    monkeypatch.setattr(ssh, "rate", lambda entrant, server, settings, workers: 10.0)
    monkeypatch.setattr(ssh, "serving", nobody)
    monkeypatch.setattr(ssh, "client_version", lambda: "OpenSSH_0")


@pytest.fixture
def played(all_play):
    return {each.name: each for each in PARTS["ssh"](Settings(repeats=1))}


@pytest.fixture(scope="module")
def server():
    with ssh.serving() as server:
        yield server


def test_there_is_a_table_of_one_at_a_time_and_one_of_many(played):
    assert list(played) == ["ssh", *summary.SSH]
    assert played["ssh-one"].ours == [str(ssh.ONE)]
    assert played["ssh-many"].ours == [str(EACH), str(BATCHES)]


def test_each_table_has_a_column_in_short_for_each_of_ours(played):
    told = summary.of(played.values())
    assert told.startswith("### ssh, in short")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in told.splitlines()]
    assert ["One after the other, one worker", "submit, ssh"] in cells
    assert ["execnet, ssh", "1.00x (1x: met)"] in cells
    assert ["Many, four workers", "map, ssh", "map, 100 a task, ssh"] in cells
    assert ["execnet, 100 a message, ssh", "1.00x", "1.00x (1x: met)"] in cells


def test_who_is_not_installed_is_left_out_with_the_reason(played):
    for name in summary.SSH:
        assert FABRIC not in {row.name for row in played[name].rows}
        assert "Fabric is left out: fabric not installed." in played[name].remarks


def test_goals_are_about_ours_that_is_handed_as_much_at_once(played):
    wishes = {row.name: row.wish for row in played["ssh-many"].rows if row.wish}
    assert wishes == {
        EXECNET: table.Wish(1.0, str(EACH)),
        EXECNET_BATCHES: table.Wish(1.0, str(BATCHES)),
        PARALLEL_SSH: table.Wish(10.0, str(EACH)),
    }  # and Fabric, were it here
    one = {row.name: row.wish for row in played["ssh-one"].rows if row.wish}
    assert one == {
        EXECNET: table.Wish(1.0, str(ssh.ONE)), PARALLEL_SSH: table.Wish(10.0, str(ssh.ONE))
    }  # fmt: skip


def test_only_the_peers_that_are_named_take_part(all_play, monkeypatch):
    monkeypatch.setattr(table, "absent", dict)
    _, *tables = ssh.run(Settings(repeats=1, peers=(EXECNET,)))
    theirs = [{row.name for row in each.rows} - set(DISPATCHED) for each in tables]
    assert theirs == [{EXECNET}, {EXECNET, EXECNET_BATCHES}]


def test_without_a_server_the_part_says_why_it_is_left_out(monkeypatch):
    monkeypatch.setattr(ssh, "lacking", lambda: "sshd not installed")
    (only,) = ssh.run(SHORT)
    assert only.rows == []
    assert "Left out: sshd not installed." in only.remarks


@pytest.mark.process
@needs_server
def test_a_server_that_nobody_gets_into_is_told_of(monkeypatch):
    monkeypatch.setattr(ssh, "SETTINGS", "\nPubkeyAuthentication no\n")
    monkeypatch.setattr(ssh, "READY_SECONDS", 0.0)
    (only,) = ssh.run(SHORT)
    assert "Left out: the client does not get into the server: " in only.remarks[-2]


def test_square_roots_of_different_numbers_are_counted():
    assert load.work(map(math.sqrt, itertools.count()), TASK)["rate"] > 0


@pytest.mark.parametrize(
    "results", [itertools.repeat(2.0), itertools.count(0.5)], ids=["come twice", "are wrong"]
)
def test_results_are_not_counted_that(results):
    with pytest.raises(ValueError, match="not the square roots of so many numbers"):
        load.work(results, TASK)


@pytest.mark.process
@pytest.mark.slow
@needs_server
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("entrant", installed(ssh.ONE, EACH, BATCHES, *THEIRS))
def test_work_is_done_and_each_result_is_right(entrant, workers, server):
    assert ssh.rate(entrant, server, SHORT, workers) > 0
