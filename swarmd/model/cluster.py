"""The cluster: settings that apply everywhere, its root of trust, and who was removed."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import ClusterId
from swarmd.model.instant import HOUR, MILLISECOND, SECOND, Instant
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.network_keys import NetworkKey
from swarmd.model.node import Oversell
from swarmd.model.record import Record
from swarmd.model.spec import LogDriver
from swarmd.model.states import Strategy

CLUSTER_NAME = "default"
DEFAULT_HEARTBEAT_NS = 1500 * MILLISECOND
DEFAULT_CERT_EXPIRY_NS = 2160 * HOUR
DEFAULT_TASK_HISTORY = 5
DEFAULT_SPEC_HISTORY = 10
DEFAULT_ADDRESS_POOL = ("10.0.0.0/8",)
DEFAULT_SUBNET_SIZE = 24
DEFAULT_VXLAN_PORT = 4789


class OrchestrationConfig(Record, frozen=True):
    task_history_retention_limit: int = DEFAULT_TASK_HISTORY  # negative: keep all
    spec_history_limit: int = DEFAULT_SPEC_HISTORY  # earlier specs kept per service


class DispatcherConfig(Record, frozen=True):
    heartbeat_period_ns: int = DEFAULT_HEARTBEAT_NS


class CAConfig(Record, frozen=True):
    node_cert_expiry_ns: int = DEFAULT_CERT_EXPIRY_NS


class RaftConfig(Record, frozen=True):
    snapshot_interval: int = 10_000  # entries between snapshots
    keep_old_snapshots: int = 1
    log_entries_for_slow_followers: int = 500


class TaskDefaults(Record, frozen=True):
    log_driver: LogDriver | None = None


class RebalanceConfig(Record, frozen=True):
    """Whether tasks move by themselves when nodes join or return, and how many at a time."""

    enabled: bool = False
    max_moves: int = 1  # tasks under way at once
    cooldown_ns: int = 60 * SECOND  # a node must have been ready this long


class SchedulingConfig(Record, frozen=True):
    strategy: Strategy = Strategy.SPREAD
    oversell: Oversell = Oversell()  # 0 in either: once what there is
    preemption: bool = True  # whether tasks of higher priority may take the place of lower
    rebalance: RebalanceConfig = RebalanceConfig()


class ClusterSpec(Record, frozen=True):
    name: str = CLUSTER_NAME
    labels: Mapping[str, str] = {}
    orchestration: OrchestrationConfig = OrchestrationConfig()
    raft: RaftConfig = RaftConfig()
    dispatcher: DispatcherConfig = DispatcherConfig()
    ca_config: CAConfig = CAConfig()
    task_defaults: TaskDefaults = TaskDefaults()
    scheduling: SchedulingConfig = SchedulingConfig()
    registry_mirrors: tuple[RegistryMirror, ...] = ()  # for all nodes, after their own
    allow: tuple[str, ...] = ()  # what tasks may have of nodes that do not say it themselves


class JoinTokens(Record, frozen=True):
    worker: str = ""
    manager: str = ""

    def __repr__(self) -> str:
        return "JoinTokens(hidden)"


class RootCA(Record, frozen=True):
    """The signing root; every byte of `ca_cert` counts, as tokens carry its digest."""

    ca_cert: bytes = b""  # PEM bundle
    ca_key: bytes = b""  # PEM
    ca_cert_hash: str = ""
    join_tokens: JoinTokens = JoinTokens()

    def __repr__(self) -> str:
        return f"RootCA(ca_cert_hash={self.ca_cert_hash!r}, key hidden)"


class Cluster(Record, frozen=True):
    id: ClusterId
    version: int = 0
    created_at: Instant = Instant(0)
    updated_at: Instant = Instant(0)
    spec: ClusterSpec = ClusterSpec()
    root_ca: RootCA = RootCA()
    removed_nodes: Mapping[str, int] = {}  # node id -> expiry of its certificate, an Instant
    default_address_pool: tuple[str, ...] = DEFAULT_ADDRESS_POOL  # fixed at founding, as the next
    subnet_size: int = DEFAULT_SUBNET_SIZE
    vxlan_udp_port: int = DEFAULT_VXLAN_PORT
    network_bootstrap_keys: tuple[NetworkKey, ...] = ()  # told to nodes, never to clients
    encryption_key_lamport_clock: int = 0  # of the newest of them
    network_keys_rotated_at: Instant = Instant(0)
