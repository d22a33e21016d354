"""The numbers a member listens to: a set that can be joined and left, and who is near enough."""

import sys
import threading

import pytest

from meshcluster.channels import HOST_CHANNEL, LAN_CHANNEL, NEAR, Channels
from meshcluster.errors import ConfigError
from meshcluster.model import Identity, Service

NOWHERE = Identity(bytes(16), 1, "ada", "h")


def test_everybody_listens_to_0_1_and_2():
    assert list(Channels()) == [0, 1, 2]


def test_joined_channels_are_numbers_in_order():
    channels = Channels()
    channels.join(9, 7, 7)
    channels.join(9)
    assert list(channels) == [0, 1, 2, 7, 9]
    assert len(channels) == 5
    assert 7 in channels
    assert 8 not in channels
    assert repr(channels) == "[0, 1, 2, 7, 9]"


def test_it_is_a_set():
    channels = Channels()
    channels.join(7)
    assert channels == {0, 1, 2, 7}
    assert channels & {7, 8} == {7}
    assert channels >= {0, 7}


def test_a_channel_can_be_left_and_one_not_joined_is_no_error():
    channels = Channels()
    channels.join(7, 8)
    channels.leave(7, 99)
    assert list(channels) == [0, 1, 2, 8]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_first_three_cannot_be_left(number):
    channels = Channels()
    channels.join(7)
    with pytest.raises(ConfigError, match=f"channel={number}: 0, 1 and 2 cannot be left"):
        channels.leave(7, number)
    assert list(channels) == [0, 1, 2, 7]


@pytest.mark.parametrize("what", [-1, 2**32, 1.0, True, "7", None, [7]])
def test_what_is_no_channel_number_is_refused_and_changes_nothing(what):
    channels = Channels()
    for change in (channels.join, channels.leave):
        with pytest.raises(ConfigError):
            change(7, what)
    assert list(channels) == [0, 1, 2]


def test_a_look_at_the_numbers_is_not_changed_by_what_comes_later():
    channels = Channels()
    before = channels.numbers
    channels.join(7)
    assert before == {0, 1, 2}


def test_threads_that_join_at_once_all_have_joined():
    channels = Channels()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda n=n: [channels.join(n + i) for i in range(1000)])
            for n in (10_000, 20_000, 30_000, 40_000)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert len(channels) == 4003


@pytest.mark.parametrize(
    ("how", "host", "lan"),
    [({"local": True}, True, True), ({"lan": True}, False, True), ({}, False, False)],
    ids=["on this host", "on this LAN", "farther away"],
)
def test_channel_1_is_for_this_host_and_2_for_this_lan(how, host, lan):
    service = Service(NOWHERE, **how)
    assert NEAR[HOST_CHANNEL](service) == host
    assert NEAR[LAN_CHANNEL](service) == lan
    assert NEAR.keys() == {1, 2}
