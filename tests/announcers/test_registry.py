"""Announcers of other packages by name; ours are nobody else's."""

import pytest

from meshcluster import PluginError
from meshcluster.announcers import Context, known_announcers, load
from meshcluster.announcers.registry import BUILT_IN, installed


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package that offers an announcer, as pip would leave it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(package, name):
        (tmp_path / f"{package}.py").write_text("class Announcer:\n    __init__ = print\n")
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        points = f"[meshcluster.announcers]\n{name} = {package}:Announcer\n"
        (info / "entry_points.txt").write_text(points)

    return install


@pytest.fixture
def context(tmp_path):
    return Context("default", "239.0.0.1:1", bytes(16), 0, 0, tmp_path)


@pytest.mark.parametrize("name", BUILT_IN)
def test_ours_are_where_the_table_says(name):
    assert installed().load(name).__name__ == f"{name.title()}Announcer"


def test_one_is_found_by_its_entry_point(install, context):
    install("found_announcer", "lamp")
    assert "lamp" in known_announcers()
    assert not set(known_announcers()) & set(BUILT_IN)
    assert type(load("lamp", context)).__module__ == "found_announcer"


def test_a_name_claimed_twice_names_both(install, context):
    install("first_announcer", "lamp")
    install("second_announcer", "lamp")
    with pytest.raises(PluginError, match=r"announcer 'lamp' is .* first_announcer .* and second_"):
        load("lamp", context)


def test_a_package_that_claims_one_of_ours_is_named(install, context):
    install("evil_announcer", "mdns")
    with pytest.raises(PluginError, match=r"meshcluster itself \(.*\) and evil_announcer"):
        load("mdns", context)
