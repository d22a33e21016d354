"""What a command has written, and how it ended."""

import dataclasses

import pytest

from meshcluster.jobs.result import CommandResult


@pytest.mark.parametrize(
    ("returncode", "ok", "signal", "ending"),
    [
        (0, True, None, "exit status 0"), (3, False, None, "exit status 3"),
        (255, False, None, "exit status 255"), (-9, False, 9, "ended by SIGKILL"),
        (-63, False, 63, "ended by signal 63"), (None, False, None, "did not end"),
    ],
)  # fmt: skip
def test_it_is_true_when_the_command_ended_with_status_0(returncode, ok, signal, ending):
    result = CommandResult("true", "here", returncode)
    assert (result.ok, bool(result), result.signal, result.ending) == (ok, ok, signal, ending)


def test_output_is_text_and_bytes_that_are_none_are_shown():
    result = CommandResult("x", "here", 0, "é\n".encode() + b"\xff", b"\0\n")
    assert (result.stdout, result.stderr) == ("é\n\\xff", "\0\n")


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CommandResult("x", "here", 0).returncode = 1
