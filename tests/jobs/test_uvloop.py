"""With uvloop what a command leaves running does not seem to write for as long as it runs."""

import time

import pytest

from meshcluster import AsyncShell
from meshcluster.jobs.process import LAST_SECONDS

uvloop = pytest.importorskip("uvloop")


def test_a_daemon_holds_nothing_of_the_commands_output():
    async def begin():
        started = time.monotonic()
        result = await AsyncShell().run("sleep 7 >/dev/null 2>&1 & echo $!", quiet=True)
        await AsyncShell().run(f"kill {result.stdout}", quiet=True)
        return time.monotonic() - started

    assert uvloop.run(begin()) < LAST_SECONDS
