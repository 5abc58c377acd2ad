"""The cluster object: its settings, and the tokens with which machines join."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.ca.core.tokens import SECRET_BYTES, rotate
from swarmd.manager.control.core import Calls, read_spec, require, require_id, unimplemented
from swarmd.manager.control.filters import Common, NamedAs
from swarmd.manager.validate import check_cluster_spec
from swarmd.model.cluster import (
    DEFAULT_HEARTBEAT_NS,
    Cluster,
    ClusterSpec,
    DispatcherConfig,
)
from swarmd.model.errors import not_found, out_of_sequence
from swarmd.rpc.call import Call
from swarmd.rpc.convert import CLUSTER_SPEC, cluster_to_pb
from swarmd.rpc.pb import control
from swarmd.store.changes import Transaction, Update


class ClusterCalls(Calls):
    """Answers hold the join tokens, as the roles of these calls admit managers and local callers
    only; private keys are never in them."""

    async def GetCluster(
        self, call: Call, request: control.GetClusterRequest
    ) -> control.GetClusterResponse:
        cluster_id = require_id(request.cluster_id, "cluster")
        await self._synchronize()
        return control.GetClusterResponse(cluster=cluster_to_pb(self._cluster(cluster_id)))

    async def ListClusters(
        self, call: Call, request: control.ListClustersRequest
    ) -> control.ListClustersResponse:
        await self._synchronize()
        cluster = self._view.find_cluster()
        wanted = request.filters
        common = Common(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        if cluster is None or not common.match(
            NamedAs(cluster.id, cluster.spec.name, cluster.spec.labels)
        ):
            return control.ListClustersResponse()
        return control.ListClustersResponse(clusters=[cluster_to_pb(cluster)])

    async def UpdateCluster(
        self, call: Call, request: control.UpdateClusterRequest
    ) -> control.UpdateClusterResponse:
        cluster_id = require_id(request.cluster_id, "cluster")
        require(request, "cluster_version", "spec")
        if request.rotation.manager_unlock_key:
            raise unimplemented("unlock keys")
        spec: ClusterSpec = read_spec(CLUSTER_SPEC, request.spec)
        check_cluster_spec(spec)
        await self._synchronize()
        old = self._cluster(cluster_id)
        if old.version != request.cluster_version.index:
            raise out_of_sequence()
        new = self._rotated(replace(old, spec=_normal(spec)), request.rotation)
        await self._env.writer.submit(
            Transaction((Update(new, base=old.version, reason="updated by a user"),))
        )
        return control.UpdateClusterResponse(
            cluster=cluster_to_pb(self._view.find_cluster() or new)
        )

    def _cluster(self, cluster_id: str) -> Cluster:
        cluster = self._view.find_cluster()
        if cluster is None or cluster.id != cluster_id:
            raise not_found("cluster", cluster_id)
        return cluster

    def _rotated(self, cluster: Cluster, rotation: control.KeyRotation) -> Cluster:
        """`cluster` with new join tokens where asked; the old ones stop working at once."""
        secret = self._env.entropy
        root_ca = rotate(
            cluster.root_ca,
            worker_secret=secret(SECRET_BYTES) if rotation.worker_join_token else None,
            manager_secret=secret(SECRET_BYTES) if rotation.manager_join_token else None,
        )
        return replace(cluster, root_ca=root_ca)


def _normal(spec: ClusterSpec) -> ClusterSpec:
    """A heartbeat period of zero asks for the default."""
    if spec.dispatcher.heartbeat_period_ns:
        return spec
    return replace(spec, dispatcher=DispatcherConfig(heartbeat_period_ns=DEFAULT_HEARTBEAT_NS))
