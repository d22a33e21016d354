"""Programs whose cost is measured: at rest, at a given rate, with typed values. Each runs in a
process of its own, ``python -m benchmarks.costs TOLD``, and uses public names only.
"""
