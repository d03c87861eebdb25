from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = [
    f"tests.plugins.{name}"
    for name in ("services", "store", "processes", "lab", "conformance", "suspend", "order")
]

# No deadline for a single example: on a busy machine it measures the neighbours.
settings.register_profile("ci", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", parent=settings.get_profile("ci"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
