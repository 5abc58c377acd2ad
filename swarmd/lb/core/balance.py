"""What all balancers make of a service's balance: the order of a round, and where it begins.

A round has each target as often as its weight says. Nodes, and tasks that call others, begin it at
different places, or the first connection of each would come to the same target. A hash needs the
contrary: every node has to find the same target for a client, so hashes go by the round as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from math import gcd, lcm
from typing import TypeVar

from swarmd.model.states import Balance

T = TypeVar("T")


def ring(targets: Sequence[T], weights: Sequence[int]) -> tuple[T, ...]:
    """One round: every target as often as its weight says, its turns spread over the round.

    Weights count beside each other: 6 and 2 are 3 and 1. Who has weight 0 is left out.
    """
    if all(weight == 1 for weight in weights):
        return tuple(targets)
    divisor = gcd(*weights) or 1
    counts = [weight // divisor for weight in weights]
    whole = lcm(*filter(None, counts))
    turns = sorted(
        ((2 * turn + 1) * (whole // count), place)
        for place, count in enumerate(counts)
        for turn in range(count)
    )
    return tuple(targets[place] for _, place in turns)


def from_place(round_: Sequence[T], start: int) -> tuple[T, ...]:
    """The same round, begun at another place."""
    at = start % len(round_) if round_ else 0
    return (*round_[at:], *round_[:at])


def start_of(*names: str) -> int:
    """Where whoever is called so begins its rounds: anywhere, and always there."""
    return zlib.crc32("\0".join(names).encode())


def unserved(
    services: Iterable[tuple[str, Balance]], *, by: str, lacking: frozenset[Balance]
) -> tuple[str, ...]:
    """A sentence for each service, by name, that is balanced otherwise than it asks for."""
    return tuple(
        f"service {name} asks for balance {balance.value}, which {by} can't do: its connections go "
        "round its tasks; choose another balance, or start the daemon with --balancer ipvs where "
        "the kernel has it"
        for name, balance in services
        if balance in lacking
    )
