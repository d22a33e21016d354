"""The options of every command, before its name and after it."""

from pathlib import Path

import click
import pytest

from meshcluster.cli.options import Command, Settings, options_of_all
from meshcluster.config import DEFAULT_PORT


@click.group(params=options_of_all(environment=True))
@click.pass_context
def group(ctx, **given):
    ctx.obj = Settings().changed(given)


@group.command(cls=Command)
@click.argument("word")
def show(settings: Settings, word: str) -> tuple[str, Settings]:
    return word, settings


def parsed(*arguments: str) -> Settings:
    word, settings = group.main([*arguments], standalone_mode=False)
    assert word == "x"
    return settings


def test_without_any_the_defaults_hold(monkeypatch) -> None:
    monkeypatch.delenv("MESHCLUSTER_PORT")
    assert parsed("show", "x") == Settings("default", 0, None, False, 10.0)


@pytest.mark.parametrize("before", [True, False])
def test_each_may_stand_on_both_sides(before) -> None:
    given = ["--cluster", "c", "--ttl", "2", "--port", "4000", "--json", "--timeout", "0.5"]
    words = [*given, "show", "x"] if before else ["show", "x", *given]
    assert parsed(*words) == Settings("c", 2, 4000, True, 0.5)


def test_what_stands_after_wins_then_before_then_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("MESHCLUSTER_CLUSTER", "of the environment")
    monkeypatch.setenv("MESHCLUSTER_TTL", "1")
    monkeypatch.setenv("MESHCLUSTER_PORT", "4000")
    monkeypatch.setenv("MESHCLUSTER_TIMEOUT", "3")
    monkeypatch.setenv("MESHCLUSTER_JSON", "1")
    settings = parsed("--cluster", "before", "--ttl", "2", "show", "x", "--ttl", "0")
    assert settings == Settings("before", 0, 4000, False, 3.0)


def test_interfaces_may_be_chosen_many_times(monkeypatch) -> None:
    given = parsed("show", "x", "--interface", "eth0", "--interface", "!docker*")
    assert given.joining["interfaces"] == ("eth0", "!docker*")
    monkeypatch.setenv("MESHCLUSTER_INTERFACE", "eth0 wlan0")
    assert parsed("show", "x").interface == ("eth0", "wlan0")
    with pytest.raises(click.BadParameter, match="no network"):
        parsed("show", "x", "--interface", "10.0.0.0/99")


def test_zero_is_a_value_like_others() -> None:
    assert parsed("--ttl", "2", "show", "x", "--ttl", "0").ttl == 0


def test_they_say_how_to_join() -> None:
    assert Settings().joining == {"cluster": "default", "ttl": 0}
    assert Settings("c", 1, 4000).joining == {"cluster": "c", "ttl": 1, "port": 4000}


def test_a_secret_is_given_as_a_file_only(monkeypatch) -> None:
    assert parsed("show", "x", "--secret-file", "a.key").joining["secret"] == Path("a.key")
    assert parsed("--secret-file", "a.key", "show", "x").joining["secret"] == Path("a.key")
    for option in options_of_all():
        assert not {"--secret", "--key", "--passphrase"} & set(option.opts)
    monkeypatch.setenv("MESHCLUSTER_SECRET_FILE", "b.key")  # is for join to read
    assert "secret" not in parsed("show", "x").joining


def test_a_group_may_come_from_the_environment(monkeypatch) -> None:
    assert parsed("show", "x", "--group", "staff").joining["group"] == "staff"
    monkeypatch.setenv("MESHCLUSTER_GROUP", "games")
    assert parsed("show", "x").joining["group"] == "games"
    assert "group" not in Settings().joining


def test_the_help_tells_the_true_default_port() -> None:
    (port,) = (option for option in options_of_all() if option.name == "port")
    assert f"[{DEFAULT_PORT}]" in port.help


def test_seeds_may_be_many_and_after_the_command_they_stand_for_those_before(monkeypatch) -> None:
    assert parsed("--seed", "10.0.0.5", "--seed", "mesh.test:4000", "show", "x").seed == (
        "10.0.0.5", "mesh.test:4000",
    )  # fmt: skip
    assert parsed("--seed", "10.0.0.5", "show", "x", "--seed", "::1").seed == ("::1",)
    monkeypatch.setenv("MESHCLUSTER_SEED", "one.test two.test")
    assert parsed("show", "x").joining["seeds"] == ("one.test", "two.test")


def test_what_is_no_seed_is_a_wrong_usage() -> None:
    with pytest.raises(click.BadParameter, match="an IP address or a name"):
        parsed("show", "x", "--seed", "10.0.0.5:port")


def test_mdns_can_be_left_out(monkeypatch) -> None:
    assert "mdns" not in parsed("show", "x").joining
    assert parsed("show", "x", "--no-mdns").joining["mdns"] is False
    assert parsed("--no-mdns", "show", "x").joining["mdns"] is False
    for said, left_out in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("MESHCLUSTER_NO_MDNS", said)
        assert parsed("show", "x").no_mdns is left_out
    monkeypatch.setenv("MESHCLUSTER_NO_MDNS", "perhaps")
    with pytest.raises(click.BadParameter, match="perhaps"):
        parsed("show", "x")
