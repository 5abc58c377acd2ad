"""What a balancing back end must do, and the choice between those there are.

A back end owns every published port of this node. It is handed whole tables and brings itself in
line with each; what it could not do is reported, retried by itself, and never hides the rest. All
back ends pass one suite of contract tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from swarmd.lb.core.plan import PortKey
from swarmd.lb.core.tables import Tables


class BalancerReport(Struct, frozen=True):
    """The state of the back end after a table: its version, and sentences about what fails."""

    version: int
    problems: tuple[str, ...] = ()


class FrontendStats(Struct, frozen=True):
    """Counters of one published port since it was opened; `active` is a level."""

    active: int = 0  # connections or UDP sessions open now
    accepted: int = 0  # connections or UDP sessions ever
    refused: int = 0  # turned away because nobody answered
    failovers: int = 0  # attempts that failed and went on to another target
    bytes_in: int = 0  # from clients
    bytes_out: int = 0  # to clients


class Balancer(Protocol):
    """A balancing back end. Its methods are called from one event loop."""

    name: str

    async def apply(self, tables: Tables) -> BalancerReport:
        """Serve `tables` from now on.

        Idempotent. Connections to targets that left go on until they end by themselves; new ones
        go only to targets of the table. Cancelling leaves a prefix applied; the next table heals.
        """
        ...

    def stats(self) -> dict[PortKey, FrontendStats]:
        """Counters per published port."""
        ...

    async def close(self) -> None:
        """Stop answering: all ports are freed and all connections end. Safe to call twice."""
        ...


class Choice(Struct, frozen=True):
    """A back end by name, and why it was taken, for `swarmd info` and the node's description."""

    name: str
    reason: str
    make: Callable[[], Balancer]
    lacking: tuple[str, ...] = ()  # what tasks go without by it, in sentences

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


class Candidate(Protocol):
    """A back end that may or may not work on this machine."""

    def probe(self) -> Choice | str:
        """The choice this candidate would be, or a phrase saying why it can't be used here."""
        ...


def choose(candidates: tuple[Candidate, ...]) -> Choice:
    """The first candidate that works; its reason names those that were passed over.

    Raises:
        AssertionError: none works. The last candidate must be one that always does.
    """
    passed: list[str] = []
    for candidate in candidates:
        match candidate.probe():
            case Choice() as choice:
                return replace(choice, reason="; ".join((*passed, choice.reason)))
            case why:
                passed.append(str(why))
    raise AssertionError(f"no balancing back end works here: {'; '.join(passed)}")
