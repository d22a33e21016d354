"""A command that runs for ever is told to end, if need be told again, and then ends in peace."""

import os
import signal

import pytest

from meshcluster.cli.ending import Ended, told_to_end


def be_told(number: int) -> None:
    with told_to_end():
        try:
            os.kill(os.getpid(), number)
        finally:
            with pytest.raises(Ended):
                os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_a_second_raises_again_and_further_ones_are_ignored(number) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Ended):
        be_told(number)
    assert signal.getsignal(number) is before


def test_what_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with told_to_end():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
