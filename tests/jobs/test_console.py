"""A question at a real terminal: what is typed is not seen, and the terminal is as before
afterwards, however it ended.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from meshcluster.jobs.console import LINE_BYTES, Line

if sys.platform != "win32":
    import termios

WAIT_SECONDS = 20
at_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")


def typed(*pieces):
    line = Line()
    return [line.feed(piece) for piece in pieces], line.text()


class TestLine:
    @pytest.mark.parametrize("end", [b"\r", b"\n", b"\x04"])
    def test_ends_at_cr_lf_or_ctrl_d(self, end):
        assert typed(b"sec", b"ret" + end + b"more") == ([False, True], "secret")

    def test_ctrl_c_interrupts(self):
        with pytest.raises(KeyboardInterrupt):
            typed(b"sec\x03")

    def test_backspace_takes_back_a_character_however_many_bytes_it_has(self):
        assert typed("ab\u20ac\x7fc\x08\x08".encode())[1] == "a"
        assert typed(b"\x7f\x7fa\n") == ([True], "a")

    def test_ctrl_u_takes_back_all(self):
        assert typed(b"wrong\x15right\n")[1] == "right"

    def test_what_is_no_utf8_survives(self):
        assert typed(b"\xff\n")[1].encode("utf-8", "surrogateescape") == b"\xff"

    def test_is_no_longer_than_it_may_be(self):
        assert len(typed(b"x" * 2 * LINE_BYTES)[1]) == LINE_BYTES


START = """
import asyncio, fcntl, os, signal, sys, termios, threading, time
if TERMINAL:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from meshcluster.errors import Interrupted, SudoFailed
from meshcluster.jobs import console
from meshcluster.jobs.passwords import Passwords

"""


class Program:
    """A program at a terminal of its own, a person's eyes and hands there, and what it prints."""

    def __init__(self, text, terminal=True):
        self.near, self.far = os.openpty()
        self.shown = ""
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"TERMINAL = {terminal}{START}{text}"],
            start_new_session=True,
            stdin=self.far,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def sees(self, text):
        """Looks at the terminal until that was shown."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.shown:
            left = deadline - time.monotonic()
            if left < 0 or not select.select([self.near], [], [], left)[0]:
                pytest.fail(f"no {text!r} in {self.shown!r}")
            self.shown += os.read(self.near, 4096).decode()

    def types(self, keys):
        os.write(self.near, keys)

    def signal(self, number):
        self._process.send_signal(number)

    def hang_up(self):
        os.close(self.near)
        self.near = None

    @property
    def echoes(self):
        return bool(termios.tcgetattr(self.far)[3] & termios.ECHO)

    def prints(self):
        """All that it printed, at its end."""
        return self._process.communicate(timeout=WAIT_SECONDS)[0].decode().split("\n")[:-1]

    def close(self):
        self._process.kill()
        self._process.communicate()
        for end in filter(None, (self.near, self.far)):
            os.close(end)


@pytest.fixture
def program():
    with contextlib.ExitStack() as stack:
        yield lambda *how, **kw: stack.enter_context(contextlib.closing(Program(*how, **kw)))


@pytest.mark.process
@at_a_terminal
class TestAsk:
    def test_what_is_typed_is_not_shown_and_ends_at_cr_lf_or_ctrl_d(self, program):
        child = program("for n in range(3): print(console.ask(f'password {n}: '))")
        for number, end in enumerate((b"\r", b"\n", b"\x04")):
            child.sees(f"password {number}: ")
            assert not child.echoes
            child.types(b"secret" + end)
        assert child.prints() == ["secret"] * 3
        assert child.echoes
        child.sees("password 2: \r\n")
        assert child.shown == "password 0: \r\npassword 1: \r\npassword 2: \r\n"

    def test_ctrl_c_interrupts_who_asks(self, program):
        child = program(
            "try: console.ask('password: ')\nexcept KeyboardInterrupt: print('interrupted')"
        )
        child.sees("password: ")
        child.types(b"sec\x03")
        assert child.prints() == ["interrupted"]
        assert child.echoes

    def test_without_a_terminal_the_error_says_what_to_do(self, program):
        child = program(
            "try: asyncio.run(Passwords().ask('web1'))\nexcept SudoFailed as error: print(error)",
            terminal=False,
        )
        assert child.prints() == [
            "no terminal to ask for the sudo password of web1: --sudo-password-file of the command "
            "and Passwords.set() give it beforehand, Passwords(provider=...) asks elsewhere"
        ]

    def test_a_terminal_that_hangs_up_is_an_error(self, program):
        child = program(
            "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
            "try: console.ask('password: ')\nexcept SudoFailed as error: print(error)"
        )
        child.sees("password: ")
        child.hang_up()
        assert child.prints() == ["the terminal went away at the question for the password"]


@pytest.mark.process
@at_a_terminal
class TestGivingUp:
    def test_a_signal_to_the_main_thread_ends_the_question_of_another(self, program):
        child = program("""
