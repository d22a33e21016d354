"""What is printed is given away line by line, as bytes, in its order."""

import io
import os
import subprocess
import sys
import threading

import pytest

from meshcluster.ssh.far.output import LINE_BYTES, Output


@pytest.fixture
def given():
    return []


@pytest.fixture
def output(given):
    return Output(given.append)


def test_a_line_is_given_when_it_ends(output, given):
    print("one", file=output)
    assert given == [b"one\n"]
    print("two", end="", file=output)
    assert given == [b"one\n"]
    print(" and more", file=output)
    assert given == [b"one\n", b"two and more\n"]


def test_what_is_left_of_a_line_is_given_when_it_is_flushed(output, given):
    print("half", end="", file=output)
    print("", end="", flush=True, file=output)
    assert given == [b"half"]
    output.flush()
    assert given == [b"half"]


def test_lines_that_are_printed_at_once_are_given_at_once(output, given):
    output.write("one\ntwo\nthr")
    assert given == [b"one\ntwo\n"]
    output.writelines(["ee\n", "four\n"])
    assert b"".join(given) == b"one\ntwo\nthree\nfour\n"


def test_bytes_and_text_stay_in_order(output, given):
    output.write("text ")
    output.buffer.write(b"\xff bytes ")
    output.write("text\n")
    assert given == [b"text \xff bytes text\n"]


def test_any_text_can_be_printed(output, given):
    print("ä \u20ac \ud800", file=output)
    assert given == ["ä \u20ac \\ud800\n".encode()]


def test_a_line_without_an_end_is_given_in_parts(output, given):
    for _ in range(LINE_BYTES // 100 + 1):
        output.write("x" * 100)
    assert len(given) == 1
    assert len(given[0]) >= LINE_BYTES


def test_lines_of_many_threads_stay_whole(output, given):
    def say(word):
        for _ in range(200):
            output.buffer.write(word * 50 + b"\n")

    threads = [threading.Thread(target=say, args=(word,)) for word in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = b"".join(given).splitlines()
    assert sorted(set(lines)) == [b"a" * 50, b"b" * 50, b"c" * 50]
    assert len(lines) == 600


def test_it_is_a_text_file_for_who_asks(output):
    assert output.writable()
    assert not output.readable()
    assert not output.isatty()
    assert output.encoding == "utf-8"
    with pytest.raises(io.UnsupportedOperation):
        output.read()


def test_who_closes_it_closes_it_for_nobody_else(output, given):
    print("half", end="", file=output)
    output.close()
    print(" a line", file=output)
    assert b"".join(given) == b"half a line\n"


def test_programs_that_are_given_it_write_to_the_real_stderr(output, given, capfd):
    subprocess.run([sys.executable, "-c", "print('theirs')"], stdout=output, check=True, timeout=60)
    assert capfd.readouterr().err == "theirs\n"
    assert given == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_prints_to_the_real_stderr(output, given, capfd):
    print("mine, ", end="", file=output)
    child = os.fork()
    if not child:
        print("the child's", file=output)
        output.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("and mine", file=output)
    assert capfd.readouterr().err == "the child's\n"
    assert given == [b"mine, and mine\n"]
