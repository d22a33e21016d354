"""A command tells by itself when it begins and how it ends, whatever it is and writes."""

import itertools
import re
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.errors import ConfigError
from meshcluster.jobs.envelope import MOST_BYTES, Envelope, Mark, Reader, joined

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="needs sh and POSIX signals"),
]

TOKEN = "abcdef0123456789abcdef01"
BEGAN = Mark("began")
OUTER = [
    ("sh",), ("bash",), ("dash",), ("busybox", "sh"), ("mksh",), ("zsh",), ("fish",), ("tcsh",),
]  # fmt: skip


def wrote(script, outer=("sh",), stdin=b""):
    """What a shell that gets the script writes: output and errors."""
    if shutil.which(outer[0]) is None:
        pytest.skip(f"there is no {outer[0]} here")
    argv = [*outer, "-c", script]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, stderr=-1, start_new_session=True) as process:
        process.stdin.write(stdin)
        process.stdin.flush()
        errors = process.stderr.readline()
        while not re.search(rb"%b e \d+\n|\A\Z" % TOKEN.encode(), errors):
            line = process.stderr.readline()
            errors += line
            if not line:
                break
        out, more = process.communicate(timeout=20)
    return out, errors + more


def told(command, outer=("sh",), stdin=b"", **settings):
    """What the command wrote, its errors, and how it ended."""
    script = Envelope(TOKEN).script(command, stdin_bytes=len(stdin), **settings)
    out, err = wrote(script, outer, stdin)
    reader = Reader(TOKEN)
    errors, marks = reader.take("stderr", err)
    assert [mark.what for mark in marks] == ["began", "ended"], (out, err)
    return reader.take("stdout", out)[0], errors + reader.end("stderr"), marks[-1].returncode


# --- the script -----------------------------------------------------------------------------------

HARD = """echo 'a"b' "c'd" $((1 + 1)) \\\\ x\\'y ! !x 'q\\' \\$HOME é '\udcff' `echo z` * \\"""
SAYS = """a"b c'd 2 \\ x'y ! !x q\\ $HOME é \udcff z * \\\n"""


@pytest.mark.parametrize("outer", OUTER, ids="-".join)
def test_any_shell_hands_the_command_on_as_it_is(outer, tmp_path):
    expected = SAYS.encode("utf-8", "surrogateescape")
    assert told(HARD, outer, cwd=str(tmp_path)) == (expected, b"", 0)
    assert told("printf %s '\\'", outer) == (b"\\", b"", 0)


@pytest.mark.parametrize("outer", [each for each in OUTER if each != ("tcsh",)], ids="-".join)
def test_a_command_may_have_several_lines(outer):
    assert told("echo a\necho 'b\nc' # d\n", outer) == (b"a\nb\nc\n", b"", 0)


def test_any_text_is_handed_on_as_it_is():
    texts = ["'", "\\'", "'\\", "\\\\'\\\\", "!'!", "\\!", "$x`y`", "\t \r", "%s%%", "\\", "\\\\\n"]
    command = (
        "for each in " + " ".join(map(shell_quoted, texts)) + "; do printf '%s|' \"$each\"; done"
    )
    for outer in (("sh",), ("bash",)):
        assert told(command, outer)[0].decode() == "".join(f"{each}|" for each in texts)


def shell_quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


ENDINGS = [
    ("true", 0), ("exit 3", 3), ("nosuch 2>/dev/null", 127), ("exit 137", 137), ("exit 255", 255),
    ("kill -9 $$", -9), ("kill $$", -15), ("kill -INT $$", -2), ("sh -c 'kill -9 $$'", 137),
    ("exec true", 0), ("exec sh -c 'exit 4'", 4), ("exec sh -c 'exit 200'", 200),
    ("exec sh -c 'kill -9 $$'", -9), ("trap 'echo bye >&2' EXIT; exit 5", 5), ("set -e; false", 1),
    ("exec 0<&- 1>&- 2>&-; exit 6", 6), ("trap 'exit 7' EXIT; true", 7), ("(exit 8)", 8),
]  # fmt: skip


@pytest.mark.parametrize("sh", ["sh", "bash"])
@pytest.mark.parametrize(("command", "returncode"), ENDINGS)
def test_how_it_ended_is_told_a_signal_apart_from_a_status(command, returncode, sh):
    if shutil.which(sh) is None:
        pytest.skip(f"there is no {sh} here")
    out, err, status = told(command, sh=sh)
    assert (out, status) == (b"", returncode)
    assert TOKEN.encode() not in err


