"""A mesh of which most members are played is to the real ones as one in which all are real."""

import pytest

from benchmarks.membership.cold import start
from benchmarks.membership.mesh import PlayedMesh
from benchmarks.membership.roster import numbers
from benchmarks.membership.starting import load, main

MEMBERS = 120


@pytest.fixture(scope="module")
def both():
    """Started with all members real, and with a few."""
    return [start(MEMBERS, real, seed=1, seconds=5) for real in (MEMBERS, 10)]


def test_real_members_agree_as_soon_as_if_all_were_real(both):
    for each in both:
        assert each.agreed is not None
        assert each.agreed < 5
        assert each.shares["0.01"] < each.shares["0.1"] < 1.0


def test_as_much_is_said_to_the_group(both):
    real, played = both
    assert played.group["Beacon"] == pytest.approx(real.group["Beacon"], rel=0.1)
    assert played.group["Vouch"] == pytest.approx(real.group["Vouch"], rel=0.35)
    assert played.beacons == pytest.approx(real.beacons, rel=0.1)


def test_as_much_is_said_to_one(both):
    real, played = both
    assert played.others["ProbeAck"] == pytest.approx(real.others["ProbeAck"], rel=0.15)
    assert played.questions == pytest.approx(real.questions, rel=0.3)
    assert not [kind for kind in played.others if kind.startswith("not played")]


def test_nobody_is_suspected():
    mesh = PlayedMesh(2, 100, 5)
    mesh.run(seconds=15)
    assert mesh.agreed()
    assert {what for member in mesh.members for _, what, _ in member.log} == {"discovered"}
    assert [each for each in mesh.played if not each.settled] == []


def test_a_fingerprint_is_that_of_a_real_member():
    mesh = PlayedMesh(3, 80, 2)
    mesh.run(seconds=10)
    (first, second), roster = mesh.members, mesh.roster
    mask = roster.mask([first.node.identity.key, *(p.key for p in first.node.peers)])
    assert numbers(mask) == list(range(80))
    assert first.node._views.fingerprint == second.node._views.fingerprint
    assert roster.fingerprint(mask) == first.node._views.fingerprint


def test_runs_are_kept_and_shown(tmp_path):
    kept, shown = tmp_path / "kept.jsonl", tmp_path / "shown.md"
    given = ["--members", "20", "--real", "3", "--seconds", "2"]
    given += ["--kept", str(kept), "--page", str(shown)]
    assert main(given) == main(given) == 0
    (one,) = load(kept)
    assert (one.members, one.real) == (20, 3)
    assert "| 20      | 3" in shown.read_text()
