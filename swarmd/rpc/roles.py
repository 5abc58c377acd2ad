"""Who may call what, and which manager answers: the tables, and nothing decided elsewhere.

A method without an entry may be called by nobody. For the SwarmKit services both tables are part
of the wire contract; a conformance test compares them with it.
"""

from __future__ import annotations

from enum import Enum, auto

import msgspec

from swarmd.rpc.identity import MANAGER, WORKER


class Access(msgspec.Struct, frozen=True):
    """Certificate roles that may call a method; `open` needs no certificate at all.

    Callers on the local socket are not asked for a role.
    """

    roles: frozenset[str] = frozenset()
    open: bool = False


class Answers(Enum):
    """Who answers a service: the manager that is asked, the leader, or nobody on this listener."""

    HERE = auto()
    LEADER = auto()
    NOBODY = auto()


class Routing(msgspec.Struct, frozen=True):
    """Who answers calls that arrive on the network port, and on the local socket."""

    network: Answers
    socket: Answers


_OPEN = Access(open=True)
_MANAGERS = Access(roles=frozenset({MANAGER}))
_NODES = Access(roles=frozenset({MANAGER, WORKER}))
_LOCAL_ONLY = Access()

_SWARMKIT = "docker.swarmkit.v1."
_OWN = "swarmd.v1."

_BY_SERVICE: dict[str, Access] = {
    _SWARMKIT + "NodeCA": _OPEN,
    _SWARMKIT + "Control": _MANAGERS,
    _SWARMKIT + "Dispatcher": _NODES,
    _SWARMKIT + "Health": _MANAGERS,
    _SWARMKIT + "Logs": _MANAGERS,
    _SWARMKIT + "LogBroker": _NODES,
    _SWARMKIT + "Raft": _MANAGERS,
    _SWARMKIT + "RaftMembership": _MANAGERS,
    _SWARMKIT + "ResourceAllocator": _NODES,
    _SWARMKIT + "Watch": _MANAGERS,
    _OWN + "Acknowledgements": _NODES,
    _OWN + "Checkup": _LOCAL_ONLY,
    _OWN + "Cluster": _MANAGERS,
    _OWN + "Doctor": _MANAGERS,
    _OWN + "Endpoints": _NODES,
    _OWN + "ClusterImages": _MANAGERS,
    _OWN + "ClusterVolumes": _MANAGERS,
    _OWN + "Errands": _NODES,
    _OWN + "Exec": _MANAGERS,
    _OWN + "ExecBroker": _NODES,
    _OWN + "Images": _LOCAL_ONLY,
    _OWN + "Volumes": _LOCAL_ONLY,
    _OWN + "Local": _LOCAL_ONLY,
    _OWN + "NodeLifecycle": _NODES,
    _OWN + "Relays": _MANAGERS,
    _OWN + "Registries": _MANAGERS,
    _OWN + "Updates": _MANAGERS,
    _OWN + "WantedImages": _NODES,
}

_BY_METHOD: dict[str, Access] = {
    _SWARMKIT + "CA/GetRootCACertificate": _OPEN,
    _SWARMKIT + "CA/GetUnlockKey": _MANAGERS,
}

_FORWARDED = Routing(network=Answers.LEADER, socket=Answers.LEADER)
_HERE = Routing(network=Answers.HERE, socket=Answers.HERE)
_SOCKET_FORWARDED = Routing(network=Answers.HERE, socket=Answers.LEADER)

_ROUTING: dict[str, Routing] = {
    _SWARMKIT + "CA": _FORWARDED,
    _SWARMKIT + "NodeCA": _FORWARDED,
    _SWARMKIT + "Control": _SOCKET_FORWARDED,
    _SWARMKIT + "Dispatcher": _FORWARDED,
    _SWARMKIT + "Health": _HERE,
    _SWARMKIT + "Logs": _SOCKET_FORWARDED,
    _SWARMKIT + "LogBroker": _FORWARDED,
    _SWARMKIT + "Raft": Routing(network=Answers.HERE, socket=Answers.NOBODY),
    _SWARMKIT + "RaftMembership": Routing(network=Answers.LEADER, socket=Answers.NOBODY),
    _SWARMKIT + "ResourceAllocator": _FORWARDED,
    _SWARMKIT + "Watch": _HERE,
    _OWN + "Acknowledgements": _FORWARDED,
    _OWN + "Checkup": Routing(network=Answers.NOBODY, socket=Answers.HERE),
    _OWN + "Cluster": _FORWARDED,
    _OWN + "Doctor": _FORWARDED,
    # Made from committed state with versions that all managers share, so any of them can serve it
    # and a watcher of a follower notices nothing of an election.
    _OWN + "Endpoints": _HERE,
    _OWN + "ClusterImages": _FORWARDED,
    _OWN + "ClusterVolumes": _FORWARDED,
    _OWN + "Errands": _FORWARDED,
    _OWN + "Exec": _FORWARDED,
    _OWN + "ExecBroker": _FORWARDED,
    _OWN + "Images": Routing(network=Answers.NOBODY, socket=Answers.HERE),
    _OWN + "Volumes": Routing(network=Answers.NOBODY, socket=Answers.HERE),
    _OWN + "Local": Routing(network=Answers.NOBODY, socket=Answers.HERE),
    _OWN + "NodeLifecycle": _FORWARDED,
    _OWN + "Relays": Routing(network=Answers.LEADER, socket=Answers.NOBODY),
    _OWN + "Registries": _FORWARDED,
    _OWN + "Updates": _FORWARDED,
    _OWN + "WantedImages": _HERE,
}

_DENIED = Access()
_UNKNOWN = Routing(network=Answers.NOBODY, socket=Answers.NOBODY)


def access_to(service: str, method: str) -> Access:
    """Who may call a method; nobody when the tables do not say."""
    by_method = _BY_METHOD.get(f"{service}/{method}")
    return by_method if by_method is not None else _BY_SERVICE.get(service, _DENIED)


def routing_of(service: str) -> Routing:
    """Who answers a service; nobody when the table does not say."""
    return _ROUTING.get(service, _UNKNOWN)
