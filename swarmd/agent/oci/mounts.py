"""The mounts of a container in the words of the OCI runtime specification. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from swarmd.agent.core.mounts import Placed
from swarmd.model.states import Propagation

_SHARED = (Propagation.SHARED, Propagation.RSHARED)
_SLAVE = (Propagation.SLAVE, Propagation.RSLAVE)


def mount(placed: Placed, *, deep_read_only: bool) -> dict[str, Any]:
    """One mount.

    Args:
        deep_read_only: whether the kernel can make what is mounted below read-only, too.
    """
    if placed.is_memory:
        options = [*placed.options, *(["ro"] if placed.read_only else [])]
        return _words(placed.target, "tmpfs", "tmpfs", options)
    how = "rw"
    if placed.read_only:
        below = placed.read_only_below
        deep = deep_read_only if below is None else below
        how = "rro" if deep and placed.recursive else "ro"
    kind = "rbind" if placed.recursive else "bind"
    return _words(placed.target, "bind", placed.source, [kind, placed.propagation.value, how])


def root_propagation(mounts: Iterable[Placed]) -> str:
    """How mounts pass to and from the container's root, so that those below can share theirs."""
    wanted = {placed.propagation for placed in mounts}
    if wanted & set(_SHARED):
        return "rshared"
    return "rslave" if wanted & set(_SLAVE) else ""


def _words(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}
