# Each target is one line; the README's two commands need none of them.
BIN ?= .venv/bin
SEED ?= 7
.PHONY: setup check test quick simulate bench verify clean

setup: ; python3 -m venv .venv && $(BIN)/pip install -q -e '.[test]'
check: ; $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports
test: ; $(BIN)/pytest -q -n 2 --dist loadfile
quick: ; $(BIN)/pytest -q -m "not slow and not netns and not process"
simulate: ; $(BIN)/python -m meshcluster.testing.simulation --seed $(SEED)
bench: ; mkdir -p build && $(BIN)/python -m benchmarks --netns-if-possible --json build/bench.json --markdown build/bench.md --svg build/bench.svg
verify: ; $(BIN)/python -m benchmarks --compare benchmarks/stored.json && $(BIN)/pytest -q tests/integration/test_calls.py tests/integration/test_queues.py tests/examples/test_http_front.py
clean: ; rm -rf build dist .hypothesis .*_cache && find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