@pytest.mark.parametrize("sh", ["sh", "bash", "mksh", "zsh"])
def test_a_syntax_error_and_a_command_that_there_is_not_are_told_by_the_shell(sh):
    if shutil.which(sh) is None:
        pytest.skip(f"there is no {sh} here")
    for command, status in (("if", (1, 2)), ("nosuch-program", (127,))):
        out, err, found = told(command, sh=sh)
        assert found in status
        assert err
        assert out == b""


def test_a_shell_that_there_is_not_is_127():
    _, err, status = told("true", sh="nosuch-shell")
    assert (status, b"nosuch-shell" in err) == (127, True)


@pytest.mark.parametrize("sh", ["sh", "bash"])
def test_what_the_user_sees_has_nothing_of_the_script_in_it(sh, tmp_path):
    file = tmp_path / "file"
    assert told("set -x; true", sh=sh)[1] == b"+ true\n"
    assert told(f"exec 2>{file}; echo a >&2; exit 3", sh=sh)[2] == 3
    assert file.read_text() == "a\n"


def test_what_looks_like_a_mark_is_the_commands_when_it_comes_from_the_command():
    looks = f"{TOKEN} b\\n{TOKEN} ? {TOKEN} e"
    out, err, status = told(f"printf '{looks} 7\\n'; printf '{TOKEN} ? {TOKEN} b\\n' >&2")
    assert out.decode() == f"{TOKEN} b\n{TOKEN} ? {TOKEN} e 7\n"
    assert (err.decode(), status) == (f"{TOKEN} ? {TOKEN} b\n", 0)


def test_where_and_with_what_it_runs(tmp_path):
    folder = tmp_path / "a 'b\\ $c"
    folder.mkdir()
    assert told("pwd", cwd=str(folder))[0].decode() == f"{folder}\n"
    home = {"HOME": str(folder.parent), "CDPATH": "/"}
    assert told("pwd", cwd="~/a 'b\\ $c", env=home)[0].decode() == f"{folder}\n"
    assert told("pwd", cwd="~", env=home)[0].decode() == f"{folder.parent}\n"
    value = "é'\"\\ $x `y` \n!"
    assert told('printf %s "$V"', env={"V": value, "W": ""})[0].decode() == value


@pytest.mark.parametrize("cwd", ["/no such", "-", "-x", "~/no such"])
def test_a_directory_that_there_is_not_is_told_and_nothing_runs(cwd):
    out, err, status = told("echo ran", cwd=cwd)
    assert (out, status) == (b"", 1)
    assert re.search(rb"cd: .*(no such|-)", err)


def test_what_it_reads_is_so_many_bytes_and_then_the_end():
    data = bytes(range(256)) * 200
    assert told("cat", stdin=data) == (data, b"", 0)
    assert told("cat", stdin=b"") == (b"", b"", 0)
    assert told("head -c 3", stdin=data)[::2] == (data[:3], 0)
    assert told("true", stdin=data)[::2] == (b"", 0)


