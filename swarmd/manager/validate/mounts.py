"""Mounts of a service: what could never be mounted is refused before it is stored."""

from __future__ import annotations

from swarmd.manager.validate.limits import Limit
from swarmd.manager.validate.names import check_labels
from swarmd.model import mounts
from swarmd.model.errors import invalid
from swarmd.model.spec import ContainerSpec

MOUNTS = Limit("mounts", 0, 500)


def check_mounts(spec: ContainerSpec) -> None:
    """Refuse mounts that make no sense, and two for one target; templates are expanded."""
    MOUNTS.check(len(spec.mounts), within="container")
    for mount in spec.mounts:
        wrong = mounts.problem(mount)
        if wrong:
            raise invalid(f"container.mounts {(mount.target or mount.source)[:80]!r}: {wrong}")
        if mount.volume_options is not None:
            check_labels("volume", mount.volume_options.labels)
    target = mounts.doubled(spec.mounts)
    if target:
        raise invalid(f"container.mounts: duplicate mount point: {target}")
