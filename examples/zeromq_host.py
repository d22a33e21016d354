"""A member that welcomes plain ZeroMQ programs as its guests: it tells them who is there.

shell 1: python examples/zeromq_host.py 5599
shell 2: python examples/zeromq_guest.py tcp://127.0.0.1:5599 who
"""

import sys

import meshcluster

RUN_FOREVER = True

cluster = meshcluster.Cluster()


@cluster.hook("guest")
def answer(message: meshcluster.Message) -> str:
    print("asked from", message.service.address, flush=True)
    if message.data != b"who":
        raise ValueError("ask: who")
    return ", ".join(["zeromq_host", *sorted(service.name for service in cluster.services)])


if len(sys.argv) != 2:
    sys.exit("usage: zeromq_host.py PORT")
options = {"plain": True, "plain_port": int(sys.argv[1])}
cluster.join(name="zeromq_host", protocol_options={"zeromq": options})
print("guests are welcome", flush=True)
cluster.run_forever()
