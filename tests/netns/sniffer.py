"""All that goes over a switch, byte by byte, and what can be read in it."""

import base64

PROGRAM = """
import json, socket, sys, threading
count = 0
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, 33, 2**24)  # SO_RCVBUFFORCE
file = open(sys.argv[1], "wb", buffering=0)
def look():
    global count
    while True:
        frame, (port, _, direction, *_) = wire.recvfrom(2**17)
        if port.startswith("v") and direction != socket.PACKET_OUTGOING:
            file.write(len(frame).to_bytes(4, "big") + frame)
            count += 1
threading.Thread(target=look, daemon=True).start()
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(count), flush=True)
"""


class Sniffer:
    """Notes every frame that hosts send, until the network goes."""

    def __init__(self, lan, path):
        self._path = path
        self._process = lan.switch.script(PROGRAM, str(path))

    def frames(self):
        """All so far, from the Ethernet header on."""
        self._process.ask()
        data, frames, begin = self._path.read_bytes(), [], 0
        while begin < len(data):
            end = begin + 4 + int.from_bytes(data[begin : begin + 4], "big")
            frames.append(data[begin + 4 : end])
            begin = end
        return frames

    def found(self, words):
        """Those of the words that can be read anywhere, in any of the usual ways of writing."""
        data = b"\n".join(self.frames())
        both = data, data.lower()
        return sorted(w for w in words if any(any(f in d for d in both) for f in forms(w)))


def forms(word):
    """A word as UTF-8, UTF-16, hexadecimal digits and base64, at whatever place it begins."""
    plain = word.encode()
    made = {plain, plain[::-1], word.encode("utf-16-le"), word.encode("utf-16-be")}
    made |= {plain.hex().encode(), plain.hex().upper().encode()}
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            coded = encode(bytes(before) + plain).rstrip(b"=")
            made.add(coded[(0, 2, 3)[before] : len(coded) - 1])
    return made
