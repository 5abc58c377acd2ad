"""The store as Raft's state machine: bytes of log entries in, answers out.

Every manager applies the same bytes. What can't be decoded was written by another version of
swarmd; going on without it would fork the cluster's state, so the error ends the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from swarmd.store.changes import Applied, Object
from swarmd.store.codec import Decoder, encode_records
from swarmd.store.store import Store


class FrozenRecords:
    """The records at one index; encoding them may happen in another thread."""

    def __init__(self, records: list[Object]) -> None:
        self._records = records

    def chunks(self) -> Iterator[bytes]:
        return encode_records(self._records)


class Replica:
    """Applies committed entries to the store; see `swarmd.raft.fsm.StateMachine`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._decoder = Decoder()

    def apply(self, index: int, data: bytes) -> Applied:
        return self.store.apply(index, self._decoder.entry(data))

    def freeze(self) -> FrozenRecords:
        return FrozenRecords(self.store.records())

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        self.store.restore(
            index, [record for chunk in chunks for record in self._decoder.records(chunk)]
        )
