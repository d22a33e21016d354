"""Where a wheel is tested, without the checkout, there are no benchmarks to look into; the tests
that run them as programs go to the checkout themselves.
"""

from importlib.util import find_spec
from pathlib import Path

AS_PROGRAMS = {"test_beacons.py", "test_command.py"}
INSIDE = sorted({p.name for p in Path(__file__).parent.glob("test_*.py")} - AS_PROGRAMS)
collect_ignore = [] if find_spec("benchmarks") else INSIDE
