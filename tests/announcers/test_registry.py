"""Announcers of other packages by name; ours are nobody else's."""

import pytest

from meshcluster import PluginError
from meshcluster.announcers import Context, known_announcers, load
from meshcluster.announcers.registry import BUILT_IN, installed


@pytest.fixture
def offer(install):
    """Installs a package that offers an announcer."""

    def offer(package, name):
        code = "class Announcer:\n    __init__ = print\n"
        install(package, "meshcluster.announcers", name, f"{package}:Announcer", code)

    return offer


@pytest.fixture
def context(tmp_path):
    return Context("default", "239.0.0.1:1", bytes(16), 0, 0, tmp_path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_ours_are_where_the_table_says(name):
    assert installed().load(name).__name__ == f"{name.title()}Announcer"


def test_one_is_found_by_its_entry_point(offer, context):
    offer("found_announcer", "lamp")
    assert "lamp" in known_announcers()
    assert not set(known_announcers()) & set(BUILT_IN)
    assert type(load("lamp", context)).__module__ == "found_announcer"


def test_a_name_claimed_twice_names_both(offer, context):
    offer("first_announcer", "lamp")
    offer("second_announcer", "lamp")
    with pytest.raises(PluginError, match=r"announcer 'lamp' is .* first_announcer .* and second_"):
        load("lamp", context)


def test_a_package_that_claims_one_of_ours_is_named(offer, context):
    offer("evil_announcer", "mdns")
    with pytest.raises(PluginError, match=r"meshcluster itself \(.*\) and evil_announcer"):
        load("mdns", context)
