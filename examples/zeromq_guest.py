"""A plain ZeroMQ program: it knows nothing of meshcluster, and asks a member (zeromq_host.py)."""

import sys

import zmq

RUN_FOREVER = True

if len(sys.argv) != 3:
    sys.exit("usage: zeromq_guest.py tcp://HOST:PORT QUESTION")
with zmq.Context() as context, context.socket(zmq.REQ) as request:
    request.connect(sys.argv[1])
    request.send(sys.argv[2].encode())
    status, body = request.recv_multipart()
print(status.decode(), body.decode())
