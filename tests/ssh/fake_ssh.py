"""Stands for the ssh client: takes its command line, and has a shell of this machine run the
command. Hosts with some names cannot be reached, or say nothing.

    ssh [-T] [-F FILE] [-l USER] [-p PORT] [-i FILE] [-o OPTION=VALUE]... -- HOST COMMAND...
"""

import subprocess
import sys
import time


def main(words):
    options = {}
    at = 0
    while words[at] != "--":
        if words[at] == "-T":
            at += 1
            continue
        if words[at] == "-o":
            name, _, value = words[at + 1].partition("=")
            options.setdefault(name, value)  # as ssh has it, the first one counts
        at += 2
    host, *command = words[at + 1 :]
    if host == "closed":
        sys.exit(refused(host, "Connection refused"))
    if host == "dark":
        time.sleep(float(options["ConnectTimeout"]))
        sys.exit(refused(host, "Connection timed out"))
    if host == "mute":
        sys.exit(sys.stdin.read() and 255)
    status = subprocess.call(["/bin/sh", "-c", " ".join(command)], start_new_session=True)
    sys.exit(status if status >= 0 else 255)


def refused(host, why):
    print(f"ssh: connect to host {host} port 22: {why}", file=sys.stderr)
    return 255


main(sys.argv[1:])
