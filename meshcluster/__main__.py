"""``python -m meshcluster``: the command."""

from .cli.main import main

try:
    main()
finally:
    # Where Ctrl-C cuts an exec short (of a dataclass that is being imported), Python remembers that
    # it was interrupted, and ends by the signal instead of our exit code, although we caught it. It
    # forgets that with the next exec.
    exec("")
