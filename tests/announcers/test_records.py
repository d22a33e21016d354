"""Records are hints: given at once, then ever less often, and never for who is known."""

from itertools import pairwise

from meshcluster.announcers.records import LAST_RETRY_SECONDS, SEEN_RECORDS, Records
from meshcluster.wire.txt import Record


def record(number=1, version=1):
    return Record("c", "g", bytes([number % 256]) * 16, number, version, b"", (), 5000, 1)


def due(records, now, *known):
    return [address for _, (address, _) in records.due(known, now)]


def test_a_new_record_is_a_hint_at_once_and_then_ever_less_often():
    records = Records()
    records.saw("a", record(), ["10.0.0.1"])
    times = [now for now in range(200) if due(records, now)]
    assert times[:4] == [0, 2, 6, 14]
    gaps = {later - earlier for earlier, later in pairwise(times[4:])}
    assert gaps == {LAST_RETRY_SECONDS}


def test_its_addresses_take_turns():
    records = Records()
    records.saw("a", record(), ["10.0.0.1", "10.0.1.1"])
    found = [ip for now in range(10) for ip in due(records, now)]
    assert found == ["10.0.0.1", "10.0.1.1", "10.0.0.1", "10.0.1.1"]


def test_who_is_known_is_not_looked_for_until_it_is_lost():
    records, known = Records(), record().id
    records.saw("a", record(), ["10.0.0.1"])
    assert due(records, 0) == ["10.0.0.1"]
    assert due(records, 100, known) == []
    assert due(records, 101) == ["10.0.0.1"]


def test_a_change_is_told_of_a_member_too():
    records, known = Records(), record().id
    records.saw("a", record(), ["10.0.0.1"])
    assert len(due(records, 0, known)) == 1
    records.saw("a", record(), ["10.0.0.1"])
    assert due(records, 0, known) == []
    records.saw("a", record(version=2), ["10.0.0.1"])
    assert len(due(records, 0, known)) == 1


def test_what_was_removed_is_no_hint_any_more():
    records = Records()
    records.saw("a", record(), ["10.0.0.1"])
    assert records.removed("a") == record()
    assert records.removed("a") is None
    assert due(records, 0) == []


def test_strangers_fill_it_to_its_limit_and_no_further():
    records = Records()
    taken = [records.saw(f"n{n}", record(n), ["10.0.0.1"]) for n in range(SEEN_RECORDS + 10)]
    assert taken.count(True) == len(records) == SEEN_RECORDS
    assert records.saw("n0", record(0, 2), ["10.0.0.1"])  # who is in may change
