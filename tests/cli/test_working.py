"""Lines on their way to real workers: each has its result or its reason, whatever it is, in order;
and nothing of it is held without a bound.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import types

import pytest

from meshcluster.cli.options import Settings
from meshcluster.cli.working import (
    AHEAD,
    NOTES,
    Ahead,
    Working,
    begun,
    code_of,
    item_of,
    lines_of_input,
    reason,
)
from meshcluster.errors import DispatchError, EncodeError, TaskRaised, TaskTimeout, WorkerLost

KIB = 1024


def outcome(done) -> tuple[int, list[str], str]:
    return done.code, done.out.splitlines(), done.err


# --- what a line means -------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "item"), [
    (b"1\n", 1), (b"1", 1), (b"1\r\n", 1), (b'"1"\n', "1"), (b"one\n", "one"), (b"\n", ""),
    (b'{"a": [null]}\n', {"a": [None]}), (b"NaN\n", "NaN"), (b" 2 \n", 2), (b" x \n", " x "),
    (b"caf\xc3\xa9\n", "caf\u00e9"), (b"caf\xe9\r\n", b"caf\xe9"), (b"a\rb\r\r\n", "a\rb\r"),
])  # fmt: skip
def test_a_line_is_json_or_text_or_bytes(line, item) -> None:
    assert item_of(line, texts=False) == item


def test_each_line_may_be_meant_as_a_text() -> None:
    given = (b"1\n", b'"1"\n', b"null", b"\xff\n")
    assert [item_of(line, texts=True) for line in given] == ["1", '"1"', "null", b"\xff"]


def test_what_an_error_says_is_what_was_raised_there() -> None:
    assert reason(ValueError("no")) == {"kind": "ValueError", "text": "no"}
    assert reason(TaskRaised("shop.Closed", "till 9", "...")) == {
        "kind": "shop.Closed", "text": "till 9"
    }  # fmt: skip


def test_what_raised_is_1_and_what_was_lost_is_3() -> None:
    raised = (ValueError(), TaskRaised("K", "t", ""), EncodeError(), TimeoutError())
    lost = (WorkerLost("x"), TaskTimeout("x"), DispatchError("x"))
    assert ({code_of(each) for each in raised}, {code_of(each) for each in lost}) == ({1}, {3})


def test_an_item_that_cannot_be_sent_has_a_future_all_the_same() -> None:
    def refuse(item):
        raise EncodeError(f"{item} cannot travel")

    assert str(begun(refuse, "it").exception(0)) == "it cannot travel"


# --- how much is held --------------------------------------------------------------------------


def test_reading_is_ahead_by_so_many_lines_and_bytes_and_no_more() -> None:
    ahead, inside, most = Ahead(3, 100), [], []

    def read() -> None:
        for size in [10] * 8 + [60, 60, 1000, 10]:
            ahead.enter(size)
            inside.append(size)
            most.append((len(inside), sum(inside)))

    thread = threading.Thread(target=read)
    thread.start()
    while len(most) < 12:
        if inside:
            gone = inside.pop(0)
            ahead.leave(gone)
    thread.join(20)
    assert all(count <= 3 for count, _ in most)
    assert all(size <= 100 or count == 1 for count, size in most), "a long one goes by itself"


def test_nobody_waits_for_room_that_is_not_wanted_any_more() -> None:
    ahead, told = Ahead(1, 100), []
    assert ahead.enter(1)
    thread = threading.Thread(target=lambda: told.append(ahead.enter(1)))
    thread.start()
    ahead.close()
    thread.join(20)
    assert told == [False]


def test_of_what_is_printed_too_fast_the_last_is_shown(capsys) -> None:
    working = Working(Settings())
    for number in range(NOTES + 5):
        working.log(types.SimpleNamespace(server="w1", text=str(number)))
    working.tell("done")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == NOTES + 1
    assert (lines[0], lines[-2]) == ("w1: 5", f"w1: {NOTES + 4}")
    assert lines[-1] == "meshcluster: 5 lines that were printed are not shown: too many"


@pytest.mark.process
def test_an_input_without_an_end_is_read_as_it_is_needed(jobs, start, tmp_path) -> None:
    """Where it is told how far its file was read: that is shared with whoever opened it."""
    path, line = tmp_path / "long", b'"second"' + b" " * KIB + b"\n"
    path.write_bytes(b'"first"\n' + line * 20 * KIB)
    with path.open("rb") as file:
        work = start("work", "--local", "1", f"{jobs}:wait_for", given=file)
        (tmp_path / "first").touch()
        work.line("first")
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) < (AHEAD + KIB) * len(line)
        assert work.end(signal.SIGTERM) == 3


@pytest.mark.process
def test_who_has_seen_enough_ends_it_though_the_input_has_no_end(jobs) -> None:
    command = f"{sys.executable} -m meshcluster work --local 1 {jobs}:double"
    line = f"yes 4 | {command} | head -n 3; echo ${{PIPESTATUS[1]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("8\n8\n8\n0\n", "")


@pytest.mark.process
def test_who_has_seen_enough_ends_it_though_no_result_comes(jobs, tmp_path) -> None:
    (tmp_path / "there").touch()
    command = f"{sys.executable} -m meshcluster work --local 1 {jobs}:wait_for"
    line = f"echo there never | tr ' ' '\\n' | {command} | head -n 1; echo ${{PIPESTATUS[2]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("there\n0\n", "")


# --- results -----------------------------------------------------------------------------------


@pytest.mark.process
def test_each_line_has_its_result_in_order_whatever_it_is(jobs, command) -> None:
    given = b'1\n\nabc\r\n[1, "b"]\n"2"\n\xff\n{"deep": 1}'
    done = command("work", "--local", "2", f"{jobs}:say", given=given)
    assert outcome(done)[:2] == (
        0, ["1", "", "abc", '[1, "b"]', "2", "\\xff", '{"deep": 1}']
    )  # fmt: skip
    assert sorted(done.err.splitlines())[:2] == ["local: now ", "local: now 1"]


@pytest.mark.process
def test_no_line_is_no_result_and_no_worker(jobs, command) -> None:
    assert command("work", "--local", "2", "nowhere_at_all:x") == (0, "", "")


@pytest.mark.process
@pytest.mark.parametrize(("redirected", "code"), [("<&-", 0), (">&-", 0), (">/dev/full", 1)])
def test_files_that_are_closed_or_full_break_nothing(jobs, redirected, code) -> None:
    line = f"echo 1 | ({sys.executable} -m meshcluster work --local 1 {jobs}:double {redirected})"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20)
    assert done.returncode == code
    assert done.stderr == ("meshcluster: [Errno 28] No space left on device\n" if code else "")


@pytest.mark.process
def test_texts_stay_texts(jobs, command) -> None:
    done = command("work", "--local", "1", "--text", f"{jobs}:double", given=b'1\n"2"\n')
    assert done == (0, '11\n"2""2"\n', "")


@pytest.mark.process
def test_a_result_comes_while_the_next_line_is_awaited(jobs, start) -> None:
    work = start("work", "--local", "1", f"{jobs}:double", given=subprocess.PIPE)
    for number in (1, 2):
        work.process.stdin.write(f"{number}\n")
        work.process.stdin.flush()
        assert work.line() == str(2 * number)
    work.process.stdin.close()
    assert work.wait() == 0


@pytest.mark.process
def test_results_are_in_the_order_of_lines(jobs, start, tmp_path) -> None:
    path = tmp_path / "names"
    path.write_text("late\nsoon\n")
    (tmp_path / "soon").touch()
    with path.open() as names:
        work = start("work", "--local", "2", f"{jobs}:late_after_soon", given=names)
    assert (work.wait(), work.rest(), work.err) == (0, ["late", "soon"], "")


@pytest.mark.process
def test_unordered_results_come_when_they_are_there(jobs, start, tmp_path) -> None:
    path = tmp_path / "names"
    path.write_text("late\nsoon\n")
    (tmp_path / "soon").touch()
    with path.open() as names:
        work = start("work", "--local", "2", "--unordered", f"{jobs}:wait_for", given=names)
    assert work.line() == "soon"
    (tmp_path / "late").touch()
    assert work.line() == "late"
    assert (work.wait(), work.rest(), work.err) == (0, [], "")


@pytest.mark.process
def test_what_fails_says_its_line_and_the_others_go_on(jobs, command) -> None:
    done = command("work", "--local", "2", f"{jobs}:root", given=b"4\n-1\n9\nx\n")
    assert (done.code, done.out) == (1, "2\n3\n")
    first, second, end = done.err.splitlines()
    assert first == "line 2: ValueError: -1 has none"
    assert second.startswith("line 4: TypeError: '<' not supported")
    assert end.startswith("done: 4 lines in ")
    assert end.endswith(" s, 2 failed")


@pytest.mark.process
def test_what_its_workers_were_lost_with_is_exit_code_3(jobs, command) -> None:
    done = command("work", "--local", "2", "--attempts", "2", f"{jobs}:die_of_3",
                   given=b"1\n2\n3\n4\n-5")  # fmt: skip
    assert (done.code, done.out) == (3, "1\n2\n4\n-5\n")
    assert done.err.startswith("line 3: WorkerLost: 2 workers were lost with it: local: ended with")


@pytest.mark.process
def test_what_takes_too_long_is_exit_code_3(jobs, command) -> None:
    done = command("work", "--local", "1", "--limit", "0.5", f"{jobs}:wait_for", given=b"never\n")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("line 1: TaskTimeout: local: it took more than 0.5 s\n")


@pytest.mark.process
def test_json_is_an_object_a_line(jobs, command) -> None:
    done = command("work", "--local", "1", "--json", f"{jobs}:root", given=b"4\n-1\n\xff\n")
    assert done.code == 1
    good, bad, odd = map(json.loads, done.out.splitlines())
    assert good == {"line": 1, "item": 4, "result": 2, "server": "local", "attempts": 1}
    assert bad == {
        "line": 2, "item": -1, "error": {"kind": "ValueError", "text": "-1 has none"},
        "server": "local", "attempts": 1,
    }  # fmt: skip
    assert (odd["item"], odd["error"]["kind"]) == ("/w==", "TypeError")


@pytest.mark.process
def test_a_result_that_no_text_can_hold_fails_alone(jobs, command) -> None:
    done = command("work", "--local", "1", f"{jobs}:same_as", given=b"1\n")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("line 1: ValueError: the result holds itself")


@pytest.mark.process
def test_a_line_that_is_too_long_to_be_sent_fails_alone(jobs, command) -> None:
    done = command("work", "--local", "1", f"{jobs}:double", given=b"x" * (65 << 20) + b"\n21")
    assert (done.code, done.out) == (1, "42\n")
    assert done.err.startswith("line 1: MessageTooLarge: ")


@pytest.mark.process
def test_what_was_done_is_written_though_nobody_is_left(jobs, client, start, tmp_path) -> None:
    """The host is there for the first line, and gone for the second."""
    script = tmp_path / "leaving"
    script.write_text(f'#!/bin/sh\n[ -e gone ] && exit 255\nexec {client} "$@"\n')
    script.chmod(0o755)
    path = tmp_path / "lines"
    path.write_text(f'"{tmp_path}/there"\n"{tmp_path}/die"\n')
    (tmp_path / "there").touch()
    with path.open() as lines:
        work = start("work", "--ssh", "w1", "--client", str(script), f"{jobs}:wait_for",
                     given=lines)  # fmt: skip
    assert work.line().endswith("there")
    begun = tmp_path / "die-begun"
    while not (begun.exists() and begun.read_text()):
        assert work.process.poll() is None
    (tmp_path / "gone").touch()
    os.kill(int(begun.read_text()), signal.SIGKILL)
    assert work.wait() == 4
    work.rest()
    missed, nobody, end = work.err.splitlines()
    assert missed.startswith("w1 has no worker: ended with exit status 255")
    assert nobody == "meshcluster: no worker can be had"
    assert end.startswith("ended: 1 line in ")


# --- how many lines there are ------------------------------------------------------------------


@pytest.mark.parametrize(("data", "count"), [
    (b"", 0), (b"1\n", 1), (b"1\n2", 2), (b"\n\n", 2), (b"x" * (3 << 20) + b"\ny\n", 2),
])  # fmt: skip
def test_the_lines_of_a_file_are_counted_from_where_it_is(tmp_path, data, count) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"before\n" + data)
    with path.open() as file:
        os.lseek(file.fileno(), len(b"before\n"), os.SEEK_SET)
        assert lines_of_input(file.fileno()) == count
        assert os.read(file.fileno(), 10) == data[:10], "it is still to be read"


def test_of_what_is_no_file_nothing_is_known() -> None:
    near, far = os.pipe()
    with os.fdopen(near) as pipe, os.fdopen(far, "w"):
        assert lines_of_input(pipe.fileno()) is None
    assert lines_of_input(near) is None, "it is closed"


@pytest.mark.process
def test_a_line_that_was_begun_again_is_told_of(command, tmp_path, monkeypatch) -> None:
    """It may have been done twice: whose worker it kills the first time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "once_of_tests.py").write_text(
        "import os\n"
        "def once(mark):\n"
        "    if not os.path.exists(mark):\n"
        "        open(mark, 'w').close()\n"
        "        os._exit(3)\n"
        "    return 'done'\n"
    )
    mark = json.dumps(str(tmp_path / "mark")).encode()
    done = command("work", "--local", "1", "once_of_tests:once", given=mark + b"\n")
    assert (done.code, done.out) == (0, "done\n")
    assert done.err.startswith("done: 1 line in ")
    assert done.err.endswith(" s, 1 lost with a worker and begun again\n")
