"""``meshcluster queue``: who puts into what, items on their way in, items on their way out."""

import io
import json
import signal
import sys
import threading

import pytest

import meshcluster
from meshcluster.cli import main as cli


@pytest.fixture
def mesh(own_mesh):
    """A member of this process."""
    with meshcluster.join(name="here") as here:
        yield here


@pytest.fixture
def queue(capsys):
    """Runs the command here; its exit code, what it wrote and what it complained of."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(["queue", *arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def stdin(monkeypatch):
    """What the command reads."""

    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


@pytest.fixture
def taker():
    """``taker(queue, count)`` takes so many items (None: all) in a thread; what it took."""
    threads = []

    def begin(queue, count=None):
        taken = []

        def take() -> None:
            for each in queue.deliveries():
                taken.append(each.item)
                each.done()
                if len(taken) == count:
                    return

        threads.append(threading.Thread(target=take))
        threads[-1].start()
        return taken

    yield begin
    for each in threads:
        each.join(20)


def backwards(data: bytes) -> bytes:
    return data[::-1]


def test_ls_has_a_row_for_each_queue_that_members_say_the_same_of(mesh, queue) -> None:
    with meshcluster.join(name="other") as other:
        mesh.queue("numbers", type=list[int]).put([1])
        mesh.queue("work", mode="key").put(1, key="a")
        other.queue("work", mode="key").put(2, key="b")
        other.mailbox("odd", print)
        code, out, err = queue("ls")
        assert (code, err) == (0, "")
        assert [line.split("\t") for line in out.splitlines()] == [
            ["numbers", "one", "list[int]", "here"],
            ["work", "key", "any", "here other"],
        ]
        code, out, _ = queue("ls", "--json")
        numbers, work = json.loads(out)
        assert [each["name"] for each in numbers.pop("producers")] == ["here"]
        assert numbers == {"queue": "numbers", "mode": "one", "type": "list[int]"}
        assert (work["type"], len(work["producers"])) == (None, 2)


def test_what_strangers_say_of_queues_is_no_row(mesh, queue) -> None:
    mesh.mailbox("meshcluster.queues", print, offer={"a": [], "b": ["one"], "\033": ["all", "\n"]})
    assert queue("ls") == (0, "\\x1b\tall\t\\n\there\n", "")


def test_no_queue_or_nobody_is_exit_code_4(own_mesh, queue) -> None:
    assert queue("ls", "--timeout", "0.2")[0] == 4
    with meshcluster.join():
        code, out, err = queue("ls")
    assert (code, out) == (4, "")
    assert "nobody puts into a queue in cluster 'default'" in err
    assert "meshcluster queue put NAME ITEM" in err


def test_put_is_over_when_all_is_done(mesh, queue, taker) -> None:
    taken = taker(mesh.queue("work"))
    assert queue("put", "work", "1", '{"a": [2]}', "three", '"4"', "") == (0, "", "")
    assert taken == [1, {"a": [2]}, "three", "4", ""]


def test_put_reads_lines_and_its_document_counts(mesh, queue, taker, stdin) -> None:
    stdin(b"a\n[1, null]\n\n\xff\n2")
    taken = taker(mesh.queue("work"))
    code, out, err = queue("put", "work", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"queue": "work", "put": 5, "done": 5, "undone": [], "dead": []}
    assert taken == ["a", [1, None], "", b"\xff", 2]


def test_what_is_not_done_in_time_is_on_stdout_to_be_put_again(mesh, queue, taker) -> None:
    taken = taker(mesh.queue("work", prefetch=1), 1)
    code, out, err = queue("put", "work", "1", "two", '"3"', "--drain", "1")
    assert (code, taken) == (3, [1])
    assert out == '"two"\n"3"\n'
    assert err.splitlines() == [
        "meshcluster: 2 of 3 items are not done",
        "  -> they are on stdout: 'meshcluster queue put' reads them on stdin",
    ]


def test_what_all_consumers_failed_with_is_exit_code_1(mesh, queue) -> None:
    def serve() -> None:
        for taken in mesh.queue("work", prefetch=1).deliveries():
            taken.reject() if taken.item == "bad" else taken.done()

    thread = threading.Thread(target=serve)
    thread.start()
    code, out, err = queue("put", "work", "good", "bad", "fine")
    thread.join(20)
    assert (code, out) == (1, "")
    assert 'consumers failed with "bad"\n' in err


def test_what_cannot_be_sent_gives_up_the_rest(mesh, queue, taker) -> None:
    taker(mesh.queue("work"))
    code, out, err = queue("put", "work", '"\\ud800"', "2", "--json")
    assert (code, json.loads(out)["put"]) == (1, 0)
    assert err.startswith("meshcluster: ")


def test_keys_choose_the_mode(mesh, queue, taker) -> None:
    taken = taker(mesh.queue("orders", mode="key"))
    assert queue("put", "orders", "--key", "anna", "tea") == (0, "", "")
    assert taken == ["tea"]
    assert queue("put", "orders", "--key", "anna", "--mode", "all", "tea")[0] == 2


def test_nothing_is_put_where_nobody_takes(mesh, queue, taker) -> None:
    code, out, err = queue("put", "work", "1", "--timeout", "0.2")
    assert (code, out) == (4, "")
    assert "nothing was put: 0 of 1 consumers of 'work' after 0.2 s\n" in err
    assert "'meshcluster queue tail work' would take from it" in err


def test_tail_is_over_when_the_queue_is(mesh, queue) -> None:
    work = mesh.queue("work", mode="all")
    for item in (1, "two\t", {"three": b"3"}):
        work.put(item)
    work.close()
    assert queue("tail", "work") == (0, '1\ntwo\\t\n{"three": "Mw=="}\n', "")
    assert (work.pending, work.over) == (0, True)


def test_tail_takes_so_many_and_others_get_the_rest(mesh, queue) -> None:
    work = mesh.queue("work")
    for item in range(5):
        work.put(item)
    code, out, err = queue("tail", "work", "--count", "2", "--json")
    assert (code, err) == (0, "")
    first, second = map(json.loads, out.splitlines())
    assert (second["item"], second["queue"], len(second["id"])) == (1, "work", 32)
    assert (first["name"], first["item"], first["deliveries"]) == ("here", 0, 0)
    with pytest.raises(meshcluster.Undelivered) as caught:
        work.close(0.2)
    assert caught.value.items == (2, 3, 4)


def test_tail_gives_back_what_it_cannot_read(mesh, queue) -> None:
    work = mesh.queue("work", codecs=[(backwards, backwards)])
    work.put("secret")
    code, out, err = queue("tail", "work")
    assert (code, out) == (1, "")
    assert "do both sides have the same codecs?\n  -> others get it" in err
    assert work.pending == 1


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 3), (signal.SIGINT, 130)])
def test_told_to_end_put_gives_back_what_is_not_done(mesh, start, number, code) -> None:
    work = mesh.queue("work", prefetch=1)
    putter = start("queue", "put", "work", "1", "2")
    assert work.get(20).item == 1
    assert putter.end(number) == code
    assert putter.rest() == ["1", "2"]


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_told_to_end_tail_has_done_what_it_has_written(mesh, start, number, code) -> None:
    tail = start("queue", "tail", "work")
    work = mesh.queue("work")
    work.put(1)
    tail.line("1")
    work.join(20)
    assert tail.end(number) == code
