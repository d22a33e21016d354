"""The worker of examples/ssh_dispatcher.py, which starts it, and talks to it by its standard input
and output. It answers one question; what it prints is no answer, but goes to the dispatcher's log.
"""

import platform

import meshcluster

RUN_FOREVER = True  # until its dispatcher says goodbye


def answer(asked: dict) -> str:
    if asked["question"] != "what's your hostname?":
        raise ValueError(f"I know of no answer to {asked['question']!r}")
    print("asked for the hostname")
    return f"{asked['i']}'s hostname is {platform.node()}"


if __name__ == "__main__":
    meshcluster.work(answer)
