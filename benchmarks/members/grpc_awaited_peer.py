"""grpcio's asyncio API, at both ends; UNIX sockets and plain bytes as in ``grpc_peer.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..task import Task
from .grpc_peer import UNLIMITED, address, grpc  # which sets what the import reads
from .load import AwaitedAsk


class AwaitedGrpc:
    """Plays who is asked and who asks."""

    @asynccontextmanager
    async def respond(self, task: Task) -> AsyncIterator[None]:
        async def echo(data: bytes, context: object) -> bytes:
            return data

        server = grpc.aio.server(options=UNLIMITED)
        handler = grpc.unary_unary_rpc_method_handler(echo)
        methods = grpc.method_handlers_generic_handler("benchmarks", {"Call": handler})
        server.add_generic_rpc_handlers((methods,))
        server.add_insecure_port(address(task, 0))
        await server.start()
        yield
        await server.stop(None)

    @asynccontextmanager
    async def ask(self, task: Task) -> AsyncIterator[AwaitedAsk]:
        async with grpc.aio.insecure_channel(address(task, 0), UNLIMITED) as channel:
            call = channel.unary_unary("/benchmarks/Call")

            async def question(data: bytes) -> int:
                return len(await call(data)) == len(data)

            yield question
