"""The judge of acknowledged sends finds whatever may not be."""

import pytest

from meshcluster import NoRoute, OutcomeUnknown, RemoteError
from meshcluster.model import Identity, Service
from meshcluster.testing.ledger import OK, OPEN, RAISED, UNKNOWN, UNSENT, Ledger, outcome_of

BOB = Service(Identity(b"b" * 16, 1, "bob", "host"))


def ledger(*calls, handled=()):
    """Calls of a to b, as (number, outcome); handlings as (number, raised)."""
    made = Ledger()
    for number, outcome in calls:
        made.began("a", number, "b")
        made.ended("a", number, outcome)
    for number, raised in handled:
        made.handled("b", "a", number, raised=raised)
    return made


def test_the_outcome_is_told_by_what_is_raised():
    errors = [None, RemoteError(BOB, "ValueError", "no"), OutcomeUnknown(BOB, "gone"), NoRoute("")]
    assert [outcome_of(error) for error in errors] == [OK, RAISED, UNKNOWN, UNSENT]


def test_what_may_be_is_no_fault():
    made = ledger(
        (0, OK), (1, RAISED), (2, UNKNOWN), (3, UNKNOWN), (4, UNSENT), (5, OPEN), (6, OPEN),
        handled=[(0, False), (1, True), (2, True), (5, False)],
    )  # fmt: skip
    assert made.faults() == {}
    assert repr(made) == "1 ok, 2 open, 1 raised, 2 unknown, 1 unsent; 4 handled; no fault"


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        ("lost", ledger((1, OK))),
        ("lost", ledger((1, RAISED))),
        ("handled too often", ledger((1, OK), handled=[(1, False), (1, False)])),
        ("handled too often", ledger((1, UNKNOWN), handled=[(1, False), (1, False)])),
        ("handled too often", ledger((1, UNSENT), handled=[(1, False)])),
        ("handled too often", ledger((1, OPEN), handled=[(1, False), (1, True)])),
        ("another outcome than was told", ledger((1, OK), handled=[(1, True)])),
        ("another outcome than was told", ledger((1, RAISED), handled=[(1, False)])),
        ("handled out of order", ledger((1, OK), (2, OK), handled=[(2, False), (1, False)])),
        ("handled by a run it was not sent to", ledger(handled=[(1, False)])),
    ],
)
def test_what_may_not_be_is_one(fault, made):
    assert list(made.faults()) == [fault], made


def test_another_run_of_the_receiver_may_not_have_it():
    made = ledger((1, UNKNOWN))
    made.handled("b's next run", "a", 1, raised=False)
    assert list(made.faults()) == ["handled by a run it was not sent to"]


def test_the_lines_of_a_run_that_was_killed_are_read_to_the_last_whole_one():
    made = Ledger()
    made.read("b", ["h a 1 0\n", "h a 2 1\n", "h a 3"])
    made.read("a", ["b 1 b\n", "b 2 b\n", "b 3 b\n", "e 1 ok\n", "e 2 raised\n", "e 3 o"])
    assert made.outcomes == {OK: 1, RAISED: 1, OPEN: 1}
    assert made.faults() == {}
