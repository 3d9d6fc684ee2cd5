"""Settings for every test: no wall-clock deadlines, and the same hypothesis examples in every run of CI."""

import os

# Test processes share the cores; threads that spin while they wait would keep them from each other.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
