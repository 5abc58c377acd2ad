"""The compiled .proto files against the table of the SwarmKit wire contract.

The table is data, written down independently of the .proto files. Fields of our own start at 1000;
below that there is nothing the table does not have, and nothing is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    ServiceDescriptor,
)

from swarmd.rpc import pb
from swarmd.rpc.roles import Answers, access_to, routing_of

TABLE = json.loads((Path(__file__).parent / "swarmkit-wire.json").read_text())
PACKAGE = TABLE["package"]
OWN_FIELDS_FROM = 1000

MODULES = {
    "types.proto": pb.types,
    "specs.proto": pb.specs,
    "ca.proto": pb.ca,
    "objects.proto": pb.objects,
    "control.proto": pb.control,
    "dispatcher.proto": pb.dispatcher,
    "health.proto": pb.health,
    "logbroker.proto": pb.logbroker,
    "raft.proto": pb.raft,
    "resource.proto": pb.resource,
    "snapshot.proto": pb.snapshot,
    "watch.proto": pb.watch,
}
ANSWERS = {"leader": Answers.LEADER, "local": Answers.HERE, None: Answers.NOBODY}


def _local(full_name: str) -> str:
    return full_name.removeprefix(PACKAGE + ".")


def _messages() -> dict[str, tuple[str, Descriptor]]:
    found: dict[str, tuple[str, Descriptor]] = {}

    def walk(file: str, message: Descriptor) -> None:
        if message.GetOptions().map_entry:
            return
        found[_local(message.full_name)] = (file, message)
        for nested in message.nested_types:
            walk(file, nested)

    for file, module in MODULES.items():
        for message in module.DESCRIPTOR.message_types_by_name.values():
            walk(file, message)
    return found


def _enums() -> dict[str, tuple[str, EnumDescriptor]]:
    found = {
        name: (file, enum)
        for file, module in MODULES.items()
        for name, enum in module.DESCRIPTOR.enum_types_by_name.items()
    }
    for file, message in _messages().values():
        for enum in message.enum_types:
            found[_local(enum.full_name)] = (file, enum)
    return found


def _services() -> dict[str, tuple[str, ServiceDescriptor]]:
    return {
        name: (file, service)
        for file, module in MODULES.items()
        for name, service in module.DESCRIPTOR.services_by_name.items()
    }


MESSAGES, ENUMS, SERVICES = _messages(), _enums(), _services()

SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _type(field: FieldDescriptor) -> dict[str, Any]:
    if _is_map(field):
        entry = field.message_type.fields_by_name
        value = _type(entry["value"])
        described = {"type": "map", "key": SCALARS[entry["key"].type], "value": value["type"]}
        if "ref" in value:
            described["value_ref"] = value["ref"]
        return described
    if field.message_type is not None:
        return {"type": "message", "ref": _local(field.message_type.full_name)}
    if field.enum_type is not None:
        return {"type": "enum", "ref": _local(field.enum_type.full_name)}
    return {"type": SCALARS[field.type]}


def _describe(field: FieldDescriptor) -> dict[str, Any]:
    """A compiled field in the table's terms."""
    described: dict[str, Any] = {"number": field.number, "name": field.name, **_type(field)}
    if _is_map(field):
        described["label"] = "map"
    elif field.is_repeated:
        described["label"] = "repeated"
        if not field.is_packed and described["type"] not in ("message", "string", "bytes"):
            described["packed"] = False
    elif field.containing_oneof is not None:
        described["label"] = "oneof"
        described["oneof"] = field.containing_oneof.name
    else:
        described["label"] = "optional"
    if field.GetOptions().deprecated:
        described["deprecated"] = True
    return described


