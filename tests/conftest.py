"""Property tests draw the same examples at every run; `make fuzz` draws new ones, and more."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None, database=None, print_blob=True)
settings.load_profile("repeatable")
