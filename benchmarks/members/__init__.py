"""Those who are measured. Each runs in a process of its own: ``python -m benchmarks.members``."""
