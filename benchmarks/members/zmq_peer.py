"""Bare pyzmq at its best: UNIX sockets, the patterns with the shortest envelopes (PUSH to PULL,
DEALER to DEALER), threads that block, and large bodies sent without a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import zmq

from ..task import Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

COPIED_BYTES = 32 * 1024
"""Up to here a copy costs less than keeping count of who still reads."""


class Zmq:
    """Plays the roles with sockets of its own."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        def receiving(receiver: zmq.Socket[bytes]) -> None:
            while True:
                take(receiver.recv())

        with serving(task, task.number, zmq.PULL, receiving):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with zmq.Context() as context, context.socket(zmq.PUSH) as sender:
            for number in range(task.count):
                sender.connect(address(task, number))
            put, data, times = sender.send, body(task), burst_of(task)
            copy = len(data) <= COPIED_BYTES

            def burst() -> None:
                for _ in range(times):
                    put(data, copy=copy)

            yield burst, put

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        def answering(responder: zmq.Socket[bytes]) -> None:
            while True:
                data = responder.recv()
                responder.send(data, copy=len(data) <= COPIED_BYTES)

        with ExitStack() as stack:
            for number in range(task.number, task.number + task.held):
                stack.enter_context(serving(task, number, zmq.DEALER, answering))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with asker(task) as socket:
            count, copy = task.count, task.body_bytes <= COPIED_BYTES

            def question(data: bytes) -> int:
                for _ in range(count):
                    socket.send(data, copy=copy)  # to each in turn
                return sum(len(socket.recv()) == len(data) for _ in range(count))

            yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with asker(task) as socket:
            copy = task.body_bytes <= COPIED_BYTES

            def begin(data: bytes) -> Callable[[], object]:
                socket.send(data, copy=copy)
                return socket.recv  # answers keep the order of the questions

            yield partial(ask_many, begin, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("it discovers nobody")


@contextmanager
def asker(task: Task) -> Iterator[zmq.Socket[bytes]]:
    """A socket that is connected with each responder."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        for number in range(task.count):
            socket.connect(address(task, number))
        yield socket


@contextmanager
def serving(
    task: Task, number: int, kind: int, serve: Callable[[zmq.Socket[bytes]], None]
) -> Iterator[None]:
    """A bound socket in a thread; the end of its context ends both."""
    context = zmq.Context()
    socket = context.socket(kind)
    socket.linger = 0
    socket.bind(address(task, number))

    def run() -> None:
        with socket, suppress(zmq.ContextTerminated):
            serve(socket)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    context.term()
    thread.join()


def address(task: Task, number: int) -> str:
    """Where the socket of that number is bound."""
    return f"ipc://{task.folder}/zmq{number}"
