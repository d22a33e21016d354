"""Bare blocking sockets: the most that this machine and Python's per-message cost allow."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ..task import UNIX, Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

LENGTH = struct.Struct(">I")
READ_BYTES = 64 * 1024
BUFFER_BYTES = 1024 * 1024
"""Of a UNIX socket; the system sizes those of TCP by itself."""


class Sockets:
    """Length-prefixed messages; ``batched`` sends a burst with one ``sendall``."""

    def __init__(self, *, batched: bool) -> None:
        self._batched = batched

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        with serving(task, lambda connection: split(connection, take)):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with connect(task) as connection:
            sendall, data, times = connection.sendall, body(task), burst_of(task)

            def batched() -> None:
                sendall(b"".join([framed(data) for _ in range(times)]))

            def one_by_one() -> None:
                for _ in range(times):
                    sendall(framed(data))

            def mark(data: bytes) -> None:
                sendall(framed(data))

            yield batched if self._batched else one_by_one, mark

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        with serving(task, echo):
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with connect(task) as connection:

            def question(data: bytes) -> int:
                connection.sendall(data)
                read(connection, len(data))
                return 1

            yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with connect(task) as connection:

            def begin(data: bytes) -> Callable[[], object]:
                connection.sendall(data)
                return lambda: read(connection, len(data))

            yield partial(ask_many, begin, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("bare sockets discover nobody")


def framed(data: bytes) -> bytes:
    """A message behind its length."""
    return LENGTH.pack(len(data)) + data


def read(connection: socket.socket, length: int) -> None:
    """Takes an answer of that length, whatever it says."""
    while length > 0:
        length -= len(connection.recv(min(length, READ_BYTES)))


def split(connection: socket.socket, take: Take) -> None:
    """Hands over each message as bytes, until the other end closes."""
    rest = b""
    while received := connection.recv(READ_BYTES):
        data = rest + received
        begin, end = 0, len(data)
        while end - begin >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, begin)
            stop = begin + LENGTH.size + length
            if stop > end and length > READ_BYTES:
                take(whole(connection, data[begin + LENGTH.size :], length))
                begin = end
            if stop > end:
                break
            take(data[begin + LENGTH.size : stop])
            begin = stop
        rest = data[begin:]


def whole(connection: socket.socket, head: bytes, length: int) -> bytes:
    """A large message, of which this much is there: the rest is read to its place."""
    buffer = bytearray(length)
    buffer[: len(head)] = head
    left = memoryview(buffer)[len(head) :]
    while left and (received := connection.recv_into(left)):
        left = left[received:]
    return bytes(buffer)


def echo(connection: socket.socket) -> None:
    """Sends back what comes, until the other end closes."""
    while received := connection.recv(READ_BYTES):
        connection.sendall(received)


@contextmanager
def serving(task: Task, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Serves one connection on a thread."""
    unix = task.way == UNIX
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as listener:
        listener.bind(address(task))
        listener.listen()

        def accept() -> None:
            connection, _ = listener.accept()
            with prepared(connection):
                serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield
        thread.join()


def connect(task: Task) -> socket.socket:
    """A connection to who serves."""
    connection = socket.socket(socket.AF_UNIX if task.way == UNIX else socket.AF_INET)
    connection.connect(address(task))
    return prepared(connection)


def prepared(connection: socket.socket) -> socket.socket:
    """Sets what every messaging library sets."""
    if connection.family == socket.AF_INET:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return connection


def address(task: Task) -> str | tuple[str, int]:
    """Where the server listens."""
    return f"{task.folder}/raw" if task.way == UNIX else ("127.0.0.1", task.port)
