"""Who goes next where there is room for so many."""

from meshcluster.jobs.gate import Gate
from meshcluster.jobs.outcomes import Pair
from meshcluster.jobs.stages import Lane


def lane(number, *pairs):
    """A lane of "position/site"."""
    split = [pair.split("/") for pair in pairs]
    return Lane(number, [Pair(int(at), "job", site) for at, site in split])


def gate(*lanes, max_parallel=None, per_host=None):
    made = Gate(max_parallel, per_host, lambda site: site[0])
    for each in lanes:
        made.push(each)
    return made


def sites_begun(of):
    begun = []
    while of.has_room and of.front():
        begun.append(of.begin())
    return [pair.site for pair in begun]


def test_the_earliest_in_the_plan_goes_first():
    assert sites_begun(gate(lane(2, "0/c"), lane(0, "1/a"), lane(1, "0/b"))) == ["b", "c", "a"]


def test_a_lane_whose_pairs_have_all_begun_does_not_wait():
    assert gate(lane(0)).front() is None


def test_a_lane_waits_again_only_when_it_is_pushed():
    one = lane(0, "0/a", "1/a")
    waiting = gate(one)
    assert waiting.begin().position == 0
    assert waiting.front() is None
    waiting.push(one)
    assert waiting.begin().position == 1


def test_there_is_room_for_so_many_in_all():
    waiting = gate(lane(0, "0/a"), lane(1, "0/b"), lane(2, "0/c"), max_parallel=2)
    assert sites_begun(waiting) == ["a", "b"]
    waiting.ended(Pair(0, "job", "a"))
    assert sites_begun(waiting) == ["c"]


def test_who_waits_for_a_host_does_not_hold_up_others():
    waiting = gate(lane(0, "0/a1"), lane(1, "0/a2"), lane(2, "0/b1"), per_host=1)
    assert sites_begun(waiting) == ["a1", "b1"]
    waiting.ended(Pair(0, "job", "a1"))
    assert sites_begun(waiting) == ["a2"]


def test_of_those_that_wait_for_a_host_the_earliest_goes_first():
    waiting = gate(lane(0, "0/a1"), lane(1, "5/a2"), lane(2, "3/a3"), per_host=1)
    sites_begun(waiting)
    waiting.ended(Pair(0, "job", "a1"))
    assert sites_begun(waiting) == ["a3"]


def test_what_is_dropped_takes_no_room():
    waiting = gate(lane(0, "0/a1"), lane(1, "0/a2"), lane(2, "0/a3", "1/a3"), per_host=1)
    sites_begun(waiting)
    waiting.ended(Pair(0, "job", "a1"))
    assert waiting.front() is not None
    assert waiting.drop().site == "a2"
    assert sites_begun(waiting) == ["a3"]


def test_when_it_is_cleared_nobody_waits():
    waiting = gate(lane(0, "0/a1"), lane(1, "0/a2"), lane(2, "0/a3"), per_host=1, max_parallel=1)
    sites_begun(waiting)
    waiting.clear()
    waiting.ended(Pair(0, "job", "a1"))
    assert waiting.front() is None
