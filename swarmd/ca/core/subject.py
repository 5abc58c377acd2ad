"""Who a certificate speaks for: a node, in a role, of one cluster.

The three facts are the whole identity of a peer. They sit in the subject of a node certificate as
CN, OU and O, and the role decides which server names the node may answer to.
"""

from __future__ import annotations

from msgspec import Struct

from swarmd.model.ids import ClusterId, NodeId
from swarmd.model.states import Role

CA_NAME = "swarm-ca"
MANAGER_OU = "swarm-manager"
WORKER_OU = "swarm-worker"

_OU_OF_ROLE = {Role.MANAGER: MANAGER_OU, Role.WORKER: WORKER_OU}
_ROLE_OF_OU = {ou: role for role, ou in _OU_OF_ROLE.items()}


class Subject(Struct, frozen=True, kw_only=True):
    """A node as its certificate names it."""

    node_id: NodeId
    role: Role
    cluster_id: ClusterId

    @property
    def ou(self) -> str:
        return _OU_OF_ROLE[self.role]

    @property
    def dns_names(self) -> tuple[str, ...]:
        """Server names this node may answer to; only managers may answer as the CA."""
        names = (self.ou, self.node_id)
        return (*names, CA_NAME) if self.role is Role.MANAGER else names


def find_role(ou: str) -> Role | None:
    """The role an organizational unit stands for; None for a unit that isn't a role."""
    return _ROLE_OF_OU.get(ou)
