"""Networks through the API: allocated when they are created, kept while they are used."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.model.errors import Code, Rejection
from swarmd.model.ids import ServiceId, TaskId
from swarmd.model.network import NetworkAttachment
from swarmd.model.service import Service
from swarmd.model.spec import EndpointSpec, NetworkAttachmentConfig, PortConfig
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.rpc.convert import service_spec_to_pb
from swarmd.rpc.pb import control, specs, types
from swarmd.store.changes import Create, Delete, Kind, Update
from tests.support.api import Api
from tests.support.specs import a_spec, a_task_spec

POOL = "com.docker.network.driver.overlay.vxlanid_list"


@pytest.fixture
def api() -> Api:
    return Api()


def a_spec_pb(name: str = "back", **fields: Any) -> specs.NetworkSpec:
    spec = specs.NetworkSpec(**fields)
    spec.annotations.name = name
    return spec


def ipam(*configs: dict[str, Any], driver: str = "") -> types.IPAMOptions:
    options = types.IPAMOptions(configs=[types.IPAMConfig(**config) for config in configs])
    if driver:
        options.driver.name = driver
    return options


async def created(api: Api, spec: specs.NetworkSpec) -> Any:
    request = control.CreateNetworkRequest(spec=spec)
    return (await api.call("CreateNetwork", request)).network


async def refused(api: Api, method: str, request: Any) -> Rejection:
    with pytest.raises(Rejection) as refusal:
        await api.call(method, request)
    return refusal.value


async def test_the_answer_to_a_creation_holds_what_was_allocated(api: Api) -> None:
    network = await created(api, a_spec_pb())
    (config,) = network.ipam.configs
    assert (config.subnet, config.gateway) == ("10.0.1.0/24", "10.0.1.1")
    assert network.driver_state.name == "overlay"
    assert network.driver_state.options[POOL] == "4097"


async def test_networks_are_read_by_id_name_and_filters(api: Api) -> None:
    network = await created(api, a_spec_pb())
    for request in (
        control.GetNetworkRequest(network_id=network.id),
        control.GetNetworkRequest(name="BACK"),
    ):
        assert (await api.call("GetNetwork", request)).network.id == network.id
    listing = control.ListNetworksRequest()
    listing.filters.name_prefixes.append("ba")
    answer = await api.call("ListNetworks", listing)
    assert [row.id for row in answer.networks] == [network.id]
    everything = await api.call("ListNetworks", control.ListNetworksRequest())
    assert [row.spec.annotations.name for row in everything.networks] == ["ingress", "back"]


REFUSED: dict[str, tuple[dict[str, Any], Code]] = {
    "ingress and attachable": ({"ingress": True, "attachable": True}, Code.INVALID_ARGUMENT),
    "unknown driver": ({"driver_config": types.Driver(name="carrier")}, Code.INVALID_ARGUMENT),
    "ingress on a bridge": (
        {"ingress": True, "driver_config": types.Driver(name="bridge")},
        Code.INVALID_ARGUMENT,
    ),
    "ipam driver": ({"ipam": ipam(driver="dhcp")}, Code.INVALID_ARGUMENT),
    "no subnet": ({"ipam": ipam({"gateway": "10.1.0.1"})}, Code.INVALID_ARGUMENT),
    "no block": ({"ipam": ipam({"subnet": "web"})}, Code.INVALID_ARGUMENT),
    "too small": ({"ipam": ipam({"subnet": "10.1.0.0/31"})}, Code.INVALID_ARGUMENT),
    "too large": ({"ipam": ipam({"subnet": "10.0.0.0/7"})}, Code.INVALID_ARGUMENT),
    "loopback": ({"ipam": ipam({"subnet": "127.1.0.0/24"})}, Code.INVALID_ARGUMENT),
    "range outside": (
        {"ipam": ipam({"subnet": "10.1.0.0/24", "range": "10.2.0.0/25"})},
        Code.INVALID_ARGUMENT,
    ),
    "gateway outside": (
        {"ipam": ipam({"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"})},
        Code.INVALID_ARGUMENT,
    ),
    "reserved outside": (
        {"ipam": ipam({"subnet": "10.1.0.0/24", "reserved": {"dns": "10.2.0.1"}})},
        Code.INVALID_ARGUMENT,
    ),
    "overlap with itself": (
        {"ipam": ipam({"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.128/25"})},
        Code.INVALID_ARGUMENT,
    ),
    "overlap with another": ({"ipam": ipam({"subnet": "10.0.0.0/16"})}, Code.INVALID_ARGUMENT),
    "ipv6 not enabled": ({"ipam": ipam({"subnet": "fd00:1::/64"})}, Code.INVALID_ARGUMENT),
    "subnet of a bridge": (
        {"ipam": ipam({"subnet": "10.1.0.0/24"}), "driver_config": types.Driver(name="bridge")},
        Code.INVALID_ARGUMENT,
    ),
    "vxlan id": (
        {"driver_config": types.Driver(name="overlay", options={POOL: "one"})},
        Code.INVALID_ARGUMENT,
    ),
    "vxlan id too high": (
        {"driver_config": types.Driver(name="overlay", options={POOL: "16777216"})},
        Code.INVALID_ARGUMENT,
    ),
    "vxlan id taken": (
        {"driver_config": types.Driver(name="overlay", options={POOL: "4096"})},
        Code.INVALID_ARGUMENT,
    ),
    "settings of another": ({"network": "other"}, Code.UNIMPLEMENTED),
    "a second ingress": ({"ingress": True}, Code.ALREADY_EXISTS),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_networks_that_cannot_be_made_are_refused(api: Api, case: str) -> None:
    fields, code = REFUSED[case]
    request = control.CreateNetworkRequest(spec=a_spec_pb(**fields))
    assert (await refused(api, "CreateNetwork", request)).code is code
    assert len(api.store.networks()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"ipam": ipam({"subnet": "10.1.0.0/30"})}, id="the smallest"),
        pytest.param({"ipam": ipam({"subnet": "11.0.0.0/8"})}, id="the largest"),
        pytest.param(
            {"ipam": ipam({"subnet": "fd00:1::/126"}), "ipv6_enabled": True}, id="the smallest of 6"
        ),
        pytest.param(
            {"driver_config": types.Driver(name="overlay", options={POOL: "16777215"})},
            id="the last vxlan id",
        ),
        pytest.param({"attachable": True, "internal": True}, id="flags"),
    ],
)
async def test_networks_at_the_limits_are_made(api: Api, fields: dict[str, Any]) -> None:
    await created(api, a_spec_pb(**fields))


async def test_names_and_labels_have_rules(api: Api) -> None:
    for name in ("", "a b", "x" * 64, "-a"):
        request = control.CreateNetworkRequest(spec=a_spec_pb(name))
        assert (await refused(api, "CreateNetwork", request)).code is Code.INVALID_ARGUMENT
    labelled = a_spec_pb()
    labelled.annotations.labels["com.docker.swarm.predefined"] = "true"
    request = control.CreateNetworkRequest(spec=labelled)
    assert (await refused(api, "CreateNetwork", request)).code is Code.PERMISSION_DENIED


async def test_a_name_is_taken_once(api: Api) -> None:
    await created(api, a_spec_pb())
    refusal = await refused(api, "CreateNetwork", control.CreateNetworkRequest(spec=a_spec_pb()))
    assert refusal.code is Code.UNKNOWN
    assert refusal.message.startswith("name conflicts with an existing object")


async def test_a_pool_that_is_used_up_is_told_at_once(api: Api) -> None:
    cluster = api.store.cluster()
    small = replace(cluster, default_address_pool=("10.9.0.0/29",), subnet_size=29)
    api.writer.write(Update(small, base=cluster.version))
    await created(api, a_spec_pb("one"))
    request = control.CreateNetworkRequest(spec=a_spec_pb("two"))
    refusal = await refused(api, "CreateNetwork", request)
    assert refusal.code is Code.RESOURCE_EXHAUSTED
    assert "10.9.0.0/29" in refusal.message


async def test_a_network_that_a_service_uses_is_kept(api: Api) -> None:
    network = api.add_network("back")
    task = a_task_spec(networks=(NetworkAttachmentConfig(target="back"),))
    spec = service_spec_to_pb(a_spec("web", task_template=task))
    await api.call("CreateService", control.CreateServiceRequest(spec=spec))
    remove = control.RemoveNetworkRequest(network_id=network.id)
    refusal = await refused(api, "RemoveNetwork", remove)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "network back is in use by service id1" in refusal.message


@pytest.mark.parametrize(
    ("desired", "state", "kept"),
    [
        (TaskState.RUNNING, TaskState.RUNNING, True),
        (TaskState.SHUTDOWN, TaskState.RUNNING, False),
        (TaskState.RUNNING, TaskState.FAILED, False),
    ],
)
async def test_a_network_that_a_wanted_task_uses_is_kept(
    api: Api, desired: TaskState, state: TaskState, kept: bool
) -> None:
    network = api.add_network("back")
    place = NetworkAttachment(network_id=network.id, addresses=("10.0.1.2/24",))
    task = Task(
        id=TaskId("t1"),
        service_id=ServiceId("gone"),
        desired_state=desired,
        status=TaskStatus(state=state),
        node_id=api.add_node("n1").id,
        networks=(place,),
    )
    api.writer.write(Create(task))
    remove = control.RemoveNetworkRequest(network_id=network.id)
    if kept:
        refusal = await refused(api, "RemoveNetwork", remove)
        assert "in use by task t1" in refusal.message
    else:
        await api.call("RemoveNetwork", remove)
        assert api.store.find_network("back") is None


async def test_the_ingress_network_is_kept_while_ports_are_published(api: Api) -> None:
    remove = control.RemoveNetworkRequest(name="ingress")
    port = EndpointSpec(ports=(PortConfig(target_port=80),))
    web = Service(id=ServiceId("web"), spec=a_spec("web", endpoint_spec=port))
    api.writer.write(Create(web))
    assert (await refused(api, "RemoveNetwork", remove)).code is Code.FAILED_PRECONDITION
    spec = service_spec_to_pb(a_spec("other", endpoint_spec=port))
    api.writer.write(Delete(Kind.SERVICE, "web"))
    await api.call("RemoveNetwork", remove)
    create = control.CreateServiceRequest(spec=spec)
    refusal = await refused(api, "CreateService", create)
    assert refusal.code is Code.FAILED_PRECONDITION
    assert "no ingress network is present" in refusal.message


async def test_missing_and_unknown_ids_have_their_codes(api: Api) -> None:
    for method, request in (
        ("GetNetwork", control.GetNetworkRequest()),
        ("RemoveNetwork", control.RemoveNetworkRequest()),
        ("CreateNetwork", control.CreateNetworkRequest()),
    ):
        assert (await refused(api, method, request)).code is Code.INVALID_ARGUMENT
    for method, request in (
        ("GetNetwork", control.GetNetworkRequest(network_id="x")),
        ("RemoveNetwork", control.RemoveNetworkRequest(network_id="x")),
        ("RemoveNetwork", control.RemoveNetworkRequest(name="x")),
    ):
        assert (await refused(api, method, request)).code is Code.NOT_FOUND