def test_where_it_leads_no_group_it_becomes_a_leader():
    """As behind sudo, which starts it in its own group."""
    if shutil.which("setsid") is None:
        pytest.skip("there is no setsid here")
    script = Envelope(TOKEN).script("echo ran; exit 3")
    out, err = wrote(f"sh -c {shell_quoted(script)}; true")
    reader = Reader(TOKEN)
    assert reader.take("stderr", err)[1] == [BEGAN, Mark("ended", 3)]
    assert reader.take("stdout", out)[0] == b"ran\n"


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"command": "a\0b"}, "NUL"), ({"command": "echo \ud800"}, "UTF-8"),
        ({"env": {"A-B": "x"}}, "A-B"), ({"env": {"": "x"}}, "env"), ({"env": {7: "x"}}, "7"),
        ({"env": {"A": 7}}, "A=7"), ({"env": {"A": "\0"}}, "NUL"), ({"env": ["A=b"]}, "dict"),
        ({"cwd": ""}, "cwd"), ({"cwd": 7}, "cwd=7"), ({"cwd": "\0"}, "NUL"),
        ({"sudo": "\0"}, "NUL"), ({"sudo": 7}, "user=7"),
        ({"command": "x" * MOST_BYTES}, f"{MOST_BYTES} bytes at most"),
        ({"command": "'" * (MOST_BYTES // 4)}, "give it as stdin"),
    ],
)  # fmt: skip
def test_what_no_command_can_have_is_refused(settings, hint):
    with pytest.raises(ConfigError, match=re.escape(hint)):
        Envelope(TOKEN).script(**{"command": "true", **settings})


@pytest.mark.parametrize("command", [7, None, b"x", ["a", 7], {"a"}, "", " \n", [], ["a", ""]])
def test_a_command_is_a_text_or_several(command):
    with pytest.raises(ConfigError, match="command"):
        joined(command)


@pytest.mark.parametrize(
    ("commands", "out", "status"),
    [
        (["echo a", "false", "echo b"], b"a\n", 1), (["echo a", "echo b"], b"a\nb\n", 0),
        (["true # all", "echo b"], b"b\n", 0), (["false; true", "echo b"], b"b\n", 0),
        (["false || true", "echo b"], b"b\n", 0), (["true || true", "false", "echo b"], b"", 1),
        (["cat <<E\nx\nE", "echo b"], b"x\nb\n", 0), (("echo a",), b"a\n", 0),
        (["cd /", "pwd"], b"/\n", 0), (["! true", "echo b"], b"", 1),
    ],
)  # fmt: skip
def test_of_several_each_begins_when_the_one_before_succeeded(commands, out, status):
    assert told(joined(commands))[::2] == (out, status)


# --- taking it apart ------------------------------------------------------------------------------

T = TOKEN.encode()


def taken(stream, data, cuts):
    """What comes of it in these pieces."""
    reader, written, marks = Reader(TOKEN), b"", []
    edges = [0, *sorted(cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        more, told = reader.take(stream, data[begin:end])
        written, marks = written + more, marks + told
    return written + reader.end(stream), marks, reader.noise


ERRORS = b"banner\n%b ? Sorry\n%b ? %b b\na%b x b %b k\n\xff%bb\n%b x 137\nlast%b e 137\nafter" % (
    (T,) * 8
)
OUTPUT = b"motd %b\n%b b\nout %b b\n%b e 3\n%b .\nafter" % ((T,) * 5)


@given(st.sets(st.integers(0, len(ERRORS))))
def test_errors_and_marks_are_told_apart_wherever_they_are_cut(cuts):
    written, marks, noise = taken("stderr", ERRORS, cuts)
    assert written == b"a%b x b \xff%bb\nlastafter" % (T, T)
    assert marks == [Mark("asks"), Mark("asks"), BEGAN, Mark("ended", 137)]
    assert noise == b"banner\nSorry\n"


@pytest.mark.parametrize(("stream", "data"), [("stderr", ERRORS), ("stdout", OUTPUT)])
def test_no_byte_is_a_bad_place_to_cut(stream, data):
    whole = taken(stream, data, ())
    assert [cut for cut in range(len(data)) if taken(stream, data, {cut}) != whole] == []
    assert taken(stream, data, range(len(data))) == whole


@given(st.sets(st.integers(0, len(OUTPUT))))
def test_output_has_a_mark_at_its_beginning_and_one_at_its_end(cuts):
    written = b"out %b b\n%b e 3\nafter" % (T, T)
    assert taken("stdout", OUTPUT, cuts) == (written, [BEGAN, Mark("whole")], b"motd %b\n" % T)


def test_nothing_is_kept_back_that_is_no_beginning_of_a_mark():
    reader = Reader(TOKEN)
    reader.take("stderr", b"%b b\n" % T)
    assert reader.take("stderr", b"Password: ")[0] == b"Password: "
    assert reader.take("stderr", b"x" + T[:5])[0] == b"x"
    assert reader.take("stderr", b"!")[0] == T[:5] + b"!"


def test_the_last_of_the_noise_is_kept():
    assert len(taken("stderr", b"x" * 100_000 + b"end", ())[2]) == 8192
    assert taken("stderr", b"x" * 100_000 + b"end", ())[2].endswith(b"end")


@pytest.mark.parametrize(("status", "found"), [(128, 128), (129, -1), (192, -64), (193, 193)])
def test_a_status_is_a_signals_where_there_is_such_a_signal(status, found):
    assert taken("stderr", b"%b b\n%b e %d\n" % (T, T, status), ())[1][-1].returncode == found
