"""A question is answered by a process: exactly, in time, within bounds, and nothing is left."""

import sys
import threading
import time
from pathlib import Path

import pytest

from meshcluster.cli import responder as module
from meshcluster.cli.responder import LEAVING, CommandFailed, Responder
from tests.waiting import until

pytestmark = pytest.mark.process


def shell(script: str, timeout: float = 20.0) -> Responder:
    return Responder(["sh", "-c", script], timeout)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("hello ä", "hello ä"),
        ("", ""),
        ("one\ntwo\n", "one\ntwo"),
        ("end\n\n", "end\n"),
        (b"raw bytes", "raw bytes"),
        (b"\xff\x00\n", b"\xff\x00\n"),
        ({"a": [1, None, (2,)]}, '{"a": [1, null, [2]]}'),
        (None, "null"),
        ("x" * 3_000_000, "x" * 3_000_000),
    ],
)
def test_it_reads_the_question_and_what_it_writes_is_the_answer(question, answer) -> None:
    assert Responder(["cat"], 20).answer(question) == answer


def test_words_are_given_as_they_are_without_a_shell() -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME", "a b", "|"]
    assert Responder(words, 20).answer("x") == "['$HOME', 'a b', '|']"


def test_a_command_that_does_not_read_its_question_answers_all_the_same() -> None:
    assert shell("echo done").answer("x" * 3_000_000) == "done"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 3", "^exit code 3$"),
        ("echo useless; echo 'disk is full' >&2; exit 1", "^exit code 1: disk is full$"),
        ("kill -SEGV $$", "^killed by SIGSEGV$"),
        ("printf '\\377' >&2; exit 1", "^exit code 1: \ufffd$"),
    ],
)
def test_its_failure_is_told_with_the_end_of_its_stderr(script, text) -> None:
    with pytest.raises(CommandFailed, match=text):
        shell(script).answer("x")


def test_only_the_end_of_its_stderr_is_kept() -> None:
    with pytest.raises(CommandFailed) as caught:
        shell("yes noise | head -c 3000000 >&2; echo the end >&2; exit 1").answer("x")
    assert str(caught.value).endswith("the end")
    assert len(str(caught.value)) < 1100


def test_one_that_is_gone_meanwhile_is_told() -> None:
    with pytest.raises(CommandFailed, match=r"^cannot run no-such-program: No such file"):
        Responder(["no-such-program"], 1).answer("x")


def test_who_is_too_slow_is_killed_with_all_it_started(tmp_path) -> None:
    pids = tmp_path / "pids"
    slow = shell(f"sleep 60 & echo $! >{pids}; echo $$ >>{pids}; echo busy >&2; wait", 0.5)
    with pytest.raises(CommandFailed, match=r"^took longer than 0.5 s: busy$"):
        slow.answer("x")
    numbers = [int(line) for line in pids.read_text().split()]
    assert len(numbers) == 2
    until(lambda: not any(map(is_running, numbers)))


@pytest.mark.parametrize("script", ["exec >&- 2>&-; sleep 60", "sleep 60 & exit 0"])
def test_neither_closing_its_output_nor_leaving_children_behind_gives_it_more_time(script) -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed, match="took longer"):
        shell(script, 0.3).answer("x")
    assert time.monotonic() - started < 10


def test_who_writes_without_end_is_killed(monkeypatch) -> None:
    monkeypatch.setattr(module, "OUTPUT_BYTES", 100_000)
    with pytest.raises(CommandFailed, match=r"^wrote more than 100000 bytes$"):
        shell("cat /dev/zero").answer("x")
    with pytest.raises(CommandFailed, match=r"^took longer"):
        shell("cat /dev/zero >&2", 0.3).answer("x")


def test_closing_kills_what_runs_and_refuses_the_rest(tmp_path) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    responder = shell(f"echo $$ >>{pids}; sleep 60")
    told: list[str] = []

    def ask() -> None:
        with pytest.raises(CommandFailed) as caught:
            responder.answer("x")
        told.append(str(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: pids.read_text().count("\n") == 3)
    assert responder.close()
    for thread in threads:
        thread.join()
    assert told == [LEAVING] * 3
    assert not any(is_running(int(line)) for line in pids.read_text().split())
    with pytest.raises(CommandFailed, match=LEAVING):
        responder.answer("x")
    assert not responder.close()


def test_many_at_once_do_not_mix_their_answers() -> None:
    responder = Responder(["cat"], 20)
    answers: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: responder.answer(f"{n}")}))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"{n}" for n in range(16)}
