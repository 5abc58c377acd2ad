"""Cluster settings: one name, and ranges that keep the swarm alive."""

from __future__ import annotations

from swarmd.manager.validate.limits import INT64_MAX, Limit, as_duration
from swarmd.manager.validate.names import check_labels
from swarmd.manager.validate.placement import check_oversell
from swarmd.model import permissions
from swarmd.model.cluster import CLUSTER_NAME, ClusterSpec
from swarmd.model.defaults import HEARTBEAT_FLOOR_NS
from swarmd.model.errors import invalid
from swarmd.model.instant import HOUR, MINUTE
from swarmd.model.mirrors import mirror_problem

# Shorter would let certificates expire while a manager is away for a coffee.
CERT_EXPIRY = Limit("ca_config.node_cert_expiry", HOUR, INT64_MAX, show=as_duration)
# Shorter drowns the leader in heartbeats; longer than this leaves dead nodes unnoticed.
HEARTBEAT = Limit(
    "dispatcher.heartbeat_period", HEARTBEAT_FLOOR_NS, 10 * MINUTE, zero=True, show=as_duration
)
SNAPSHOT_INTERVAL = Limit("raft.snapshot_interval", 1, INT64_MAX)
KEEP_OLD_SNAPSHOTS = Limit("raft.keep_old_snapshots", 0, 1_000)
SLOW_FOLLOWER_ENTRIES = Limit("raft.log_entries_for_slow_followers", 0, INT64_MAX)
SPEC_HISTORY = Limit("orchestration.spec_history_limit", 0, 100)
MIRRORS_MAX = 32
REBALANCE_MOVES = Limit("scheduling.rebalance.max_moves", 1, 1_000)
REBALANCE_COOLDOWN = Limit("scheduling.rebalance.cooldown", 0, 24 * HOUR, show=as_duration)


def check_cluster_spec(spec: ClusterSpec) -> None:
    """Refuse settings that the swarm could not run with."""
    if spec.name != CLUSTER_NAME:
        raise invalid(
            f"the cluster cannot be called {spec.name[:80]!r}: its name is always {CLUSTER_NAME!r}"
        )
    check_labels("cluster", spec.labels)
    try:
        permissions.checked(spec.allow)
    except ValueError as error:
        raise invalid(f"cluster allow: {error}") from None
    CERT_EXPIRY.check(spec.ca_config.node_cert_expiry_ns)
    HEARTBEAT.check(spec.dispatcher.heartbeat_period_ns)
    SPEC_HISTORY.check(spec.orchestration.spec_history_limit)
    SNAPSHOT_INTERVAL.check(spec.raft.snapshot_interval)
    KEEP_OLD_SNAPSHOTS.check(spec.raft.keep_old_snapshots)
    SLOW_FOLLOWER_ENTRIES.check(spec.raft.log_entries_for_slow_followers)
    check_oversell(spec.scheduling.oversell, within="scheduling.oversell")
    rebalance = spec.scheduling.rebalance
    REBALANCE_MOVES.check(rebalance.max_moves)
    REBALANCE_COOLDOWN.check(rebalance.cooldown_ns)
    if len(spec.registry_mirrors) > MIRRORS_MAX:
        raise invalid(f"a cluster can have {MIRRORS_MAX} registry mirrors; give fewer")
    for mirror in spec.registry_mirrors:
        problem = mirror_problem(mirror)
        if problem:
            raise invalid(f"registry_mirrors: {problem}")
