"""Placement constraints against nodes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.constraint import parse_constraint
from swarmd.model.node import Node
from swarmd.model.spec import Placement
from swarmd.model.states import Role
from swarmd.orchestrator.constraints import label_value, of_task, satisfies
from tests.support.cluster import a_node, a_task_spec

NODE = replace(
    a_node("Web1", labels={"Zone": "eu-1"}, engine_labels={"gpu": "A100"}), role=Role.MANAGER
)
NODE = replace(NODE, status=replace(NODE.status, addr="10.1.2.3"))
BARE = Node(id=NODE.id)


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("node.id == web1", True),
        ("node.hostname == web1", True),
        ("NODE.HOSTNAME != web1", False),
        ("node.role == manager", True),
        ("node.role != worker", True),
        ("node.labels.Zone == EU-1", True),
        ("node.labels.zone == eu-1", False),
        ("node.labels.zone != eu-1", True),
        ("node.labels.Zone == eu-*", True),
        ("node.labels.Zone == eu-2*", False),
        ("node.labels.Zone != ?u-1", False),
        ("node.labels.Zone == /^EU-[0-9]$/", True),
        ("node.labels.Zone != /eu/", False),
        ("node.ip == 10.1.*", True),
        ("node.labels.Zone ==~ nowhere", True),
        ("engine.labels.gpu == a100", True),
        ("engine.labels.disk != ssd", True),
        ("node.platform.os == linux", True),
        ("node.platform.arch == amd64", False),
        ("node.ip == 10.1.2.3", True),
        ("node.ip == 10.1.0.0/16", True),
        ("node.ip != 10.1.0.0/16", False),
        ("node.ip == 10.2.0.0/16", False),
        ("node.ip == nonsense", False),
        ("node.ip != nonsense", False),
        ("node.colour == red", False),
        ("node.colour != red", False),
    ],
)
def test_a_constraint_is_met_or_not(expression: str, met: bool) -> None:
    assert satisfies(NODE, (parse_constraint(expression),)) is met


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("node.hostname == web1", False),
        ("node.platform.os != linux", True),
        ("engine.labels.gpu == a100", False),
        ("node.ip != 10.1.2.3", True),
    ],
)
def test_a_node_that_said_nothing_of_itself_has_empty_values(expression: str, met: bool) -> None:
    assert satisfies(BARE, (parse_constraint(expression),)) is met


def test_all_constraints_have_to_be_met() -> None:
    both = tuple(map(parse_constraint, ("node.role == manager", "node.hostname == other")))
    assert not satisfies(NODE, both)


def test_stored_text_that_is_no_constraint_constrains_nothing() -> None:
    assert of_task(a_task_spec(placement=Placement(constraints=("rubbish",)))) == ()
    assert of_task(a_task_spec()) == ()


def test_label_values_of_spread_descriptors() -> None:
    assert label_value(NODE, "node.labels.Zone") == "eu-1"
    assert label_value(NODE, "engine.labels.gpu") == "A100"
    assert label_value(BARE, "engine.labels.gpu") == ""
    assert label_value(NODE, "node.hostname") is None
