"""Serf's queries, by the RPC of its agents: a process each, with a responder in Python that is told
of each query. Its profile for one host makes it gossip most often.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import msgpack

from ..programs import running
from ..task import Task
from .load import Ask, Burst, Flood, Mark, body
from .roles import Take

READ_BYTES = 64 * 1024
NAME = "benchmarks"
QUERY_SECONDS = 1.0
NANOSECONDS = 1_000_000_000


class Rpc:
    """A connection to one agent: requests go out by number, replies and what they began come in."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._packer = msgpack.Packer(use_bin_type=False)  # as the agent knows it
        self._unpacker = msgpack.Unpacker(raw=True)
        self._number = 0
        self.call("handshake", Version=1)
        self._read()

    def call(self, command: str, **values: Any) -> int:
        """Sends a request; returns its number."""
        self._number += 1
        header = {"Command": command, "Seq": self._number}
        self._socket.sendall(self._packer.pack(header) + self._packer.pack(values))
        return self._number

    def records(self, begun: Callable[[int], bool]) -> Iterator[tuple[int, dict[bytes, Any]]]:
        """What comes for the requests that ``begun`` says to have been replied to already."""
        while (header := self._read()) is not None:
            number = header[b"Seq"]
            if begun(number) and (record := self._read()) is not None:
                yield number, record

    def _read(self) -> dict[bytes, Any] | None:
        """The next object; None once the connection is closed."""
        while True:
            for value in self._unpacker:
                found: dict[bytes, Any] = value
                return found
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError:
                return None
            if not data:
                return None
            self._unpacker.feed(data)

    def close(self) -> None:
        """Ends it, also for a thread that reads."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


class Seen:
    """The first record of a request is its reply, which has no body; later ones have."""

    def __init__(self, *streams: int) -> None:
        self._streams = set(streams)
        self._replied: set[int] = set()

    def add(self, number: int) -> None:
        """A request after whose reply more comes."""
        self._streams.add(number)

    def __call__(self, number: int) -> bool:
        if number in self._replied:
            return True
        if number in self._streams:
            self._replied.add(number)
        return False


class Serf:
    """Answers and asks; its agents move no other messages."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        raise NotImplementedError("its user events are lost when there are many")

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        raise NotImplementedError("its user events are lost when there are many")

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        with ExitStack() as stack:
            for number in range(task.held):
                stack.enter_context(agent(task, number))
                stack.enter_context(answering(rpc_port(task, number)))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with agent(task, task.count):
            rpc = Rpc(rpc_port(task, task.count))
            seen = Seen()
            records = rpc.records(seen)

            def question(data: bytes) -> int:
                timeout = int(QUERY_SECONDS * NANOSECONDS)
                query = rpc.call("query", Name=NAME, Payload=data, Timeout=timeout)
                seen.add(query)
                came = 0
                for number, record in records:
                    if number == query:
                        came += record[b"Type"] == b"response"
                        if came == task.count or record[b"Type"] == b"done":
                            break
                return came

            while question(body(task)) != task.count:
                pass  # not all know each other yet
            yield question
            rpc.close()

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        raise NotImplementedError("its queries gossip")

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("it joins an address that it is given")


@contextmanager
def agent(task: Task, number: int) -> Iterator[None]:
    """An agent that has joined the first one."""
    where = f"127.0.0.1:{task.port + 2 * number}"
    arguments = [f"-node=m{number}", f"-bind={where}", "-profile=local", "-log-level=err"]
    arguments.append(f"-rpc-addr=127.0.0.1:{rpc_port(task, number)}")
    if number:
        arguments.append(f"-join=127.0.0.1:{task.port}")
    with running("serf", "agent", *arguments, port=rpc_port(task, number)):
        yield


@contextmanager
def answering(port: int) -> Iterator[None]:
    """Answers each query of an agent, in a thread."""
    rpc = Rpc(port)
    seen = Seen(rpc.call("stream", Type="query"))

    def run() -> None:
        for _, record in rpc.records(seen):
            rpc.call("respond", ID=record[b"ID"], Payload=record[b"Payload"])

    thread = threading.Thread(target=run)
    thread.start()
    yield
    rpc.close()
    thread.join()


def rpc_port(task: Task, number: int) -> int:
    """Where the agent of that number takes requests."""
    return task.port + 2 * number + 1
