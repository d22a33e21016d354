"""Where a wheel is tested, without the checkout, there are no benchmarks to look into; the tests
that run them as programs go to the checkout themselves.
"""

from importlib.util import find_spec

RUN_IT = ["test_cold.py", "test_membership.py", "test_secret.py"]
collect_ignore = [] if find_spec("benchmarks") else RUN_IT
