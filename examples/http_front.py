"""A web server whose work is done by members that come and go.

    shell 1: python examples/http_front.py 8080
    shell 2: python examples/http_worker.py       (shells 3, 4, ...: the same)
    shell 9: curl localhost:8080/sum              three numbers, their sum, and who added them
             curl localhost:8080/palindrome?n=2000     93: how many from 0 to n, counted by all
             curl localhost:8080/members          who works

Start more workers, stop some, kill some: every answer is right, or says what is wrong. The front
knows no address; there may be several of them.
"""

import json
import random
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import meshcluster

RUN_FOREVER = True

MOST = 10_000_000
STEP = 500
"""So many numbers are given to a worker at once."""

cluster = meshcluster.Cluster()


class BadRequest(Exception):
    """The client asked for something that is not there to be had."""


def add(query: dict[str, list[str]]) -> object:
    """The least busy member adds; another one, if that dies."""
    numbers = [random.randrange(100) for _ in range(3)]
    call = cluster.go("Arith.sum", numbers)
    total = call.result()
    return {"numbers": numbers, "sum": total, "member": call.service.name}


def palindromes(query: dict[str, list[str]]) -> object:
    """Ranges for all members, whose counts are added up."""
    text = query.get("n", [""])[-1]
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= MOST):
        raise BadRequest(f"n={text}: a number from 0 to {MOST}")
    n = int(text)
    ranges = [(first, min(first + STEP - 1, n)) for first in range(0, n + 1, STEP)]
    return sum(cluster.map("Palindrome.count", ranges, ordered=False))


def members(query: dict[str, list[str]]) -> object:
    """What each member can do."""
    found: dict[str, list[str]] = {}
    for name, services in cluster.exposed.items():
        for service in services:
            found.setdefault(service.name, []).append(name)
    return found


PATHS = {"/sum": add, "/palindrome": palindromes, "/members": members}


class Front(BaseHTTPRequestHandler):
    """One request, on a thread of its own."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        answer = PATHS.get(asked.path)
        if answer is None:
            self.reply(404, f"there are: {' '.join(PATHS)}")
            return
        try:
            self.reply(200, json.dumps(answer(parse_qs(asked.query))))
        except BadRequest as error:
            self.reply(400, str(error))
        except meshcluster.NotExposed as error:
            self.reply(503, f"no worker: {error}")
        except meshcluster.QueryTimeout as error:
            self.reply(504, str(error))
        except meshcluster.ClusterError as error:
            self.reply(502, str(error))

    def reply(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *what: object) -> None:
        """Says nothing."""


def main(arguments: list[str]) -> None:
    port = int(arguments[0]) if arguments else 8080
    with cluster.join(["front"]), ThreadingHTTPServer(("localhost", port), Front) as server:
        print(f"http://localhost:{server.server_port}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("left", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
