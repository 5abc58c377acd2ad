"""Generators of ids and randomness, one per purpose.

Identifiers and jitter come from `random.Random` instances that a test can seed; keys, tokens and
nonces come straight from the operating system and are passed into decisions as arguments.
"""

from __future__ import annotations

import random
import secrets

from swarmd.model.ids import id_from_bytes


class RandomIds:
    """Fresh object ids; `rng` makes them reproducible, None draws from the operating system."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._rng = rng if rng is not None else random.SystemRandom()

    def new(self) -> str:
        return id_from_bytes(self._rng.randbytes(17))


def system_rng() -> random.Random:
    """A generator seeded by the operating system, for jitter and placement ties."""
    return random.Random(secrets.randbits(64))
