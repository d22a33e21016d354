"""A job has a name, and parts: functions, each with the roles they are for."""

import functools

import pytest

from meshcluster import ConfigError, Sites
from meshcluster.jobs.job import Job


def restart(action):
    """Restarts it.

    In more words.
    """


def check(action):
    pass


def sites():
    made = Sites()
    made.add(["s1", "s2"], "app")
    made.add("s3", "db")
    return made


@pytest.mark.parametrize("name", ["", "two words", "a,b", None, 7, ["a"]])
def test_a_name_is_one(name):
    with pytest.raises(ConfigError, match="a name has letters"):
        Job(name)


@pytest.mark.parametrize("wrong", [7, "restart", [restart, None]])
def test_an_action_is_a_function(wrong):
    job = Job("a")
    with pytest.raises(ConfigError, match="is no function"):
        job.add("app", wrong)
    assert job.parts == []


def test_parts_add_up_each_for_its_own_roles():
    job, all_ = Job("a"), sites()
    job.add("app", [restart, [check]])
    job.add(["db", "s1"], check)
    assert job.sites(all_, None) == ["s1", "s2", "s3"]
    assert job.functions(all_.get("s1")) == [restart, check, check]
    assert job.functions(all_.get("s2")) == [restart, check]
    assert job.functions(all_.get("s3")) == [check]
    assert job.roles == "app, db, s1"
    assert repr(job) == "<Job a on app, db, s1>"


def test_a_filter_limits_it():
    job = Job("a")
    job.add("app", restart)
    assert job.sites(sites(), "s2 | db") == ["s2"]


def test_the_same_function_twice_is_done_twice():
    job = Job("a")
    job.add("app", restart)
    job.add("app", restart)
    assert job.functions(sites().get("s1")) == [restart, restart]


def test_what_it_is_about_is_the_first_line_of_the_first_docstring():
    job = Job("a")
    assert job.about == ""
    job.add("app", [check, restart])
    assert job.about == "Restarts it."


def test_a_partial_is_about_what_its_function_is():
    job = Job("a")
    job.add("app", functools.partial(functools.partial(restart), action=1))
    assert job.about == "Restarts it."
