"""What somebody may have meant."""

from meshcluster.jobs.nearest import nearest


def test_the_most_like_are_named():
    assert nearest("deplyo", ["deploy", "check", "delay"]) == "; did you mean 'deploy' or 'delay'?"


def test_other_capitals_are_like():
    assert nearest("DB", ["db", "web"]) == "; did you mean 'db'?"


def test_where_none_is_like_few_are_all_named():
    assert nearest("x", ["web", "db"]) == "; there are: db, web"


def test_where_none_is_like_and_there_are_many_nothing_is_said():
    assert nearest("x", [f"job{number:03}" for number in range(100)]) == ""
    assert nearest("x", []) == ""
