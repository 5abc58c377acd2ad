"""Limits of cluster settings and of node specs."""

from __future__ import annotations

import pytest

from swarmd.manager.validate import check_cluster_spec, check_node_spec
from swarmd.model.cluster import (
    CAConfig,
    ClusterSpec,
    DispatcherConfig,
    RaftConfig,
    RebalanceConfig,
    SchedulingConfig,
)
from swarmd.model.errors import Rejection
from swarmd.model.instant import HOUR, MILLISECOND, MINUTE
from swarmd.model.node import NodeSpec


def beating(period_ns: int) -> ClusterSpec:
    return ClusterSpec(dispatcher=DispatcherConfig(heartbeat_period_ns=period_ns))


def expiring(expiry_ns: int) -> ClusterSpec:
    return ClusterSpec(ca_config=CAConfig(node_cert_expiry_ns=expiry_ns))


def moving(**fields: int) -> ClusterSpec:
    return ClusterSpec(scheduling=SchedulingConfig(rebalance=RebalanceConfig(**fields)))


@pytest.mark.parametrize(
    "spec",
    [
        ClusterSpec(),
        beating(0),
        beating(100 * MILLISECOND),
        beating(10 * MINUTE),
        expiring(HOUR),
        ClusterSpec(raft=RaftConfig(snapshot_interval=1, keep_old_snapshots=0)),
        ClusterSpec(scheduling=SchedulingConfig(preemption=False)),
        moving(enabled=True, max_moves=1, cooldown_ns=0),
        moving(max_moves=1000, cooldown_ns=24 * HOUR),
    ],
)
def test_settings_within_the_limits_are_accepted(spec):
    check_cluster_spec(spec)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (ClusterSpec(name="other"), "its name is always 'default'"),
        (ClusterSpec(labels={"": "x"}), "cluster labels"),
        (beating(-1), "dispatcher.heartbeat_period"),
        (beating(100 * MILLISECOND - 1), "between 100ms and 10m"),
        (beating(10 * MINUTE + 1), "dispatcher.heartbeat_period"),
        (expiring(HOUR - 1), "ca_config.node_cert_expiry"),
        (ClusterSpec(raft=RaftConfig(snapshot_interval=0)), "raft.snapshot_interval"),
        (moving(max_moves=0), "scheduling.rebalance.max_moves"),
        (moving(max_moves=1001), "scheduling.rebalance.max_moves"),
        (moving(cooldown_ns=-1), "scheduling.rebalance.cooldown"),
        (moving(cooldown_ns=24 * HOUR + 1), "scheduling.rebalance.cooldown"),
        (ClusterSpec(raft=RaftConfig(keep_old_snapshots=-1)), "raft.keep_old_snapshots"),
        (
            ClusterSpec(raft=RaftConfig(log_entries_for_slow_followers=-1)),
            "raft.log_entries_for_slow_followers",
        ),
    ],
)
def test_settings_beyond_a_limit_are_refused_with_the_field(spec, sentence):
    with pytest.raises(Rejection, match=sentence):
        check_cluster_spec(spec)


def test_a_node_may_be_nameless_and_labelled():
    check_node_spec(NodeSpec(labels={"rack": "r1"}))
    check_node_spec(NodeSpec(name="alpha"))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (NodeSpec(name="no spaces"), "node name 'no spaces' is not valid"),
        (NodeSpec(labels={"": "r1"}), "node labels"),
    ],
)
def test_a_node_spec_beyond_a_limit_is_refused(spec, sentence):
    with pytest.raises(Rejection, match=sentence):
        check_node_spec(spec)