def _expect(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of the table, reduced to what a descriptor can say."""
    expected = {key: value for key, value in entry.items() if key != "always_present"}
    if expected.get("ref", "").startswith("raftpb."):
        # A message and a byte string are the same on the wire, and we never look inside.
        del expected["ref"]
        expected["type"] = "bytes"
    return expected


@pytest.mark.parametrize("name", sorted(TABLE["messages"]))
def test_message_has_exactly_the_fields_of_the_table(name: str) -> None:
    entry = TABLE["messages"][name]
    file, message = MESSAGES[name]
    fields = [field for field in message.fields if field.number < OWN_FIELDS_FROM]
    assert file == entry["file"]
    assert sorted((_describe(field) for field in fields), key=lambda f: f["number"]) == sorted(
        (_expect(field) for field in entry["fields"]), key=lambda f: f["number"]
    )


@pytest.mark.parametrize("name", sorted(TABLE["enums"]))
def test_enum_has_exactly_the_values_of_the_table(name: str) -> None:
    entry = TABLE["enums"][name]
    file, enum = ENUMS[name]
    assert file == entry["file"]
    values = {value.name: value.number for value in enum.values if value.number < OWN_FIELDS_FROM}
    assert values == entry["values"]


@pytest.mark.parametrize("name", sorted(TABLE["services"]))
def test_service_has_exactly_the_methods_of_the_table(name: str) -> None:
    entry = TABLE["services"][name]
    file, service = SERVICES[name]
    assert file == entry["file"]
    assert [
        {
            "name": method.name,
            "path": f"/{service.full_name}/{method.name}",
            "request": _local(method.input_type.full_name),
            "response": _local(method.output_type.full_name),
            "client_streaming": method.client_streaming,
            "server_streaming": method.server_streaming,
        }
        for method in service.methods
    ] == [
        {
            key: method[key]
            for key in (
                "name",
                "path",
                "request",
                "response",
                "client_streaming",
                "server_streaming",
            )
        }
        for method in entry["methods"]
    ]


@pytest.mark.parametrize("name", sorted(TABLE["services"]))
def test_roles_and_routing_are_those_of_the_table(name: str) -> None:
    entry = TABLE["services"][name]
    full_name = f"{PACKAGE}.{name}"
    for method in entry["methods"]:
        access = access_to(full_name, method["name"])
        assert access.roles == frozenset(method["roles"]), method["name"]
        assert access.open == method["insecure"], method["name"]
    routing = routing_of(full_name)
    assert routing.network is ANSWERS[entry["served"]["network_listener"]]
    assert routing.socket is ANSWERS[entry["served"]["control_socket"]]


def test_nothing_in_the_package_is_missing_from_the_table() -> None:
    assert MESSAGES.keys() == TABLE["messages"].keys()
    assert ENUMS.keys() == TABLE["enums"].keys()
    assert SERVICES.keys() == TABLE["services"].keys()


def test_our_own_fields_are_the_documented_ones() -> None:
    own = {
        f"{name}.{field.name}": field.number
        for name, (_, message) in MESSAGES.items()
        for field in message.fields
        if field.number >= OWN_FIELDS_FROM
    }
    assert own == {
        "NodeDescription.data_addr": 1000,
        "NodeDescription.runtime": 1001,
        "NodeDescription.balancer": 1002,
        "NodeDescription.tunnel_addr": 1003,
        "SessionMessage.leader_addr": 1000,
        "SessionMessage.registry_mirrors": 1010,
        "ContainerSpec.executor": 1000,
        "ContainerSpec.host_access": 1001,
        "ClusterSpec.allow": 1001,
        "EndpointSpec.drain_timeout": 1000,
        "EndpointSpec.balance": 1001,
        "EndpointSpec.weight_label": 1002,
        "Mount.image_options": 1000,
        "Task.allow": 1005,
        "ClusterSpec.scheduling": 1000,
        "ClusterSpec.registry_mirrors": 1010,
        "NodeSpec.taints": 1000,
        "NodeSpec.oversell": 1001,
        "NodeSpec.drain_order": 1002,
        "NodeStatus.since": 1000,
        "OrchestrationConfig.spec_history_limit": 1000,
        "Placement.strategy": 1000,
        "Placement.affinities": 1001,
        "Placement.tolerations": 1002,
        "PortConfig.policy": 1000,
        "PortConfig.address": 1001,
        "RestartPolicy.max_delay": 1000,
        "Service.cron_status": 1000,
        "Service.history": 1001,
        "ServiceSpec.cron": 1000,
        "ServiceSpec.stateful": 1001,
        "ServiceSpec.min_available": 1002,
        "Task.lease": 1000,
        "TaskSpec.priority": 1000,
        "UpdateConfig.task_timeout": 1000,
        "Task.ran_at": 1001,
        "Task.reserved_node_id": 1002,
        "Task.replaces": 1003,
        "Task.desired_reason": 1004,
        "UpdateStatus.failures": 1000,
        "UpdateStatus.resumed_at": 1001,
        "WatchMessage.Event.reason": 1000,
        "WatchMessage.oldest": 1001,
        "WatchMessage.time": 1000,
        "WatchRequest.since": 1000,
        "LogSubscriptionOptions.until": 1000,
        "LogSubscriptionOptions.bulk": 1001,
        "LogSubscriptionOptions.reached": 1002,
        "PublishLogsMessage.bulk": 1000,
        "SubscribeLogsMessage.bulk": 1000,
        "SubscribeLogsMessage.notices": 1001,
        "ConfigReference.latest": 1000,
        "HealthConfig.unready_after": 1000,
        "SecretReference.latest": 1000,
        "TaskStatus.ipv6_ports": 1001,
        "TaskStatus.unready": 1000,
        "UpdateConfigRequest.new_version": 1000,
        "UpdateSecretRequest.new_version": 1000,
    }
