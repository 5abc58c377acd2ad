"""Closed sets of words: task states with their order, node states, roles, policies.

Numbers of task states are those of the wire (swarm-mode task life cycle): they are ordered, and
neither the observed nor the desired state of a task ever decreases.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class TaskState(IntEnum):
    NEW = 0
    PENDING = 64
    ASSIGNED = 192
    ACCEPTED = 256
    PREPARING = 320
    READY = 384
    STARTING = 448
    RUNNING = 512
    COMPLETE = 576
    SHUTDOWN = 640
    FAILED = 704
    REJECTED = 768
    REMOVE = 800
    ORPHANED = 832

    @property
    def word(self) -> str:
        """The state as people and the Docker API write it, for example `running`."""
        return self.name.lower()

    @property
    def terminal(self) -> bool:
        """Beyond RUNNING: the task will never run again."""
        return self > TaskState.RUNNING


class NodeState(Enum):
    UNKNOWN = "unknown"
    DOWN = "down"
    READY = "ready"
    DISCONNECTED = "disconnected"


class Role(Enum):
    WORKER = "worker"
    MANAGER = "manager"


class Membership(Enum):
    PENDING = "pending"
    ACCEPTED = "accepted"


class Availability(Enum):
    ACTIVE = "active"
    PAUSE = "pause"
    DRAIN = "drain"


class RestartCondition(Enum):
    NONE = "none"
    ON_FAILURE = "on-failure"
    ANY = "any"


class Strategy(Enum):
    """How tasks are shared out among the nodes that can take them."""

    SPREAD = "spread"
    BINPACK = "binpack"
    RANDOM = "random"


class Concurrency(Enum):
    """What a cron service does when a run is due while an earlier one is still going."""

    ALLOW = "allow"
    FORBID = "forbid"
    REPLACE = "replace"


class MissedRuns(Enum):
    """What a cron service does about runs that were due while no manager could start them."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class RunOutcome(Enum):
    """What became of one run of a cron service."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REPLACED = "replaced"  # a later run took its place


class StartOrder(Enum):
    """Whether the ordinals of a stateful service start one after the other or all at once."""

    ORDERED = "ordered"
    PARALLEL = "parallel"


class AddressFamily(Enum):
    UNKNOWN = "unknown"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


class FailureAction(Enum):
    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class UpdateOrder(Enum):
    STOP_FIRST = "stop-first"
    START_FIRST = "start-first"


class UpdateState(Enum):
    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLBACK_COMPLETED = "rollback_completed"


class MountType(Enum):
    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"
    NPIPE = "npipe"
    CLUSTER = "cluster"
    IMAGE = "image"


class SeccompMode(Enum):
    DEFAULT = "default"
    UNCONFINED = "unconfined"
    CUSTOM = "custom"


class AppArmorMode(Enum):
    DEFAULT = "default"
    DISABLED = "disabled"


class Propagation(Enum):
    """Which mounts made later pass between the node and a task, below a mounted directory."""

    RPRIVATE = "rprivate"
    PRIVATE = "private"
    RSHARED = "rshared"
    SHARED = "shared"
    RSLAVE = "rslave"
    SLAVE = "slave"


class Protocol(Enum):
    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class PublishMode(Enum):
    INGRESS = "ingress"
    HOST = "host"


class PortPolicy(Enum):
    """Whom the connections to a published port go to, and what tasks see of the client."""

    SOURCE = "source"  # any task; it sees the client's address
    MASQUERADE = "masquerade"  # any task; it sees an address of the node the client connected to
    LOCAL = "local"  # tasks of the node the client connected to; it refuses where there is none


class Balance(Enum):
    """How a new connection to a service finds its task."""

    ROUND_ROBIN = "round-robin"  # each in its turn
    SOURCE_HASH = "source-hash"  # by the client's address: always the same one while tasks stay
    LEAST_CONNECTION = "least-connection"  # the one with the fewest; where nobody counts, in turn


class ResolutionMode(Enum):
    VIP = "vip"
    DNSRR = "dnsrr"


class IssuanceState(Enum):
    """Progress of a node certificate."""

    UNKNOWN = "unknown"
    RENEW = "renew"
    PENDING = "pending"
    ISSUED = "issued"
    FAILED = "failed"
    ROTATE = "rotate"
