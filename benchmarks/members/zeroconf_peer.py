"""python-zeroconf: discovery by mDNS, with its defaults, on the loopback interface."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zeroconf import ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from ..task import Task

UNSAID_SECONDS = 1.5
"""For a second what was announced is not said again; who is there has been there for longer."""


class ByMdns:
    """Meets; it moves no messages."""

    @contextmanager
    def meet(self, task: Task, met: Callable[[], None]) -> Iterator[None]:
        kind = f"_mcb{task.port}._tcp.local."
        own = f"m{os.getpid()}.{kind}"

        def seen(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:
            if state_change is ServiceStateChange.Added and name != own:
                met()

        with Zeroconf(interfaces=["127.0.0.1"]) as zeroconf:
            ServiceBrowser(zeroconf, kind, handlers=[seen])
            address = socket.inet_aton("127.0.0.1")
            zeroconf.register_service(
                ServiceInfo(kind, own, addresses=[address], port=task.port, server=own)
            )
            time.sleep(UNSAID_SECONDS)
            yield
