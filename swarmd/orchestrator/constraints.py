"""Placement constraints, judged: does this node meet `node.labels.disk == ssd`?

Values compare without regard to case and literally: a `*` is a star. Label keys keep their case.
An unknown key is never satisfied, with neither operator, so that a typo places nothing.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from swarmd.model.constraint import Constraint, parse_constraint
from swarmd.model.node import Node
from swarmd.model.spec import TaskSpec

_NODE_LABELS = "node.labels."
_ENGINE_LABELS = "engine.labels."


def of_task(spec: TaskSpec) -> tuple[Constraint, ...]:
    """The constraints of a stored spec; ones that do not parse constrain nothing.

    Specs are checked before they are stored, so only state written by others can hold such text.
    """
    if spec.placement is None or not spec.placement.constraints:
        return ()
    return _parsed(spec.placement.constraints)


def satisfies(node: Node, constraints: tuple[Constraint, ...]) -> bool:
    """Whether `node` meets every one of `constraints`."""
    return all(_meets(node, constraint) for constraint in constraints)


def label_value(node: Node, descriptor: str) -> str | None:
    """The value of `node.labels.X` or `engine.labels.X` on `node`, "" if unset.

    None when the descriptor names no label at all.
    """
    folded = descriptor.casefold()
    if folded.startswith(_NODE_LABELS):
        return node.spec.labels.get(descriptor[len(_NODE_LABELS) :], "")
    if folded.startswith(_ENGINE_LABELS):
        engine = node.description.engine if node.description else None
        return engine.labels.get(descriptor[len(_ENGINE_LABELS) :], "") if engine else ""
    return None


@lru_cache(maxsize=1024)
def _parsed(expressions: tuple[str, ...]) -> tuple[Constraint, ...]:
    try:
        return tuple(parse_constraint(expression) for expression in expressions)
    except ValueError:
        return ()


def _meets(node: Node, constraint: Constraint) -> bool:
    if constraint.key.casefold() == "node.ip":
        inside = _has_address(node.status.addr, constraint.value)
        return inside is not None and inside == constraint.equal
    actual = _attribute(node, constraint.key)
    if actual is None:
        return False
    return (actual.casefold() == constraint.value.casefold()) == constraint.equal


def _attribute(node: Node, key: str) -> str | None:
    platform = node.description.platform if node.description else None
    match key.casefold():
        case "node.id":
            return node.id
        case "node.hostname":
            return node.hostname
        case "node.role":
            return node.role.value
        case "node.platform.os":
            return platform.os if platform else ""
        case "node.platform.arch":
            return platform.architecture if platform else ""
        case _:
            return label_value(node, key)


def _has_address(address: str, wanted: str) -> bool | None:
    """Whether the address lies in an address or network; None if `wanted` is neither."""
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return None
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False
