"""What a run can be asked for, and what is said of what it cannot."""

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.terms import Terms


def test_what_is_not_given():
    terms = Terms()
    assert (terms.schedule, terms.order) == ("site-sequential", "job")
    assert (terms.break_on_error, terms.cancel_running, terms.live) == (False, False, False)
    assert (terms.recheck, terms.allow_missing, terms.require_sites) == (True, False, False)
    assert terms.max_parallel is terms.per_host is terms.batches is terms.max_fail is None
    assert terms.timeout is terms.roles is None


@pytest.mark.parametrize(
    "good",
    [
        {"batches": [1, "10%", 5]},
        {"batches": "12.5%"},
        {"batches": "100%"},
        {"max_fail": 0},
        {"max_fail": "0%"},
        {"require_sites": 3},
        {"timeout": 1},
        {"schedule": "atomic", "order": "site"},
        {"roles": ["app", "db"]},
    ],
)
def test_what_works(good):
    assert Terms(**good) == Terms().changed(**good)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"schedule": "sequentiel"}, "schedule='sequentiel': one of .*did you mean 'sequential'"),
        ({"schedule": None}, "schedule=None: one of"),
        ({"schedule": "atomic", "order": "host"}, "order='host': one of 'job', 'site'"),
        ({"order": "site"}, 'order="site" is for schedule="atomic"'),
        ({"break_on_error": 1}, "break_on_error=1: True or False"),
        ({"live": "yes"}, "live='yes': True or False"),
        ({"max_parallel": 0}, "max_parallel=0: a whole number of 1 or more"),
        ({"per_host": True}, "per_host=True: a whole number"),
        ({"batches": 0}, "batches=0: 1 or more sites"),
        ({"batches": []}, r"batches=\(\): 1 or more"),
        ({"batches": [2, "0%"]}, r"batches=\(2, '0%'\): 1 or more"),
        ({"batches": "101%"}, "batches='101%': 1 or more"),
        ({"batches": "half"}, "batches='half': 1 or more"),
        ({"max_fail": -1}, "max_fail=-1: 0 or more sites"),
        ({"max_fail": 0.5}, "max_fail=0.5: 0 or more sites"),
        ({"require_sites": -1}, "require_sites=-1: True, False or a number"),
        ({"timeout": 0}, "timeout=0: seconds, more than 0"),
        ({"timeout": float("inf")}, "timeout=inf: seconds"),
        ({"timeout": True}, "timeout=True: seconds"),
    ],
)
def test_what_cannot_work_is_refused_by_name(bad, said):
    with pytest.raises(ConfigError, match=said):
        Terms(**bad)


def test_inherited_options_stay_and_given_ones_replace_them():
    terms = Terms(max_parallel=3, break_on_error=True).changed(break_on_error=False, per_host=1)
    assert terms == Terms(max_parallel=3, per_host=1)


def test_an_unknown_option_is_refused_with_what_may_be_meant():
    with pytest.raises(ConfigError, match=r"break_on_eror=: .*did you mean 'break_on_error'"):
        Terms().changed(break_on_eror=True)


def test_a_changed_value_is_checked():
    with pytest.raises(ConfigError, match="max_parallel"):
        Terms().changed(max_parallel=-1)


def test_another_schedule_drops_the_order_that_it_cannot_have():
    rolling = Terms(schedule="atomic", order="site")
    assert rolling.changed(schedule="parallel").order == "job"
    assert rolling.changed(max_parallel=1).order == "site"
    with pytest.raises(ConfigError, match="order"):
        rolling.changed(schedule="parallel", order="site")


# --- portions and shares --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batches", "sizes"),
    [
        (None, [10]),
        (4, [4, 4, 2]),
        (100, [10]),
        ("25%", [2, 2, 2, 2, 2]),
        ("1%", [1] * 10),
        ([1, 3], [1, 3, 3, 3]),
        ([1, "20%", "100%"], [1, 2, 7]),
    ],
)
def test_sites_are_divided(batches, sizes):
    sites = [f"s{number}" for number in range(10)]
    portions = Terms(batches=batches).portions(sites)
    assert [len(portion) for portion in portions] == sizes
    assert [site for portion in portions for site in portion] == sites


def test_no_sites_have_no_portions():
    assert Terms(batches=[1, 2]).portions([]) == Terms().portions([]) == []


def test_further_sites_are_divided_as_the_list_goes_on():
    terms = Terms(batches=[1, "50%"])
    assert terms.portions(list("abc"), of=4, after=1) == [("a", "b"), ("c",)]


@pytest.mark.parametrize(
    ("max_fail", "sites", "allowed"),
    [(None, 10, None), (0, 10, 0), (3, 10, 3), ("25%", 10, 2), ("29%", 100, 29), ("1%", 10, 0)],
)
def test_so_many_may_fail(max_fail, sites, allowed):
    assert Terms(max_fail=max_fail).may_fail(sites) == allowed
