"""The managers an agent knows, and which of them to call next.

Each success or failure moves a manager's weight halfway to +10 or -10; the choice is random in
proportion to the weights, so that managers that don't answer are tried only when nothing better is
left, and no manager gets all the agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from swarmd.model.env import Rng

WEIGHT_MAX = 256
SUCCESS = 10
FAILURE = -10
SHARES_PER_WEIGHT = 1000  # a weight of zero or less still has one share


class Remote(msgspec.Struct, frozen=True):
    """A manager's address; the id is empty until the manager has told it."""

    addr: str
    node_id: str = ""


class Remotes:
    """Known managers with weights; never empty once it has known one.

    Args:
        known: what was known when the daemon stopped, or the addresses given to join.
        on_change: called with all managers when the set has changed, for keeping it.
    """

    def __init__(
        self,
        known: Iterable[Remote],
        *,
        rng: Rng,
        on_change: Callable[[tuple[Remote, ...]], None],
    ) -> None:
        self._rng = rng
        self._on_change = on_change
        self._remotes = {remote.addr: remote for remote in known}
        self._weights = dict.fromkeys(self._remotes, 0)

    def __len__(self) -> int:
        return len(self._remotes)

    def all(self) -> tuple[Remote, ...]:
        """In the order in which they were learnt."""
        return tuple(self._remotes.values())

    def weight(self, addr: str) -> int:
        return self._weights.get(addr, 0)

    def observe(self, addr: str, weight: int) -> None:
        """Move the weight of a known manager halfway to `weight`."""
        if addr in self._remotes:
            clipped = max(-WEIGHT_MAX, min(WEIGHT_MAX, weight))
            self._weights[addr] = -((-self._weights[addr] - clipped) // 2)

    def replace(self, listed: Iterable[tuple[Remote, int]]) -> None:
        """Know exactly the listed managers from now on, observed with the weights given.

        An empty list would leave nobody to call and is taken for a mistake: nothing changes.
        """
        fresh = {remote.addr: (remote, weight) for remote, weight in listed if remote.addr}
        if not fresh:
            return
        before = self._remotes
        self._remotes = {addr: remote for addr, (remote, _) in fresh.items()}
        self._weights = {addr: self._weights.get(addr, 0) for addr in fresh}
        for addr, (_, weight) in fresh.items():
            self.observe(addr, weight)
        if self._remotes != before:
            self._on_change(self.all())

    def select(self) -> Remote | None:
        """A manager to call; None when none was ever known."""
        shares = {
            addr: max(weight, 0) * SHARES_PER_WEIGHT + 1 for addr, weight in self._weights.items()
        }
        if not shares:
            return None
        drawn = self._rng.randrange(0, sum(shares.values()))
        for addr, share in shares.items():
            if drawn < share:
                return self._remotes[addr]
            drawn -= share
        raise AssertionError("a number below the sum falls into one of the shares")
