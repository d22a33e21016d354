"""A protocol of your own: TLS, where both ends must hold the mesh's key.

    openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=mesh \
        -keyout mesh.key -out mesh.crt
    shell 1: python examples/own_protocol.py mesh.crt mesh.key
    shell 2: python examples/own_protocol.py mesh.crt mesh.key

Members that offer "tls" alone exchange no message over anything else. Who they are and what they
say of themselves (tags, props) still travels in datagrams that everybody can read.
"""

import asyncio
import ssl
import sys

import meshcluster
from meshcluster.protocols import Accept, Context, StreamLink, port_of, registry

RUN_FOREVER = True


class TlsHandler:
    """Options: ``certificate`` and ``key``, paths of files, the same for all members."""

    scheme = "tls"
    local_only = False

    def __init__(self, context: Context) -> None:
        self.host = "127.0.0.1" if context.host_only else "0.0.0.0"
        files = context.options["certificate"], context.options["key"]
        self.inwards = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files[0])
        self.inwards.verify_mode = ssl.CERT_REQUIRED
        self.outwards = ssl.create_default_context(cafile=files[0])
        self.outwards.check_hostname = False  # members have no names; the key is what counts
        for side in (self.inwards, self.outwards):
            side.minimum_version = ssl.TLSVersion.TLSv1_3
            side.load_cert_chain(*files)

    async def listen(self, accept: Accept) -> dict[str, str | int]:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            lambda: StreamLink(accept), self.host, 0, ssl=self.inwards
        )
        return {"port": self.server.sockets[0].getsockname()[1]}

    async def dial(self, address: str, endpoint: meshcluster.Endpoint, accept: Accept) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: StreamLink(accept), address, port_of(endpoint), ssl=self.outwards
        )

    async def close(self) -> None:
        self.server.close()


# A package says this in its pyproject.toml, and users need only name the protocol:
#   [project.entry-points."meshcluster.protocols"]
#   tls = "my_package:TlsHandler"
registry.BUILT_IN["tls"] = f"{__name__}:TlsHandler"

cluster = meshcluster.Cluster()


@cluster.hook("event")
def heard(event: meshcluster.Message) -> None:
    print(event.service.name, "says", event.data, "by", event.protocol, flush=True)


@cluster.hook("service.discovered")
def discovered(service: meshcluster.Service) -> None:
    service.send("hello")


if len(sys.argv) != 3:
    sys.exit("usage: own_protocol.py CERTIFICATE KEY (how to make them: see this file's beginning)")
cluster.join(
    protocols=["tls"], protocol_options={"tls": {"certificate": sys.argv[1], "key": sys.argv[2]}}
)
cluster.run_forever()
