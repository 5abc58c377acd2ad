"""Claims of ordinals on their data: a volume per slot keeps an ordinal on the node that has it.

The volumes of the local driver are directories of a node. When a stateful service mounts one whose
name tells the ordinals apart (`data-{{.Task.Slot}}`), an ordinal that has run returns to its node,
or waits for it; only if the node leaves the swarm is the data given up. A volume whose options name
a device or a share is not bound to a node.
"""

from __future__ import annotations

import re

from swarmd.model.spec import ContainerSpec, Mount
from swarmd.model.states import MountType
from swarmd.model.task import Task
from swarmd.model.template import TemplateError, expand, template_context

_PER_SLOT = re.compile(r"\{\{-?\s*\.Task\.(?:Slot|Ordinal|Name)\s*-?\}\}")


def claims(spec: ContainerSpec | None) -> tuple[str, ...]:
    """The names of the volumes that keep an ordinal on its node, as templates."""
    return tuple(mount.source for mount in spec.mounts if _claims(mount)) if spec else ()


def claim_of(task: Task) -> str:
    """The first volume that binds a task to the node it names; empty when none does."""
    if not task.lease_ns or not task.node_id:
        return ""
    names = claims(task.spec.container_spec)
    if not names:
        return ""
    try:
        context = template_context(task, node_id=task.node_id, hostname="", os="", arch="")
        return expand(names[0], context)
    except TemplateError:
        return names[0]


def _claims(mount: Mount) -> bool:
    if mount.type is not MountType.VOLUME or not _PER_SLOT.search(mount.source):
        return False
    driver = mount.volume_options.driver_config if mount.volume_options else None
    return driver is None or not driver.options
