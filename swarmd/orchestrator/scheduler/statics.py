"""The questions to a node whose answers no placement changes.

Nodes equal in readiness, taints, platform, plugins and the attributes named here answer alike.
"""

from __future__ import annotations

from typing import NamedTuple

from swarmd.model.constraint import Constraint
from swarmd.model.node import EngineDescription
from swarmd.model.spec import Platform
from swarmd.model.taint import Toleration
from swarmd.orchestrator.constraints import misses, satisfies
from swarmd.orchestrator.scheduler.node_info import NodeInfo
from swarmd.orchestrator.scheduler.refusals import Refusal
from swarmd.orchestrator.taints import avoided, forbidden

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LATEST = ":latest"
# Kinds of plugins that an engine may bring along without listing them: asked about only on nodes
# that list some.
_OFTEN_UNLISTED = ("Log", "Network")

Plugin = tuple[str, str]  # type and name


class Statics(NamedTuple):
    """What tasks ask of a node itself."""

    constraints: tuple[Constraint, ...] = ()  # the soft ones as well
    platforms: tuple[Platform, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    tolerations: tuple[Toleration, ...] = ()


class Verdict(NamedTuple):
    """One answer for all nodes of a cell."""

    ready: bool
    unfit: Refusal | None  # PLUGIN, CONSTRAINTS or PLATFORM
    tainted: bool
    misses: int  # wishes that the node does not meet

    @property
    def fit(self) -> bool:
        return self.ready and self.unfit is None and not self.tainted


def judge(info: NodeInfo, statics: Statics) -> Verdict:
    """What `statics` make of a node."""
    node = info.node
    return Verdict(
        ready=info.ready,
        unfit=_unfit(info, statics),
        tainted=forbidden(node.spec.taints, statics.tolerations),
        misses=misses(node, statics.constraints) + avoided(node.spec.taints, statics.tolerations),
    )


def _unfit(info: NodeInfo, statics: Statics) -> Refusal | None:
    description = info.node.description
    engine = description.engine if description else None
    if statics.plugins and engine is not None and not _has_plugins(engine, statics.plugins):
        return Refusal.PLUGIN
    if statics.constraints and not satisfies(info.node, statics.constraints):
        return Refusal.CONSTRAINTS
    if statics.platforms:
        platform = description.platform if description else None
        if platform is None or not _runs_on(platform, statics.platforms):
            return Refusal.PLATFORM
    return None


def _has_plugins(engine: EngineDescription, wanted: tuple[Plugin, ...]) -> bool:
    listed = {(plugin.type, plugin.name.removesuffix(_LATEST)) for plugin in engine.plugins}
    types = {plugin.type for plugin in engine.plugins}
    return all(
        (kind, name.removesuffix(_LATEST)) in listed
        or (kind in _OFTEN_UNLISTED and kind not in types)
        for kind, name in wanted
    )


def _runs_on(actual: Platform, platforms: tuple[Platform, ...]) -> bool:
    architecture = _ARCHITECTURES.get(actual.architecture, actual.architecture)
    return any(
        (not wanted.os or wanted.os == actual.os)
        and (
            not wanted.architecture
            or _ARCHITECTURES.get(wanted.architecture, wanted.architecture) == architecture
        )
        for wanted in platforms
    )
