"""What may happen to a swarm in a question, and the writes by which it happens to a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from swarmd.model import versions
from swarmd.model.env import Env
from swarmd.model.errors import invalid, not_found
from swarmd.model.ids import NodeId, ServiceId
from swarmd.model.node import Node, NodeSpec, NodeStatus
from swarmd.model.service import Service
from swarmd.model.spec import Replicated, ServiceMode, ServiceSpec
from swarmd.model.states import Availability, NodeState, Role
from swarmd.orchestrator import runs
from swarmd.store.changes import Action, Create, Delete, Kind, Update
from swarmd.store.view import View

NODES_ADDED_MAX = 10_000


class NodeDown(Struct, frozen=True):
    node: str


class NodeDrained(Struct, frozen=True):
    node: str


class NodesAdded(Struct, frozen=True):
    """Workers with the resources, labels and taints of a node that is there."""

    count: int
    like: str


class ServiceCreated(Struct, frozen=True):
    spec: ServiceSpec


class ServiceScaled(Struct, frozen=True):
    service: str
    replicas: int


class ServiceUpdated(Struct, frozen=True):
    service: str
    spec: ServiceSpec


class ServiceRemoved(Struct, frozen=True):
    service: str


Hypothesis: TypeAlias = (
    NodeDown
    | NodeDrained
    | NodesAdded
    | ServiceCreated
    | ServiceScaled
    | ServiceUpdated
    | ServiceRemoved
)


def actions_of(hypothesis: Hypothesis, view: View, env: Env) -> tuple[Action, ...]:
    """The writes that make a hypothesis true of the state in `view`.

    Nodes and services are named by id, or by host name or name.

    Raises:
        Rejection: it names what is not there, or cannot happen.
    """
    match hypothesis:
        case NodeDown(node=word):
            node = find_node(word, view)
            status = replace(node.status, state=NodeState.DOWN, since=env.now)
            return (_written(replace(node, status=status)),)
        case NodeDrained(node=word):
            node = find_node(word, view)
            spec = replace(node.spec, availability=Availability.DRAIN)
            return (_written(replace(node, spec=spec)),)
        case NodesAdded(count=count, like=word):
            if not 1 <= count <= NODES_ADDED_MAX:
                raise invalid(f"{count} nodes cannot be added; say 1 to {NODES_ADDED_MAX}")
            return tuple(Create(node) for node in _likenesses(find_node(word, view), count, view))
        case ServiceCreated(spec=wanted):
            service = Service(id=ServiceId(env.ids.new()), spec=wanted)
            return (Create(runs.created(service, env.now)),)
        case ServiceScaled(service=word, replicas=replicas):
            service = find_service(word, view)
            return (_updated(service, scaled(service.spec, replicas), view, env),)
        case ServiceUpdated(service=word, spec=wanted):
            return (_updated(find_service(word, view), wanted, view, env),)
        case ServiceRemoved(service=word):
            return (Delete(Kind.SERVICE, find_service(word, view).id),)


def find_node(word: str, view: View) -> Node:
    """A node by its id or, if only one has it, its host name.

    Raises:
        Rejection: there is none, or several.
    """
    node = view.find_node(word)
    if node is not None:
        return node
    named = view.nodes_by_hostname(word)
    if len(named) > 1:
        raise invalid(f"{len(named)} nodes are called {word}; say which by its id")
    if not named:
        raise not_found("node", word)
    return named[0]


def find_service(word: str, view: View) -> Service:
    """A service by its id or name.

    Raises:
        Rejection: there is none.
    """
    service = view.find_service(word) or view.find_service_by_name(word)
    if service is None:
        raise not_found("service", word)
    return service


def scaled(spec: ServiceSpec, replicas: int) -> ServiceSpec:
    """`spec` with another number of tasks.

    Raises:
        Rejection: its mode has no such number.
    """
    mode = spec.mode
    if mode.stateful is not None:
        stateful = replace(mode.stateful, replicas=replicas)
        return replace(spec, mode=ServiceMode(stateful=stateful))
    if mode.replicated is None:
        raise invalid(f"service {spec.name} has no number of replicas; it cannot be scaled")
    return replace(spec, mode=ServiceMode(replicated=Replicated(replicas=replicas)))


def _written(node: Node) -> Update:
    return Update(node, node.version)


def _updated(service: Service, spec: ServiceSpec, view: View, env: Env) -> Update:
    limit = versions.limit_of(view.find_cluster())
    new = versions.updated(service, spec, now=env.now, limit=limit)
    return Update(runs.after_spec_change(service, new, env.now), service.version)


def _likenesses(node: Node, count: int, view: View) -> Iterator[Node]:
    name = node.hostname or node.id
    number = 0
    for _ in range(count):
        number += 1
        while view.find_node(f"{name}-new{number}") is not None:
            number += 1
        yield Node(
            id=NodeId(f"{name}-new{number}"),
            spec=NodeSpec(
                labels=node.spec.labels, taints=node.spec.taints, oversell=node.spec.oversell
            ),
            description=replace(node.description, hostname=f"{name}-new{number}")
            if node.description
            else None,
            status=NodeStatus(state=NodeState.READY, addr=node.status.addr),
            role=Role.WORKER,
        )
