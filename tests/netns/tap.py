"""A network with delay, reordering, duplicates and loss, all drawn from a seed.

A switch of our own between TAP devices: not every kernel has netem.
"""

import contextlib
import fcntl
import heapq
import itertools
import os
import select
import struct
import threading
import time
from random import Random

from .ground import TUN
from .host import Host

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
FRAME_BYTES = 2048
NUMBERS = itertools.count()


class TapLan:
    """Like ``Lan``, but for its faults: set ``delay_seconds`` (from, to), ``loss`` and
    ``duplicates`` (0 to 1) at any time. Frames that are delayed differently overtake each other.
    """

    def __init__(self, place: int, seed: int, *, ipv4: bool = True, ipv6: bool = True) -> None:
        self.subnet = f"10.{77 + place}.0"
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.numbers: dict[Host, int] = {}
        self.delay_seconds = (0.0, 0.0)
        self.loss = 0.0
        self.duplicates = 0.0
        self._random = Random(seed)
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._ports: list[int] = []
        self._learned: dict[bytes, int] = {}
        self._poll = select.epoll()
        self._end, self._stop = os.pipe()
        self._poll.register(self._end, select.EPOLLIN)
        self._thread = threading.Thread(target=self._switch, name="tap switch", daemon=True)
        self._thread.start()

    @property
    def hosts(self) -> list[Host]:
        """In the order of their cables."""
        return list(self.numbers)

    def address_of(self, host: Host) -> str:
        """A host's IPv4 address here."""
        return f"{self.subnet}.{self.numbers[host]}"

    def connect(self, host: Host) -> Host:
        """Gives a host its next interface, which leads to this switch."""
        number = len(self.numbers) + 1
        name = f"mcn{os.getpid() % 10**7}t{next(NUMBERS) % 1000}"
        port = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
        self._ports.append(port)
        host.ground.run("ip", "link", "set", name, "netns", host.name)
        self.numbers[host] = number
        host.attach(self, number, f"link set {name} name eth{len(host.lans)}")
        self._poll.register(port, select.EPOLLIN)
        return host

    def _switch(self) -> None:
        while True:
            wait = self._waiting[0][0] - time.monotonic() if self._waiting else 1.0
            for port, _ in self._poll.poll(max(0.0, wait)):
                if port == self._end:
                    return
                self._read(port)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, port, frame = heapq.heappop(self._waiting)
                with contextlib.suppress(OSError):
                    os.write(port, frame)

    def _read(self, port: int) -> None:
        with contextlib.suppress(OSError):
            for _ in range(64):
                self._forward(port, os.read(port, FRAME_BYTES))

    def _forward(self, source: int, frame: bytes) -> None:
        self._learned[frame[6:12]] = source
        known = self._learned.get(frame[:6])
        for port in list(self._ports) if known is None else [known]:
            copies = 1 + (self._random.random() < self.duplicates)
            if port == source or self._random.random() < self.loss:
                continue
            for _ in range(copies):
                due = time.monotonic() + self._random.uniform(*self.delay_seconds)
                heapq.heappush(self._waiting, (due, next(self._order), port, frame))

    def close(self) -> None:
        """Ends the switch; its devices vanish."""
        os.write(self._stop, b"\0")
        self._thread.join()
        self._poll.close()
        for descriptor in (self._end, self._stop, *self._ports):
            os.close(descriptor)
