"""Words go in, capitals come out, through two queues. Nobody needs the address of anybody.

    shell 1: python examples/capitalizer.py work
    shell 2: python examples/capitalizer.py work          (as many as you like)
    shell 3: python examples/capitalizer.py hello world

All of them end by themselves when the last word is done, whatever the order of their start. Kill a
worker: its word goes to another, and shell 3 waits ten seconds for its return before it ends.
"""

import sys

import meshcluster

RUN_FOREVER = True  # until there are words


def work() -> None:
    with meshcluster.join() as cluster:
        print("at work", flush=True)
        words = cluster.queue("words", type=str)
        with cluster.queue("capitals", type=str) as capitals:
            # Who gives out words takes capitals: it knows of ours before we take a word.
            capitals.wait_ready(timeout=3600)
            for word in words:
                capitals.put(word.upper())
                # A word is done when we ask for the next one. Its capitals have arrived by then:
                # if we die before, another one gets the word.
                capitals.join()


def give(texts: list[str]) -> None:
    with meshcluster.join() as cluster:
        words = cluster.queue("words", type=str)
        for text in texts:
            words.put(text)  # held here until a worker has done it
        words.close()  # no more words: workers end when all are done
        for capitals in cluster.queue("capitals", type=str):
            print(capitals, flush=True)  # ends when all workers have ended


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        work()
    else:
        give(sys.argv[1:] or ["hello", "world"])
