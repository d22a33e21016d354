"""Settings are frozen and checked when made; the text of an error names the setting."""

import dataclasses
import math

import pytest

from meshcluster.config import (
    CHANNELS_ALWAYS,
    DEFAULT_ADDRESS,
    DEFAULT_PORT,
    MAX_NAME_CHARACTERS,
    MAX_TIMEOUT_SECONDS,
    ClusterConfig,
    Limits,
    check_channel,
    check_label,
    check_tags,
    check_timeout,
    parse_seed,
)
from meshcluster.errors import ConfigError

LONG = "x" * (MAX_NAME_CHARACTERS + 1)


def test_the_defaults_work_and_stay_on_this_host():
    assert ClusterConfig().ttl == 0


def test_the_beacon_group_is_fixed():
    assert (DEFAULT_ADDRESS, DEFAULT_PORT) == ("239.255.77.67", 27677)


@pytest.mark.parametrize("value", [ClusterConfig(), Limits()], ids=lambda v: type(v).__name__)
def test_settings_cannot_be_changed(value):
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, 1)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cluster", ""),
        ("cluster", LONG),
        ("name", "two\nlines"),
        ("name", "\x1b[31mred"),
        ("name", "evil\u202etxt"),
        ("name", None),
        ("tags", "web"),
        ("ttl", -1),
        ("ttl", 256),
        ("ttl", 1.0),
        ("address", "10.0.0.1"),
        ("address", "somewhere"),
        ("address", "ff02::1"),
        ("port", 0),
        ("port", 65536),
        ("port", "27677"),
        ("heartbeat_seconds", 0),
        ("heartbeat_seconds", math.nan),
        ("heartbeat_seconds", math.inf),
        ("expire_seconds", 1.9),
        ("expire_seconds", math.nan),
        ("protocols", ()),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(setting, value):
    with pytest.raises(ConfigError, match=f"^{setting}="):
        ClusterConfig(**{setting: value})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("tags", None),
        ("tags", 5),
        ("channels", 5),
        ("protocols", "tcp"),
        ("heartbeat_seconds", "1"),
        ("expire_seconds", None),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(setting, value):
    with pytest.raises(ConfigError, match=f"^{setting}="):
        ClusterConfig(**{setting: value})


@pytest.mark.parametrize("props", [{1: "one"}, {"lock": object()}, {"text": "\ud800"}])
def test_props_that_could_not_be_announced_are_refused(props):
    with pytest.raises(ConfigError, match="props="):
        ClusterConfig(props=props)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("message_bytes", -1), ("lanes", 0), ("members", 0), ("dial_seconds", -1.0)],
)
def test_a_limit_that_cannot_work_is_refused_by_name(limit, value):
    with pytest.raises(ConfigError, match=limit):
        Limits(**{limit: value})


def test_the_bounds_themselves_work():
    ClusterConfig(ttl=255, port=65535, heartbeat_seconds=0.01, expire_seconds=0.02)
    ClusterConfig(ttl=0, port=1, heartbeat_seconds=3600, expire_seconds=7200)
    ClusterConfig(name="x" * MAX_NAME_CHARACTERS, tags=("día", "🦊"))


def test_every_member_listens_to_everybody_its_host_and_its_lan():
    assert CHANNELS_ALWAYS == (0, 1, 2)
    assert ClusterConfig(channels=(7, 1)).all_channels == {0, 1, 2, 7}


@pytest.mark.parametrize("channel", [0, 1, 2**32 - 1])
def test_a_channel_is_a_number_of_32_bits(channel):
    check_channel(channel)


@pytest.mark.parametrize("channel", [-1, 2**32, 1.0, "1", True, None])
def test_what_is_not_a_channel_number_is_refused(channel):
    with pytest.raises(ConfigError, match="channel="):
        check_channel(channel)
    with pytest.raises(ConfigError, match="channel="):
        ClusterConfig(channels=(channel,))


@pytest.mark.parametrize("label", ["", LONG, "tab\t", "nul\0", 5, b"bytes", None])
def test_a_label_is_a_short_printable_text(label):
    with pytest.raises(ConfigError, match="tag="):
        check_label("tag", label)


def test_a_bare_string_for_tags_is_explained():
    with pytest.raises(ConfigError, match=r"tags=\['web'\]"):
        check_tags("web")


def test_one_bad_tag_among_good_ones_is_refused():
    with pytest.raises(ConfigError, match="tag=''"):
        check_tags(["web", ""])


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(0, 0), (1.5, 1.5), (math.inf, MAX_TIMEOUT_SECONDS)]
)
def test_a_timeout_is_a_duration_of_ten_years_at_most(timeout, seconds):
    assert check_timeout(timeout) == seconds


@pytest.mark.parametrize("timeout", [-0.1, math.nan, "5", None])
def test_what_is_no_duration_is_refused(timeout):
    with pytest.raises(ConfigError, match="timeout="):
        check_timeout(timeout)


@pytest.mark.parametrize(
    ("ttl", "mdns", "used"),
    [(0, None, False), (1, None, True), (0, True, True), (1, False, False)],
)
def test_mdns_is_used_beyond_this_host_unless_told_otherwise(ttl, mdns, used):
    assert ClusterConfig(ttl=ttl, mdns=mdns).uses_mdns == used


@pytest.mark.parametrize("mdns", [1, "yes", object()])
def test_mdns_is_a_truth_or_a_zeroconf(mdns):
    with pytest.raises(ConfigError, match="mdns="):
        ClusterConfig(mdns=mdns)


@pytest.mark.parametrize(
    ("seed", "place"),
    [
        ("10.0.0.5", ("10.0.0.5", 27677)),
        ("10.0.0.5:4000", ("10.0.0.5", 4000)),
        ("fe80::1%eth0", ("fe80::1%eth0", 27677)),
        ("[fe80::1%eth0]", ("fe80::1%eth0", 27677)),
        ("[::1]:4000", ("::1", 4000)),
        ("mesh.default.svc.cluster.local", ("mesh.default.svc.cluster.local", 27677)),
        ("mesh:4000", ("mesh", 4000)),
    ],
)
def test_a_seed_is_an_address_or_a_name_with_a_port_if_need_be(seed, place):
    assert parse_seed(seed, 27677) == place
    assert ClusterConfig(ttl=1, seeds=(seed,)).seed_addresses == (place,)


@pytest.mark.parametrize(
    "seed",
    ["", ":4000", "host:", "host:0", "host:65536", "host:x", "[::1", "[::1]x", "[::1]:", "[host]",
     "a b", "fe80::zz", "x" * 300],
)  # fmt: skip
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="seeds="):
        parse_seed(seed, 27677)


def test_a_bare_string_for_seeds_is_explained():
    with pytest.raises(ConfigError, match=r"seeds=\['10.0.0.5'\]"):
        ClusterConfig(seeds="10.0.0.5")


@pytest.mark.parametrize("seed", ["10.0.0.5", "[fe80::1%eth0]", "10.0.0.5:4000"])
def test_at_ttl_0_a_seed_outside_this_host_is_refused(seed):
    with pytest.raises(ConfigError, match="not on this host"):
        ClusterConfig(ttl=0, seeds=(seed,))


def test_at_ttl_0_this_host_and_names_may_be_seeds():
    assert ClusterConfig(seeds=("127.0.0.1", "localhost", "::1")).seed_addresses
