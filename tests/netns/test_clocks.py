"""The wall clock may jump: members judge by another one."""

import sys
import time
from pathlib import Path

import pytest

from .crowd import Crowd
from .host import JOINED

LIBRARIES = [
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib/faketime").glob("libfaketimeMT.so.1"),
]


@pytest.mark.slow
def test_a_wall_clock_that_jumps_an_hour_to_and_fro_changes_nothing(network, tmp_path):
    if not LIBRARIES:
        pytest.skip("needs the package libfaketime")
    offset = tmp_path / "offset"
    lan = network.lan(4)
    with Crowd(lan.hosts[:3], ttl=1) as crowd:
        offset.write_text("+0\n")
        settings = {
            "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(offset),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        words = ["env", *(f"{key}={value}" for key, value in settings.items())]
        options = '{"ttl": 1, "mdns": false}'
        shifted = lan.hosts[3].start(*words, sys.executable, "-P", str(JOINED), "m3", options)
        assert len(shifted.ask("met(3)")) == 3
        for number in crowd.ids:
            crowd.ask(number, "met(3)")
        began = time.monotonic()
        for text in ("+3600", "-3600", "+0"):
            offset.write_text(text + "\n")
            wanted = time.time() + int(text)
            assert abs(shifted.ask("time.time()") - wanted) < 60, "the fault did not bite"
            time.sleep(3)  # longer than an unheard member is waited for until it is asked
        for what in ("suspect", "lost"):
            assert crowd.sights.since(began, what) == []
        assert shifted.ask("[len(names()), losses.qsize()]") == [3, 0]
