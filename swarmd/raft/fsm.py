"""What Raft asks of the thing it replicates.

Raft moves bytes; only the state machine knows what they mean. The two meet in the protocols
below, so the replicated tables can be tested without Raft and Raft without the tables.
See docs/design/raft.md.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol


class FrozenState(Protocol):
    """A view of the state machine at one log index that later applies do not change."""

    def chunks(self) -> Iterator[bytes]:
        """Encode the view piece by piece. May run in a worker thread beside further applies."""
        ...


class StateMachine(Protocol):
    """The deterministic machine every member runs."""

    def apply(self, index: int, data: bytes) -> object:
        """Apply one committed entry and return the proposer's answer.

        Called once per index, in order, on every member. Bad data is answered with a
        rejection object, the same on every member; raising is a bug in the machine.
        """
        ...

    def freeze(self) -> FrozenState:
        """Take a cheap, synchronous view of the state as of the last applied entry."""
        ...

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        """Replace the whole state by the one frozen at `index`; whatever was there is gone."""
        ...
