"""The cluster: settings that apply everywhere, its root of trust, and who was removed."""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.model.ids import ClusterId
from swarmd.model.instant import HOUR, MILLISECOND, Instant
from swarmd.model.record import Record
from swarmd.model.spec import LogDriver

CLUSTER_NAME = "default"
DEFAULT_HEARTBEAT_NS = 1500 * MILLISECOND
DEFAULT_CERT_EXPIRY_NS = 2160 * HOUR
DEFAULT_TASK_HISTORY = 5


class OrchestrationConfig(Record, frozen=True):
    task_history_retention_limit: int = DEFAULT_TASK_HISTORY  # negative: keep all


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


class ClusterSpec(Record, frozen=True):
    name: str = CLUSTER_NAME
    labels: Mapping[str, str] = {}
    orchestration: OrchestrationConfig = OrchestrationConfig()
    raft: RaftConfig = RaftConfig()
    dispatcher: DispatcherConfig = DispatcherConfig()
    ca_config: CAConfig = CAConfig()
    task_defaults: TaskDefaults = TaskDefaults()


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
