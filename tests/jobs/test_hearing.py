"""What a command writes is kept and shown, each stream by itself; the log is never muted."""

import io
import sys
import tempfile

import pytest

from meshcluster.errors import ConfigError
from meshcluster.jobs.hearing import Hearing, Told
from meshcluster.jobs.process import Script
from meshcluster.jobs.site import Site

SITE = Site("web1", ("web1",))


class Taking:
    """Has ``write`` and nothing else."""

    def __init__(self):
        self.taken = []

    def write(self, data):
        self.taken.append(data)


def hearing(told, limit=100, tail=False, quiet=False, silent=False):
    return Hearing(SITE, told, Script("make"), limit, tail, quiet, silent)


async def heard(told, *pieces, **settings):
    """What is kept after these pieces."""
    listening = hearing(told, **settings)
    for stream, data in pieces:
        await listening.wrote(stream, data)
    listening.end()
    return listening.result(0)


SAID = (("stdout", b"out"), ("stderr", b"err"))


@pytest.mark.parametrize(
    ("muted", "out", "err"),
    [({}, [b"out"], [b"err"]), ({"quiet": True}, [], [b"err"]), ({"silent": True}, [], []),
     ({"quiet": True, "silent": True}, [], [])],
)  # fmt: skip
async def test_quiet_hides_output_and_silent_errors_too_and_both_are_kept(muted, out, err):
    stdout, stderr, log = Taking(), Taking(), Taking()
    told = Told(stdout, stderr, log)
    result = await heard(told, *SAID, **muted)
    told.note(SITE, "$ make")
    assert (stdout.taken, stderr.taken, log.taken) == (out, err, [b"web1: $ make\n"])
    assert (result.stdout_bytes, result.stderr_bytes) == (b"out", b"err")


async def test_each_stream_has_its_own_limit_and_one_that_is_too_long_is_enough():
    result = await heard(Told(Taking(), Taking()), *SAID, ("stdout", b"put"), limit=4)
    assert (result.stdout, result.stderr, result.truncated) == ("outp", "err", True)
    result = await heard(Told(Taking(), Taking()), *SAID, limit=3)
    assert not result.truncated


@pytest.mark.parametrize("limit", [-1, 1.5, None, True, "9"])
def test_a_limit_is_a_number_of_bytes(limit):
    with pytest.raises(ConfigError, match="limit="):
        hearing(Told(), limit=limit)


@pytest.mark.parametrize("name", ["stdout", "stderr", "log"])
def test_a_stream_is_something_with_write(name):
    with pytest.raises(ConfigError, match=f"{name}=7"):
        Told(**{name: 7})


async def test_text_bytes_and_files_take_it_as_it_is():
    data = b"a\r\n\0\xff"
    text, binary = io.StringIO(newline=""), io.BytesIO()
    with tempfile.TemporaryFile("w+", encoding="latin-1") as file:
        file.write("before ")
        for stream in (text, binary, file):
            await heard(Told(stream), ("stdout", data))
        file.flush()
        file.buffer.seek(0)
        assert file.buffer.read() == b"before " + data
    assert (text.getvalue(), binary.getvalue()) == ("a\r\n\0\\xff", data)


async def test_a_character_that_comes_in_pieces_is_shown_whole():
    text = io.StringIO()
    pieces = [("stdout", bytes([byte])) for byte in "aé€🙂z".encode()]
    await heard(Told(text), *pieces)
    assert text.getvalue() == "aé€🙂z"


@pytest.mark.parametrize("data", [b"\xe2\x82", b"\x82\x82\x82", b"\xf0", b"a\xc3"])
async def test_bytes_that_become_no_character_are_shown_in_the_end(data):
    binary = Taking()
    result = await heard(Told(binary), ("stdout", data))
    assert (b"".join(binary.taken), result.stdout_bytes) == (data, data)


async def test_by_default_it_is_shown_where_this_process_writes(capfdbinary):
    await heard(Told(), *SAID)
    assert capfdbinary.readouterr() == (b"out", b"err")


async def test_a_process_without_output_shows_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert (await heard(Told(), ("stdout", b"out"))).stdout == "out"


async def test_what_a_stream_raises_is_not_swallowed():
    closed = io.StringIO()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        await heard(Told(closed), ("stdout", b"out"))


async def test_a_result_names_the_site_and_the_command_and_takes_some_time():
    result = await heard(Told(Taking(), Taking()), *SAID)
    assert (result.site, result.command, result.returncode) == ("web1", "make", 0)
    assert 0 <= result.seconds < 10
