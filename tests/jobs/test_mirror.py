"""No mirror to the root, to the home directory or around it, and none of what is empty."""

import os

import pytest

from meshcluster.errors import TransferFailed
from meshcluster.jobs.mirror import refuse_empty, refuse_places, refuse_places_here, targets
from meshcluster.jobs.origin import EMPTY, FILE, FULL, Origin

HOMES = ("/home/ada", "/mnt/homes/ada")
ROOTS = [
    "/", "//", "/.", "/etc/..", "/../..", ".", "./", "~", "~/", "~/.", "~/x/..", "x/..", "..",
    "/home/ada", "/home/ada/", "/home/./ada", "/home", "/mnt/homes/ada", "/mnt", "//home/ada",
]  # fmt: skip


@pytest.mark.parametrize("place", ROOTS)
def test_places_that_nobody_means(place):
    with pytest.raises(TransferFailed, match=r"^s1: no mirror to .*: name a directory of its own"):
        refuse_places([place], HOMES, "/home/ada", [""], "s1")


@pytest.mark.parametrize("place", ["~/x", "x", "/srv/app/", "/home/adam", "/home/ada/.x", "../bob"])
def test_a_directory_of_its_own_is_no_such_place(place):
    assert refuse_places([place], HOMES, "/home/ada", ["/srv/truly"], "s1") is None


def test_a_link_to_such_a_place_is_one():
    with pytest.raises(TransferFailed, match="'/home/ada'"):
        refuse_places(["/srv/link"], HOMES, "/", ["/home/ada"], "s1")


def test_here_links_are_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    refuse_places_here([str(tmp_path / "home" / "x")])
    for place in ("link", "home/x/..", "."):
        with pytest.raises(TransferFailed, match=r"^here: no mirror to"):
            refuse_places_here([os.path.join(tmp_path, place)])


def test_a_directory_that_is_brought_whole_is_mirrored_below_the_target():
    given = [Origin("a/b", False), Origin("c", True), Origin("file", False)]
    assert targets(given, (FULL, EMPTY, FILE), "/home") == ["/home", "/home/b"]


def test_of_several_sources_none_is_empty():
    given = [Origin("a", False), Origin("b", True)]
    refuse_empty(given, (FULL, FILE), "s1")
    with pytest.raises(TransferFailed, match=r"^s1: 'b' has nothing in it"):
        refuse_empty(given, (FULL, EMPTY), "s1")
