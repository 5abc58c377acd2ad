"""All calls of the Control service in one object, for the router to bind by name."""

from __future__ import annotations

from swarmd.manager.control.cluster import ClusterCalls
from swarmd.manager.control.later import LaterCalls
from swarmd.manager.control.nodes import NodeCalls
from swarmd.manager.control.services import ServiceCalls
from swarmd.manager.control.tasks import TaskCalls


class Control(ServiceCalls, TaskCalls, NodeCalls, ClusterCalls, LaterCalls):
    """`docker.swarmkit.v1.Control`, to be served by the leader; built from a `ControlEnv`."""
