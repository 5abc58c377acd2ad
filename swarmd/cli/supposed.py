"""What the flags of `simulate` and of dry runs suppose, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from swarmd.cli.values import nano_cpus, size_bytes
from swarmd.model.spec import (
    ContainerSpec,
    Placement,
    Replicated,
    ResourceRequirements,
    Resources,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from swarmd.rpc import convert
from swarmd.rpc.pb import cluster as pb

IMAGE = "simulated"
_KEYS = "replicas, cpu, memory, priority and constraint"


def hypotheses(flags: Mapping[str, Any]) -> list[pb.Hypothesis]:
    """What is supposed, in an order in which new nodes and gaps serve what comes after.

    Raises:
        ValueError: a flag is malformed, or one is missing.
    """
    found: list[pb.Hypothesis] = []
    if flags["add_nodes"]:
        if not flags["like"]:
            raise ValueError("--like is missing: name the node that the added ones are like")
        added = pb.NodesAdded(count=flags["add_nodes"], like=flags["like"])
        found.append(pb.Hypothesis(nodes_added=added))
    elif flags["like"]:
        raise ValueError("--like says what the nodes of --add-nodes are like; say how many")
    found += (pb.Hypothesis(service_removed=word) for word in flags["remove"])
    found += (service_created(described(text)) for text in flags["create"])
    found += (service_created(_from_file(path)) for path in flags["service_file"])
    found += (service_scaled(*_scale(text)) for text in flags["scale"])
    found += (pb.Hypothesis(node_drained=word) for word in flags["drain"])
    found += (pb.Hypothesis(node_down=word) for word in flags["node_down"])
    return found


def service_created(spec: ServiceSpec) -> pb.Hypothesis:
    return pb.Hypothesis(service_created=convert.service_spec_to_pb(spec))


def service_scaled(service: str, replicas: int) -> pb.Hypothesis:
    return pb.Hypothesis(service_scaled=pb.ServiceScaled(service=service, replicas=replicas))


def service_updated(service: str, spec: ServiceSpec) -> pb.Hypothesis:
    updated = pb.ServiceUpdated(service=service, spec=convert.service_spec_to_pb(spec))
    return pb.Hypothesis(service_updated=updated)


def described(text: str) -> ServiceSpec:
    """A service from a line such as `api,replicas=4,cpu=0.5,memory=512m`.

    Raises:
        ValueError: the line is malformed.
    """
    name, *pairs = text.split(",")
    if not name or "=" in name:
        raise ValueError(f"{text!r} does not begin with a name; write for example api,replicas=4")
    values: dict[str, Any] = {}
    constraints: list[str] = []
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key == "constraint" and equals:
            constraints.append(value)
        elif key in _READERS and equals:
            values[key] = _READERS[key](value)
        else:
            raise ValueError(f"{pair!r} in {text!r} is none of {_KEYS} with a value")
    resources = Resources(nano_cpus=values.get("cpu", 0), memory_bytes=values.get("memory", 0))
    task = TaskSpec(
        container_spec=ContainerSpec(image=IMAGE),
        resources=ResourceRequirements(reservations=resources),
        placement=Placement(constraints=tuple(constraints)) if constraints else None,
        priority=values.get("priority", 0),
    )
    mode = ServiceMode(replicated=Replicated(replicas=values.get("replicas", 1)))
    return ServiceSpec(name=name, task_template=task, mode=mode)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def _from_file(path: str) -> ServiceSpec:
    """The spec in a file: alone, or in what `service inspect` prints."""
    try:
        document: Any = msgspec.json.decode(Path(path).read_bytes())
        if isinstance(document, list) and len(document) == 1:
            document = document[0]
        if isinstance(document, dict) and "Spec" in document:
            document = document["Spec"]
        return msgspec.convert(document, ServiceSpec)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"{path} holds no service spec: {error}") from None


def _scale(text: str) -> tuple[str, int]:
    name, _, count = text.rpartition("=")
    if not name or not count.isdecimal():
        raise ValueError(f"{text!r} is not SERVICE=N, as in web=5")
    return name, int(count)


_READERS: Mapping[str, Callable[[str], int]] = {
    "replicas": _number,
    "cpu": nano_cpus,
    "memory": size_bytes,
    "priority": _number,
}
