"""Where commands run: hosts, files and members as sites, and what is said when nobody is meant."""

import click
import pytest

import meshcluster
from meshcluster.cli.options import Settings
from meshcluster.cli.places import client_is_here, followed, nobody, of_file, of_hosts, ssh_keys
from meshcluster.jobs.sites import Sites

KEYS = {"connect_timeout": 10.0}


def test_hosts_are_sites_by_the_words_they_were_given_by() -> None:
    sites = of_hosts(["w1", "ada@w2:2222", "[fe80::1]:22"], KEYS)
    assert {site.name: site.address for site in sites} == {
        "w1": "w1", "ada@w2:2222": "ada@w2:2222", "fe80::1:22": "[fe80::1]:22",
    }  # fmt: skip
    assert all(site["connect_timeout"] == 10.0 for site in sites)


def test_ssh_counts_in_whole_seconds() -> None:
    assert ssh_keys(Settings(timeout=0.2), None) == {"connect_timeout": 1.0}
    assert ssh_keys(Settings(timeout=3.0), "f") == {"connect_timeout": 3.0, "ssh_config": "f"}


def test_the_configuration_of_ssh_is_for_hosts_that_have_none(tmp_path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text(
        '[sites.a]\nhost = "a"\n[sites.b]\nhost = "b"\nssh_config = "own"\n[sites.here]\n'
    )
    assert {site.name: site.get("ssh_config") for site in of_file(str(path), "mine")} == {
        "a": "mine", "b": "own", "here": None,
    }  # fmt: skip


def test_a_file_that_cannot_work_is_a_wrong_usage(tmp_path) -> None:
    path = tmp_path / "sites.toml"
    path.write_text("[sites.a]\nport = 0\n")
    with pytest.raises(click.UsageError, match=r"sites\.toml: \[sites\.a\]: port="):
        of_file(str(path), None)


def test_where_nobody_is_meant_it_is_said_who_is_there() -> None:
    sites = Sites()
    assert nobody(sites, ["app"], "in f") == "nobody is there in f"
    sites.add("a")
    assert nobody(sites, ["app"], "in f") == (
        "nobody has 'app' in f; there is a (no roles but their names)"
    )
    sites.add([f"web-{number}" for number in range(9)], ["web", "app"])
    assert nobody(sites, ["db", "!a"], "in f") == (
        "nobody has 'db' or '!a' in f; there are a, web-0, web-1, web-2, web-3, web-4, web-5, web-6"
        " and 2 more (roles: app, web)"
    )


def test_no_ssh_client_is_said_before_anything_runs(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(click.ClickException, match="no ssh client is found"):
        client_is_here()


@pytest.mark.parametrize(("via", "told"), [("mesh", ("mesh", None)), ("ssh", ("ssh", 10.0))])
def test_members_are_sites_by_their_tags_as_long_as_it_is_open(own_mesh, via, told) -> None:
    sites = Sites()
    with meshcluster.join(["app"], name="one"):
        with followed(Settings(), "run", sites, via=via, keys=KEYS,
                      is_somebody=lambda _: bool(sites.list("app"))):  # fmt: skip
            assert sites.list("app & one") == ["one"]
            site = sites.get("one")
            assert (site.via, site.get("connect_timeout")) == told
        assert len(sites) == 0
