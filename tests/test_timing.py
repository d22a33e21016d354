"""The presets, and what cannot be a time."""

from dataclasses import fields, replace
from math import inf, nan

import pytest

from meshcluster.config import ClusterConfig
from meshcluster.errors import ConfigError
from meshcluster.timing import COUNTS, HOST, LAN


def test_the_scope_chooses():
    assert ClusterConfig(ttl=0).pace is HOST
    assert ClusterConfig(ttl=1).pace is ClusterConfig(ttl=255).pace is LAN


def test_what_is_told_stands_over_the_scope():
    told = replace(LAN, suspect_seconds=9.0)
    assert ClusterConfig(ttl=0, timing=told).pace is told


def test_a_host_is_quicker_in_everything_that_is_a_time():
    for field in fields(HOST):
        if field.name.endswith("_seconds"):
            assert getattr(HOST, field.name) < getattr(LAN, field.name)


@pytest.mark.parametrize("field", [field.name for field in fields(LAN)])
@pytest.mark.parametrize("value", [0, -1, "1", None, True, nan, inf])
def test_what_is_no_number_above_0_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=field):
        replace(LAN, **{field: value})


@pytest.mark.parametrize("field", COUNTS)
def test_half_a_member_is_not_asked(field):
    with pytest.raises(ConfigError, match=f"{field}=1.5: a whole number"):
        replace(LAN, **{field: 1.5})


def test_something_that_is_no_timing_is_refused():
    with pytest.raises(ConfigError, match="timing"):
        ClusterConfig(timing=1.0)
