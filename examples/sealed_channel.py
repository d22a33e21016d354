"""A channel whose payload is sealed by a pair of hooks: `send` seals, `receive` opens.

With the package `cryptography` installed (`pip install cryptography`) it is encrypted. Without it
the example says so and only signs: everybody can read, and what was not made with the key, or was
changed on its way, is refused. Python's own library has no cipher, and a home-made one is none.

What travels on that channel is sealed whatever it is: events, questions, answers, errors. The seal
holds the sender and the channel, so nobody can pass off a sealed message as its own. It does not
tell a message that its sender repeats from a new one: put a number into the data if that matters.
"""

import hmac
import os
import sys
from typing import Protocol

import meshcluster

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
except ImportError:
    ChaCha20Poly1305 = None

CHANNEL = 7


class Cipher(Protocol):
    """`bound` is not hidden, and must be the same when it is opened. Raises ValueError."""

    def seal(self, plain: bytes, bound: bytes) -> bytes: ...
    def open(self, sealed: bytes, bound: bytes) -> bytes: ...


class Encrypted:
    """Hides and protects. `key`: 32 random bytes that all members of the channel have."""

    def __init__(self, key: bytes) -> None:
        self.cipher = ChaCha20Poly1305(key)

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.cipher.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        try:
            return self.cipher.decrypt(sealed[:12], sealed[12:], bound)
        except InvalidTag:
            raise ValueError("not sealed with our key") from None


class Signed:
    """Protects and hides nothing."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        return self._sign(plain, bound) + plain

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        signature, plain = sealed[:32], sealed[32:]
        if not hmac.compare_digest(signature, self._sign(plain, bound)):
            raise ValueError("not signed with our key")
        return plain

    def _sign(self, plain: bytes, bound: bytes) -> bytes:
        return hmac.digest(self.key, len(bound).to_bytes(4, "big") + bound + plain, "sha256")


def seal(cluster: meshcluster.Cluster, channel: int, cipher: Cipher) -> None:
    """Seals a channel of this member: last of all what leaves, first of all what comes."""

    def bound(sender: str, message: meshcluster.Message) -> bytes:
        return f"{sender} {message.channel} {message.kind}".encode()

    @cluster.hook("send", channel=channel, order=sys.maxsize)
    def outwards(message: meshcluster.Message) -> meshcluster.Message:
        plain = bytes([message.form]) + message.body  # the value as it travels, not decoded
        return message.replace(data=cipher.seal(plain, bound(cluster.uuid, message)))

    @cluster.hook("receive", channel=channel, order=-sys.maxsize)
    def inwards(message: meshcluster.Message) -> meshcluster.Message:
        try:
            plain = cipher.open(message.body, bound(message.service.uuid, message))
        except ValueError as error:
            raise meshcluster.HookRejected(str(error)) from None
        return message.replace(form=plain[0], body=plain[1:])


def main() -> None:
    key = os.urandom(32)  # in a program: from a file that only its user can read
    if ChaCha20Poly1305 is None or "--sign" in sys.argv:
        print("signed, NOT encrypted" + " (no package cryptography)" * (not ChaCha20Poly1305))
        cipher: Cipher = Signed(key)
    else:
        print("encrypted")
        cipher = Encrypted(key)

    notes: list[str] = []
    alice, bob, eve = (meshcluster.Cluster() for _ in range(3))
    seal(alice, CHANNEL, cipher)
    seal(bob, CHANNEL, cipher)

    @bob.hook("event")
    def heard(event: meshcluster.Message) -> None:
        notes.append(f"bob hears {event.data}")

    @bob.hook("query")
    def answer(question: meshcluster.Message) -> str:
        return f"{question.data}? at noon"

    @eve.hook("event")
    def overheard(event: meshcluster.Message) -> None:
        notes.append("eve can read it" if b"the code" in event.body else "eve cannot read it")

    with (
        alice.join(name="alice", channels=[CHANNEL]),
        bob.join(name="bob", channels=[CHANNEL]),
        eve.join(name="eve", channels=[CHANNEL]),
    ):
        alice.wait_for_services(2)
        eve.wait_for_services(2)
        alice.broadcast({"the code": 1234}, channel=CHANNEL)
        eve.send("I am alice", resolve="bob", channel=CHANNEL)
        answers = alice.query("when", resolve="bob", channel=CHANNEL).wait()
        print(f"bob answers {' '.join(answers.values())}")
        refused = eve.query("when", resolve="bob", channel=CHANNEL, timeout=2)
        try:
            refused.wait()
        except meshcluster.QueryTimeout:
            pass
        print(f"eve is answered {refused.results} {refused.errors}")
        print("bob dropped", bob.dropped)
    print(*sorted(notes), sep="\n")


if __name__ == "__main__":
    main()
