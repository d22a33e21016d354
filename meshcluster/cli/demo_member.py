"""One of the demo's processes: a member that says what it sees, one JSON object a line.

Takes lines from its input: ``send NAME PROTOCOL``, ``query``, ``leave``. All times are the
machine's monotonic clock, so that the demo can subtract those of different processes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from .. import Cluster, ClusterError, Message, Service

_output = threading.Lock()


def say(what: str, **facts: Any) -> None:
    """One line to the demo."""
    with _output:
        print(json.dumps({"what": what, "at": time.monotonic(), **facts}), flush=True)


def main() -> None:
    """``python -m meshcluster.cli.demo_member NAME MESH``."""
    name, mesh = sys.argv[1:3]
    cluster = Cluster()

    @cluster.hook("service.discovered")
    def discovered(service: Service) -> None:
        say("discovered", who=service.name)

    @cluster.hook("service.lost")
    def lost(service: Service) -> None:
        say("lost", who=service.name)

    @cluster.hook("event")
    def heard(event: Message) -> None:
        assert event.service is not None
        say("heard", who=event.service.name, text=event.data, protocol=event.protocol)

    @cluster.hook("query")
    def asked(question: Message) -> str:
        return f"{name}, process {os.getpid()}"

    started = time.monotonic()
    try:
        cluster.join(tags=["demo"], cluster=mesh, name=name)
    except (ClusterError, OSError) as error:
        say("failed", text=str(error))
        return
    say("joined", since=started)
    for line in sys.stdin:
        obey(cluster, line.split())
    cluster.leave()


def obey(cluster: Cluster, words: list[str]) -> None:
    """Does what the demo asks for."""
    if words[0] == "send":
        _, name, protocol = words
        say("sent", who=name)
        cluster.send("Grüezi! 👋", resolve=name, protocols=[protocol])
    elif words[0] == "query":
        started = time.monotonic()
        with cluster.query("who are you?", resolve=["demo", "localhost"], timeout=5) as query:
            for service, answer in query:
                say("answered", who=service.name, text=answer, since=started)
        say("complete", since=started, count=len(query.results))
    elif words[0] == "leave":
        say("leaving")
        cluster.leave()


if __name__ == "__main__":
    main()
