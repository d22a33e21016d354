"""What leaves when the interpreter ends."""

import subprocess
import sys


def run(code):
    command = [sys.executable, "-c", "from meshcluster.runtime import exits\n" + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.split()


def test_at_the_end_the_last_added_leaves_first():
    code = "for word in ('one', 'two'): exits.add(lambda word=word: print(word))"
    assert run(code) == ["two", "one"]


def test_what_is_discarded_or_added_twice():
    code = """
def leave(): print("leaves")
def other(): print("other")
exits.add(leave); exits.add(leave)
exits.add(other); exits.discard(other); exits.discard(print)
"""
    assert run(code) == ["leaves"]


def test_there_is_one_entry_in_atexit_however_many_are_added():
    code = """
import atexit
before = atexit._ncallbacks()
for _ in range(100):
    exits.add(run); exits.discard(run)
print(atexit._ncallbacks() - before)
"""
    assert run("def run(): pass\n" + code) == ["1"]
