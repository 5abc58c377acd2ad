"""The cluster object to messages and back.

The root's private key has a place on the wire, and no reader there: `cluster_to_pb` leaves it out
and the key travels inside the replicated log only.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadMapping
from typing import Any

from swarmd.model.cluster import (
    DEFAULT_CERT_EXPIRY_NS,
    DEFAULT_HEARTBEAT_NS,
    DEFAULT_SPEC_HISTORY,
    DEFAULT_SUBNET_SIZE,
    DEFAULT_VXLAN_PORT,
    CAConfig,
    Cluster,
    ClusterSpec,
    DispatcherConfig,
    JoinTokens,
    OrchestrationConfig,
    RaftConfig,
    RebalanceConfig,
    RootCA,
    SchedulingConfig,
    TaskDefaults,
)
from swarmd.model.instant import SECOND
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.network_keys import NetworkKey
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import (
    ITEMS,
    LABELS,
    SCALAR,
    TIME,
    VERSION,
    always,
    duration_or,
    each,
    optional,
    scalar_or,
)
from swarmd.rpc.convert.node import OVERSELL
from swarmd.rpc.convert.spec import LOG_DRIVER
from swarmd.rpc.convert.table import Codec, Mapping, field
from swarmd.rpc.pb import extensions, objects, specs, types


def _put_negated(message: Any, name: str, value: bool) -> None:
    setattr(message, name, not value)


def _get_negated(message: Any, name: str) -> bool:
    return not getattr(message, name)


REGISTRY_MIRROR = Mapping(
    RegistryMirror,
    extensions.RegistryMirror,
    field("registry", "registry", SCALAR),
    field("url", "url", SCALAR),
)
# Keys travel to nodes in their sessions; the cluster that clients are shown has none.
NETWORK_KEY = Mapping(
    NetworkKey,
    types.EncryptionKey,
    field("subsystem", "subsystem", SCALAR),
    field("key", "key", SCALAR),
    field("lamport_time", "lamport_time", SCALAR),
)
SCHEDULING = Mapping(
    SchedulingConfig,
    extensions.SchedulingConfig,
    field("strategy", "strategy", words.STRATEGY),
    field("oversell", "oversell", always(OVERSELL)),
    field("preemption", "no_preemption", Codec(_put_negated, _get_negated)),
    field(
        "rebalance",
        "rebalance",
        always(
            Mapping(
                RebalanceConfig,
                extensions.RebalanceConfig,
                field("enabled", "enabled", SCALAR),
                field("max_moves", "max_moves", scalar_or(1)),
                field("cooldown_ns", "cooldown", duration_or(RebalanceConfig().cooldown_ns)),
            )
        ),
    ),
)
CLUSTER_SPEC = Mapping(
    ClusterSpec,
    specs.ClusterSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field(
        "orchestration",
        "orchestration",
        always(
            Mapping(
                OrchestrationConfig,
                types.OrchestrationConfig,
                field("task_history_retention_limit", "task_history_retention_limit", SCALAR),
                field("spec_history_limit", "spec_history_limit", scalar_or(DEFAULT_SPEC_HISTORY)),
            )
        ),
    ),
    field(
        "raft",
        "raft",
        always(
            Mapping(
                RaftConfig,
                types.RaftConfig,
                field("snapshot_interval", "snapshot_interval", SCALAR),
                field("keep_old_snapshots", "keep_old_snapshots", SCALAR),
                field("log_entries_for_slow_followers", "log_entries_for_slow_followers", SCALAR),
            )
        ),
    ),
    field(
        "dispatcher",
        "dispatcher",
        always(
            Mapping(
                DispatcherConfig,
                types.DispatcherConfig,
                field("heartbeat_period_ns", "heartbeat_period", duration_or(DEFAULT_HEARTBEAT_NS)),
            )
        ),
    ),
    field(
        "ca_config",
        "ca_config",
        always(
            Mapping(
                CAConfig,
                types.CAConfig,
                field(
                    "node_cert_expiry_ns", "node_cert_expiry", duration_or(DEFAULT_CERT_EXPIRY_NS)
                ),
            )
        ),
    ),
    field(
        "task_defaults",
        "task_defaults",
        always(
            Mapping(
                TaskDefaults,
                types.TaskDefaults,
                field("log_driver", "log_driver", optional(LOG_DRIVER)),
            )
        ),
    ),
    field("scheduling", "scheduling", always(SCHEDULING)),
    field("registry_mirrors", "registry_mirrors", each(REGISTRY_MIRROR)),
    field("allow", "allow", ITEMS),
    present=("annotations",),
)
ROOT_CA = Mapping(
    RootCA,
    types.RootCA,
    field("ca_cert", "ca_cert", SCALAR),
    field("ca_key", "ca_key", SCALAR),
    field("ca_cert_hash", "ca_cert_hash", SCALAR),
    field(
        "join_tokens",
        "join_tokens",
        always(
            Mapping(
                JoinTokens,
                types.JoinTokens,
                field("worker", "worker", SCALAR),
                field("manager", "manager", SCALAR),
            )
        ),
    ),
)


def _or(default: int) -> Codec:
    """A number for which zero means the default."""
    return Codec(SCALAR.put, lambda message, name: getattr(message, name) or default)


def _put_removed(message: Any, name: str, removed: ReadMapping[str, int]) -> None:
    entries = getattr(message, name)
    for node_id, expiry in removed.items():
        entry = entries[node_id]
        entry.expiry.seconds, entry.expiry.nanos = divmod(expiry, SECOND)


def _get_removed(message: Any, name: str) -> dict[str, int]:
    return {
        node_id: entry.expiry.seconds * SECOND + entry.expiry.nanos
        for node_id, entry in sorted(getattr(message, name).items())
    }


CLUSTER = Mapping(
    Cluster,
    objects.Cluster,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(CLUSTER_SPEC)),
    field("root_ca", "root_ca", always(ROOT_CA)),
    field("removed_nodes", "blacklisted_certificates", Codec(_put_removed, _get_removed)),
    field("default_address_pool", "defaultAddressPool", ITEMS),
    field("subnet_size", "subnetSize", _or(DEFAULT_SUBNET_SIZE)),
    field("vxlan_udp_port", "VXLANUDPPort", _or(DEFAULT_VXLAN_PORT)),
)


def cluster_to_pb(cluster: Cluster) -> objects.Cluster:
    """The message of the cluster, without the root's private key."""
    message = CLUSTER.to_pb(cluster)
    message.root_ca.ClearField("ca_key")
    return message
