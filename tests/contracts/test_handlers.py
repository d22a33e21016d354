"""What every protocol handler promises, ours and a third party's alike: see
meshcluster/testing/contract.py. A protocol that is added gets a class here.
"""

import asyncio
import sys

import pytest

from meshcluster.protocols import StreamLink, port_of
from meshcluster.testing.contract import ProtocolContract


class WhisperHandler:
    """All that a third party writes: TCP under another name."""

    scheme = "whisper"
    local_only = False

    def __init__(self, context):
        self.server = None

    async def listen(self, accept):
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: StreamLink(accept), "127.0.0.1", 0)
        return {"at": self.server.sockets[0].getsockname()[1]}

    async def dial(self, address, endpoint, accept):
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: StreamLink(accept), address, port_of(endpoint, "at"))

    async def close(self):
        if self.server is not None:
            self.server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no UNIX sockets")
class TestUnix(ProtocolContract):
    scheme = "unix"


class TestTcp(ProtocolContract):
    scheme = "tcp"


class TestMemory(ProtocolContract):
    scheme = "memory"


class TestZeromq(ProtocolContract):
    scheme = "zeromq"


class TestWhisper(ProtocolContract):
    scheme = "whisper"
    holds_listener = False  # it need not tell; its links do

    @pytest.fixture(autouse=True)
    def installed(self, install):
        """Its package: its entry point names the class above."""
        install("whisper", "meshcluster.protocols", "whisper", f"{__name__}:WhisperHandler")
