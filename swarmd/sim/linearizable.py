"""Is there an order of these operations on one register that explains every answer?

The search of Wing and Gong with memory: take any operation that began before every other
unfinished one ended, see whether its answer fits, go on. Operations whose outcome is unknown may
take effect at any time after they began, or never.
"""

from __future__ import annotations

from typing import NamedTuple


class Operation(NamedTuple):
    """One call: `kind` is "set", "cas" or "read"; `end` is None when the outcome is unknown."""

    kind: str
    arguments: tuple[str, ...]
    answer: str | None
    start: float
    end: float | None


def step(state: str, operation: Operation) -> str:
    """The register after the operation."""
    match operation.kind:
        case "set":
            return operation.arguments[0]
        case "cas" if state == operation.arguments[0]:
            return operation.arguments[1]
    return state


def explains(history: list[Operation], initial: str = "-") -> bool:
    """Whether some order of `history` respects time and all known answers."""
    infinity = float("inf")
    ops = sorted(history, key=lambda o: o.start)
    ends = [infinity if o.end is None else o.end for o in ops]
    required = sum(1 << i for i, o in enumerate(ops) if o.end is not None)
    seen: set[tuple[int, str]] = set()
    stack = [(0, initial)]
    while stack:
        done, state = stack.pop()
        if done & required == required:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        earliest_end = infinity
        candidates = []
        for index, operation in enumerate(ops):
            if done >> index & 1:
                continue
            if operation.start > earliest_end:
                break
            candidates.append(index)
            earliest_end = min(earliest_end, ends[index])
        for index in candidates:
            operation = ops[index]
            if operation.start > earliest_end:
                continue
            after = step(state, operation)
            if operation.end is None or operation.answer == after:
                stack.append((done | 1 << index, after))
    return False
