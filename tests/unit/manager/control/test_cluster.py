"""The cluster through the API: settings, join tokens, and what is never answered."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.ca.core.tokens import SECRET_BYTES, make_token
from swarmd.model.cluster import DEFAULT_HEARTBEAT_NS, JoinTokens, RootCA
from swarmd.model.errors import Code, Rejection
from swarmd.model.instant import HOUR, SECOND
from swarmd.rpc.convert import cluster_spec_to_pb
from swarmd.rpc.methods import SERVICES
from swarmd.rpc.pb import control
from swarmd.store.changes import Update
from tests.support.api import Api

FRESH = make_token(b"root", b"\x05" * SECRET_BYTES)


@pytest.fixture
def api() -> Api:
    api = Api()
    cluster = api.store.cluster()
    root = RootCA(
        ca_cert=b"root",
        ca_key=b"never shown",
        join_tokens=JoinTokens(worker="old-worker", manager="old-manager"),
    )
    api.writer.write(Update(replace(cluster, root_ca=root), base=cluster.version))
    return api


def update(api: Api) -> control.UpdateClusterRequest:
    cluster = api.store.cluster()
    request = control.UpdateClusterRequest(
        cluster_id=cluster.id, spec=cluster_spec_to_pb(cluster.spec)
    )
    request.cluster_version.index = cluster.version
    return request


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


async def test_answers_hold_tokens_and_never_keys(api):
    answers = [
        (await api.call("GetCluster", control.GetClusterRequest(cluster_id="c1"))).cluster,
        (await api.call("ListClusters", control.ListClustersRequest())).clusters[0],
        (await api.call("UpdateCluster", update(api))).cluster,
    ]
    for answer in answers:
        assert answer.root_ca.join_tokens.worker == "old-worker"
        assert b"never shown" not in answer.SerializeToString()
    assert api.store.cluster().root_ca.ca_key == b"never shown"


@pytest.mark.parametrize(("name", "count"), [("default", 1), ("other", 0)])
async def test_there_is_one_cluster_and_its_name_is_default(api, name, count):
    request = control.ListClustersRequest(filters=control.ListClustersRequest.Filters(names=[name]))
    assert len((await api.call("ListClusters", request)).clusters) == count


async def test_settings_are_replaced(api):
    request = update(api)
    request.spec.dispatcher.heartbeat_period.seconds = 3
    request.spec.dispatcher.heartbeat_period.nanos = 0
    request.spec.orchestration.task_history_retention_limit = 2
    request.spec.ca_config.node_cert_expiry.seconds = 3600
    await api.call("UpdateCluster", request)
    spec = api.store.cluster().spec
    assert spec.dispatcher.heartbeat_period_ns == 3 * SECOND
    assert spec.orchestration.task_history_retention_limit == 2
    assert spec.ca_config.node_cert_expiry_ns == HOUR
    assert (await refused(api, "UpdateCluster", request)).message == "update out of sequence"


async def test_a_heartbeat_of_zero_asks_for_the_default(api):
    request = update(api)
    request.spec.dispatcher.heartbeat_period.Clear()
    request.spec.dispatcher.heartbeat_period.SetInParent()
    await api.call("UpdateCluster", request)
    assert api.store.cluster().spec.dispatcher.heartbeat_period_ns == DEFAULT_HEARTBEAT_NS


@pytest.mark.parametrize(
    ("rotation", "tokens"),
    [
        ({}, JoinTokens(worker="old-worker", manager="old-manager")),
        ({"worker_join_token": True}, JoinTokens(worker=FRESH, manager="old-manager")),
        ({"manager_join_token": True}, JoinTokens(worker="old-worker", manager=FRESH)),
    ],
)
async def test_tokens_are_rotated_one_by_one(api, rotation, tokens):
    request = update(api)
    request.rotation.CopyFrom(control.KeyRotation(**rotation))
    answer = (await api.call("UpdateCluster", request)).cluster
    assert api.store.cluster().root_ca.join_tokens == tokens
    assert answer.root_ca.join_tokens.worker == tokens.worker


async def test_settings_of_later_versions_are_refused_by_name(api):
    request = update(api)
    request.spec.encryption_config.auto_lock_managers = True
    refusal = await refused(api, "UpdateCluster", request)
    assert "encryption_config" in refusal.message
    request = update(api)
    request.rotation.manager_unlock_key = True
    refusal = await refused(api, "UpdateCluster", request)
    assert refusal == Rejection(
        Code.UNIMPLEMENTED, "unlock keys are not part of this version of swarmd"
    )


async def test_another_cluster_is_not_found(api):
    request = update(api)
    request.cluster_id = "c2"
    assert (await refused(api, "UpdateCluster", request)).code is Code.NOT_FOUND
    request = control.GetClusterRequest(cluster_id="c2")
    assert (await refused(api, "GetCluster", request)).code is Code.NOT_FOUND


async def test_every_method_of_the_service_has_an_answer(api):
    """What is not served yet says so by name instead of being unknown."""
    methods = SERVICES["docker.swarmkit.v1.Control"]
    for name, method in methods.items():
        assert hasattr(api.control, name)
        if "Volume" in name:
            refusal = await refused(api, name, method.request())
            assert refusal.code is Code.UNIMPLEMENTED
            assert refusal.message.endswith("not part of this version of swarmd")