async def all():
    await asyncio.gather(*(passwords.tries(site).next() for site in ("s1", "s2")))

passwords = Passwords()
try:
    asyncio.run(all())
except KeyboardInterrupt:
    shown = termios.tcgetattr(0)[3] & termios.ECHO
    print("interrupted", bool(shown))
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print(threading.active_count())
""")
        child.sees("sudo password of s1: ")
        assert not child.echoes
        child.types(b"half a pass")
        child.signal(signal.SIGINT)
        assert child.prints() == ["interrupted True", "1"]
        assert child.echoes
        child.sees("s1: \r\n")
        assert "s2" not in child.shown

    def test_a_program_that_ends_meanwhile_leaves_the_terminal_as_it_was(self, program):
        child = program("""
signal.signal(signal.SIGUSR1, lambda *_: sys.exit("over"))
threading.Thread(target=console.ask, args=("password: ",), daemon=True).start()
signal.pause()
""")
        child.sees("password: ")
        assert not child.echoes
        child.signal(signal.SIGUSR1)
        assert child.prints() == ["over"]
        assert child.echoes

    def test_ctrl_c_ends_all_who_wait(self, program):
        child = program("""
async def all():
    tries = (passwords.tries(f"s{n}").next() for n in range(5))
    return await asyncio.gather(*tries, return_exceptions=True)

async def first():
    waiting = asyncio.create_task(all())
    await asyncio.sleep(0)  # which begins it
    await asyncio.sleep(0)  # and each of them
    os.write(0, b"all wait")
    return await waiting

passwords = Passwords()
for end in asyncio.run(first()): print(type(end).__name__)
print(asyncio.run(all()))
""")
        child.sees("s0: ")
        child.sees("all wait")
        child.types(b"\x03")
        child.sees("\r\nsudo password of s0: ")  # it can be asked for again
        child.types(b"secret\r")
        assert child.prints() == ["Interrupted"] * 5 + [str(["secret"] * 5)]

    def test_one_question_at_a_time_and_who_waits_for_its_turn_can_give_up(self, program):
        child = program("""
def ask(name):
    try: answers[name] = askings[name].ask(f"{name}: ")
    except Interrupted: os.write(0, b"given up")

answers, askings = {}, {name: console.Asking() for name in "abc"}
first, second, third = [threading.Thread(target=ask, args=name) for name in "abc"]
first.start()
while termios.tcgetattr(0)[3] & termios.ECHO: time.sleep(0.001)
second.start()
third.start()
asked = console.is_asking()
askings["b"].give_up()
for each in (second, first, third): each.join()
print(answers, asked, console.is_asking())
""")
        child.sees("a: ")
        child.sees("given up")
        child.types(b"one\r")
        child.sees("c: ")
        assert not child.echoes
        child.types(b"two\r")
        assert child.prints() == ["{'a': 'one', 'c': 'two'} True False"]
        assert child.echoes
