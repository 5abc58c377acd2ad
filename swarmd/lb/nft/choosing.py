"""The statement by which a new connection gets the mark of its target."""

from __future__ import annotations

from collections.abc import Sequence

from swarmd.model.states import Balance

# Rules don't count connections.
LACKING = frozenset({Balance.LEAST_CONNECTION})
# Where a hash begins; any constant does, as long as every update and every node has the same.
_SEED = 0x5377


def mark_by(balance: Balance, marks: Sequence[str], *, hashed: str) -> str:
    """Marks connections with one of `marks` after the other, or by a hash of these expressions."""
    if len(marks) == 1:
        return f"ct mark set {marks[0]}"
    number = f"numgen inc mod {len(marks)}"
    if balance is Balance.SOURCE_HASH:
        number = f"jhash {hashed} mod {len(marks)} seed 0x{_SEED:x}"
    chosen = ", ".join(f"{index} : {mark}" for index, mark in enumerate(marks))
    return f"ct mark set {number} map {{ {chosen} }}"
