"""Hostile input for every parser: ``python -m tests.fuzz --help``; docs/fuzzing.md has the tally."""
