"""Objects that a simulated swarm has from the beginning, for services to refer to."""

from __future__ import annotations

from swarmd.model.cluster import Cluster
from swarmd.model.ids import NetworkId, SecretId
from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkSpec
from swarmd.model.secret import Secret, SecretSpec
from swarmd.node.new_cluster import ingress_network
from swarmd.orchestrator.allocator.subnets import allocate_network
from swarmd.store.changes import Create

BACKEND = Network(
    id=NetworkId("backend"),
    spec=NetworkSpec(name="backend", ipam=IPAMOptions(configs=(IPAMConfig(subnet="10.9.0.0/26"),))),
)
# What a node may be tainted with: nothing stays, nothing new comes. The first is the one tolerated.
TAINT = "sim"
TAINTS = (f"{TAINT}:no-execute", "other:no-schedule", "other:prefer-no-schedule")
SECRETS = tuple(
    Secret(id=SecretId(f"secret{number}"), spec=SecretSpec(name=f"secret{number}", data=b"hidden"))
    for number in (1, 2)
)


def furniture(cluster: Cluster) -> tuple[Create, ...]:
    """The ingress network, one of users that is rather small, and secrets."""
    ingress = ingress_network(cluster, NetworkId("ingress"))
    backend = allocate_network(BACKEND, (ingress,), cluster)
    return (Create(ingress), Create(backend), *(Create(secret) for secret in SECRETS))
