"""How hypothesis behaves in all of these tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# A busy machine makes an example slow, not wrong: time is for pytest's own time-out to judge. An example
# that failed once is printed as code to be pasted into a test, for CI keeps no database of examples.
settings.register_profile(
    "strongroom", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("strongroom")
