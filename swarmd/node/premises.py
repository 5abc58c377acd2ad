"""Where the manager half of a node lives: its Raft directory, and its way to other managers.

What managers alone need is imported when a node becomes one: workers do without the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Protocol

from swarmd.raft import founding as raft_founding
from swarmd.raft.members import Member
from swarmd.rpc.channel import Channel
from swarmd.rpc.router import Router
from swarmd.runtime.clock import Clock
from swarmd.runtime.garbage import leave_out_code
from swarmd.store.changes import Transaction

from .memory import wipe_raft
from .paths import Paths
from .security import SecurityContext
from .settings import Settings

if TYPE_CHECKING:
    from swarmd.manager.manager import Manager


class Premises(Protocol):
    """What becoming a manager needs of its surroundings, real or simulated."""

    def is_initialised(self) -> bool:
        """Whether a Raft member has lived here."""
        ...

    def found(self, member: Member) -> None:
        """Write the state of the first member of a new cluster."""
        ...

    def prepare(self, member: Member) -> None:
        """Write the empty state of a member that is to be taken in."""
        ...

    def wipe(self) -> None: ...

    def dial(self, address: str) -> Channel:
        """A channel to another manager, by this node's certificate."""
        ...

    def make_manager(self, founding: Transaction | None) -> Manager:
        """A manager that lives here, not started yet."""
        ...


class OnThisMachine:
    """Implements `Premises` in the state directory of the daemon."""

    def __init__(
        self,
        *,
        security: SecurityContext,
        paths: Paths,
        settings: Settings,
        router: Router,
        on_removed_node: Callable[[str], None],
        on_fatal: Callable[[str], None],
        clock: Clock,
        rng: Random,
    ) -> None:
        self._security = security
        self._paths = paths
        self._settings = settings
        self._router = router
        self._on_removed_node = on_removed_node
        self._on_fatal = on_fatal
        self._clock = clock
        self._rng = rng

    def is_initialised(self) -> bool:
        return raft_founding.is_initialised(self._paths.raft)

    def found(self, member: Member) -> None:
        raft_founding.bootstrap(self._paths.raft, member)

    def prepare(self, member: Member) -> None:
        raft_founding.prepare_join(self._paths.raft, member)

    def wipe(self) -> None:
        wipe_raft(self._paths)

    def dial(self, address: str) -> Channel:
        return Channel(address, self._security.client_tls())

    def make_manager(self, founding: Transaction | None) -> Manager:
        from swarmd.manager.manager import Manager

        leave_out_code()
        return Manager(
            node_id=self._security.node_id,
            raft_directory=self._paths.raft,
            raft_context=self._security.raft_client_context,
            advertise_addr=self._settings.advertise_addr,
            router=self._router,
            clock=self._clock,
            rng=self._rng,
            founding=founding,
            on_removed_node=self._on_removed_node,
            on_fatal=self._on_fatal,
        )
