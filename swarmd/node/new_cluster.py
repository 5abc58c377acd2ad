"""The spec of a new cluster, from what `init` was told."""

from __future__ import annotations

from swarmd.model.cluster import (
    CAConfig,
    ClusterSpec,
    DispatcherConfig,
    OrchestrationConfig,
)


def cluster_spec(
    *, heartbeat_period_ns: int, node_cert_expiry_ns: int, task_history_limit: int | None
) -> ClusterSpec:
    """The spec of a new cluster; zero and None mean the default."""
    spec = ClusterSpec()
    dispatcher, ca, orchestration = spec.dispatcher, spec.ca_config, spec.orchestration
    if heartbeat_period_ns:
        dispatcher = DispatcherConfig(heartbeat_period_ns=heartbeat_period_ns)
    if node_cert_expiry_ns:
        ca = CAConfig(node_cert_expiry_ns=node_cert_expiry_ns)
    if task_history_limit is not None:
        orchestration = OrchestrationConfig(task_history_retention_limit=task_history_limit)
    return ClusterSpec(dispatcher=dispatcher, ca_config=ca, orchestration=orchestration)
