"""All calls of the Control service in one object, for the router to bind by name."""

from __future__ import annotations

from swarmd.manager.control.cluster import ClusterCalls
from swarmd.manager.control.custom import CustomCalls
from swarmd.manager.control.files import FileCalls
from swarmd.manager.control.later import LaterCalls
from swarmd.manager.control.networks import NetworkCalls
from swarmd.manager.control.nodes import NodeCalls
from swarmd.manager.control.tasks import TaskCalls
from swarmd.manager.control.updates import UpdateCalls


class Control(
    UpdateCalls,
    TaskCalls,
    NodeCalls,
    ClusterCalls,
    NetworkCalls,
    FileCalls,
    CustomCalls,
    LaterCalls,
):
    """`docker.swarmkit.v1.Control` and `swarmd.v1.Updates`, for the leader to serve."""
