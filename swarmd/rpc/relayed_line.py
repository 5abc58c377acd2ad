"""The line to a machine behind another manager, as the leader knows it.

The kernel that watches the machine is the relaying manager's. That manager only speaks up when the
machine is silent (`silence`); as long as it does not, the machine is as alive as the manager, whose
own connection is watched here.
"""

from __future__ import annotations

from swarmd.model.instant import Instant
from swarmd.rpc.call import Line, Peer
from swarmd.runtime.clock import Clock


class RelayedLine:
    """Implements `call.Line`; `note` is for what the relaying manager reports.

    Args:
        relay: the line to the manager that relays.
        via: that manager's node id.
        name: how it calls the caller's line.
    """

    def __init__(self, relay: Line, *, via: str, name: str, clock: Clock) -> None:
        self._relay = relay
        self._via = via
        self._name = name
        self._clock = clock
        self._silent_since: Instant | None = None

    def is_called(self, name: str, *, via: str) -> bool:
        """Whether the manager `via` means this line by `name`."""
        return (self._via, self._name) == (via, name)

    def note(self, silent_ns: int) -> None:
        """The machine has been silent for so long; with 0 it is no longer."""
        self._silent_since = Instant(self._clock.monotonic() - silent_ns) if silent_ns else None

    def heard_at(self) -> Instant | None:
        heard = self._relay.heard_at()
        if self._silent_since is None:
            return heard
        return self._silent_since if heard is None else min(heard, self._silent_since)


def line_of(caller: Peer, relay: Line | None, clock: Clock) -> RelayedLine | None:
    """The line to whom a manager forwards for; None when that manager does not watch it."""
    if relay is None or not caller.line:
        return None
    return RelayedLine(relay, via=caller.via, name=caller.line, clock=clock)
