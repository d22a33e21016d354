"""``python -m meshcluster``: the command."""

from .cli.main import main

main()
