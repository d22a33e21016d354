"""What paths mean: a source's name, whether its contents are meant, where relative ones start."""

import os
from pathlib import Path

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs import origin
from meshcluster.jobs.origin import EMPTY, FILE, FULL, MISSING, Origin


@pytest.mark.parametrize(
    ("path", "contents", "name", "folder"),
    [
        ("/srv/app", False, "app", "/srv"),
        ("/srv/app//", True, "", "/srv/app"),
        ("./app", False, "app", "."),
        ("./", True, "", "."),
        ("/", True, "", "/"),
        ("/srv/.", True, "", "/srv/."),
        ("../..", True, "", "../.."),
        ("~", False, "~", "."),
    ],
)
def test_a_slash_or_dots_at_the_end_mean_the_contents(path, contents, name, folder):
    found = origin.origin(path)
    assert (found.contents, found.name, found.folder) == (contents, name, folder)


def test_sources_are_single_or_in_nested_lists():
    assert origin.texts("sources", Path("a")) == origin.texts("sources", "a") == ["a"]
    assert origin.texts("sources", ["a/", [Path("b"), ("c",)]]) == ["a/", "b", "c"]


@pytest.mark.parametrize("wrong", [[], "", ["a", ""], 7, b"a", "a\0b", None])
def test_what_is_no_source_is_told(wrong):
    with pytest.raises(ConfigError, match=r"^sources="):
        origin.texts("sources", wrong)


def test_a_path_of_this_machine_is_never_an_option_nor_a_hosts(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    given = ("-rf", "host:file", "/etc", "~/x/", "~ada")
    assert [*map(origin.here, given)] == ["./-rf", "./host:file", "/etc", "/home/ada/x/", "./~ada"]


def test_a_path_of_a_site_starts_where_its_commands_do():
    given = ("x", "/x", "~/x", "~", "-x", "")
    assert [origin.there(each, None) for each in given] == ["./x", "/x", "~/x", "~", "./-x", "./"]
    assert [origin.there(each, "~/app") for each in given] == [
        "~/app/x", "/x", "~/x", "~", "~/app/-x", "~/app/",
    ]  # fmt: skip
    assert origin.there("x", "app") == "./app/x"


def test_the_home_directory_there_is_named_by_its_shell():
    assert origin.shell_word("~/a b") == "\"$HOME\"/'a b'"
    assert (origin.shell_word("~"), origin.shell_word("~/")) == ('"$HOME"', '"$HOME"/')
    assert origin.shell_word("./$x") == "'./$x'"


def test_what_there_is_here(tmp_path):
    (tmp_path / "full" / "empty").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "link").symlink_to("full")
    kinds = {
        ("full", False): FULL, ("full", True): FULL, ("full/empty", False): EMPTY,
        ("file", False): FILE, ("file", True): MISSING, ("file/x", False): MISSING,
        ("dangling", False): FILE, ("dangling", True): MISSING, ("none", False): MISSING,
        ("link", False): FILE, ("link", True): FULL,
    }  # fmt: skip
    found = {
        (path, contents): origin.kind_here(Origin(os.fspath(tmp_path / path), contents))
        for path, contents in kinds
    }
    assert found == kinds
