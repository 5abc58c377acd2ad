"""Node specs: labels, a name, taints, ratios; roles and availabilities are closed sets already."""

from __future__ import annotations

from swarmd.manager.validate.names import check_labels, check_name
from swarmd.manager.validate.placement import check_oversell, check_taints
from swarmd.model.node import NodeSpec


def check_node_spec(spec: NodeSpec) -> None:
    """Refuse a node spec with unusable parts; the name may be absent."""
    if spec.name:
        check_name("node", spec.name)
    check_labels("node", spec.labels)
    check_taints(spec.taints)
    check_oversell(spec.oversell, within="oversell")
