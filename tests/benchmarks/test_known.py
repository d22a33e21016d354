"""Memory is told for each member, however it is known."""

from benchmarks.parts import PARTS, known


def test_one_told_of_costs_less_than_one_with_a_session():
    table = known.measured(members=300, rounds=1)  # more than may come at once elsewhere
    proven, told, session = [row.median for row in table.rows]
    assert 0 < told < proven < session
    assert table.rows[0].also["MiB of all"] > 0
    assert PARTS["known"] is known.run
