"""grpcio at its best: UNIX sockets, bytes as they are instead of protobuf, its blocking API (its
asyncio one is slower), one-way messages as a client's stream.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # read by the import: no word on each goodbye

import grpc

from ..task import Task
from .load import Ask, Burst, Flood, Mark, ask_many, body, burst_of
from .roles import Take

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
WAITING = 256
"""Messages between the sender and the thread that puts them into the stream."""


class Grpc:
    """Plays the roles with generic handlers."""

    @contextmanager
    def receive(self, task: Task, take: Take) -> Iterator[None]:
        def taking(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            for data in messages:
                take(data)
            return b""

        with serving(task, 0, grpc.stream_unary_rpc_method_handler(taking)):
            yield

    @contextmanager
    def send(self, task: Task) -> Iterator[tuple[Burst, Mark]]:
        with grpc.insecure_channel(address(task, 0), UNLIMITED) as channel:
            waiting: queue.Queue[bytes | None] = queue.Queue(WAITING)
            put, data, times = waiting.put, body(task), burst_of(task)
            call = channel.stream_unary("/benchmarks/Call").future(iter(waiting.get, None))

            def burst() -> None:
                for _ in range(times):
                    put(data)

            yield burst, put
            put(None)
            call.cancel()

    @contextmanager
    def respond(self, task: Task) -> Iterator[None]:
        handler = grpc.unary_unary_rpc_method_handler(lambda data, context: data)
        with ExitStack() as stack:
            for number in range(task.number, task.number + task.held):
                stack.enter_context(serving(task, number, handler))
            yield

    @contextmanager
    def ask(self, task: Task) -> Iterator[Ask]:
        with ExitStack() as stack:
            calls = []
            for number in range(task.count):
                channel = grpc.insecure_channel(address(task, number), UNLIMITED)
                calls.append(stack.enter_context(channel).unary_unary("/benchmarks/Call"))
            (first, *others) = calls

            def question(data: bytes) -> int:
                futures = [call.future(data) for call in others]
                answers = [first(data), *(future.result() for future in futures)]
                return sum(len(answer) == len(data) for answer in answers)

            yield question

    @contextmanager
    def ask_many(self, task: Task) -> Iterator[Flood]:
        with grpc.insecure_channel(address(task, 0), UNLIMITED) as channel:
            call = channel.unary_unary("/benchmarks/Call")
            yield partial(ask_many, lambda data: call.future(data).result, task)

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        raise NotImplementedError("it discovers nobody")


@contextmanager
def serving(task: Task, number: int, handler: grpc.RpcMethodHandler) -> Iterator[None]:
    """A server with one method."""
    with ThreadPoolExecutor(max_workers=8) as threads:
        server = grpc.server(threads, options=UNLIMITED)
        methods = grpc.method_handlers_generic_handler("benchmarks", {"Call": handler})
        server.add_generic_rpc_handlers((methods,))
        server.add_insecure_port(address(task, number))
        server.start()
        yield
        stopped: threading.Event = server.stop(None)
        stopped.wait()


def address(task: Task, number: int) -> str:
    """Where the server of that number listens."""
    return f"unix:{task.folder}/grpc{number}"
