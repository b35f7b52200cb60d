"""Settings of all tests: property tests draw the same examples in every run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")
