"""Hostile input for every parser: ``python -m tests.fuzz --help``; the tally: docs/fuzzing.md."""
