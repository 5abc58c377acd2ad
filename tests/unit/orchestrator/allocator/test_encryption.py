"""Which mechanism a new encrypted network gets."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from swarmd.model.ids import NetworkId
from swarmd.model.network import (
    ENCRYPTED_OPTION,
    MECHANISM_OPTION,
    Mechanism,
    Network,
    mechanism_of,
)
from swarmd.model.node import ENCRYPTION_PLUGIN, EngineDescription, Node, PluginDescription
from swarmd.model.spec import Driver
from swarmd.model.states import NodeState
from swarmd.orchestrator.allocator.encryption import with_mechanism
from tests.support.cluster import a_node

ALL, BOTH, TUNNEL = ("wireguard", "ipsec", "tunnel"), ("ipsec", "tunnel"), ("tunnel",)


def a_network(**options: str) -> Network:
    return Network(id=NetworkId("net"), driver_state=Driver(name="overlay", options=options))


def able(*mechanisms: str) -> Node:
    node = a_node("n" + "".join(mechanisms))
    assert node.description is not None
    plugins = tuple(PluginDescription(type=ENCRYPTION_PLUGIN, name=name) for name in mechanisms)
    engine = EngineDescription(plugins=plugins)
    return replace(node, description=replace(node.description, engine=engine))


@pytest.mark.parametrize(
    ("nodes", "chosen"),
    [
        pytest.param((able(*ALL), able(*ALL)), Mechanism.WIREGUARD, id="all can do the best"),
        pytest.param((able(*ALL), able(*BOTH)), Mechanism.IPSEC, id="all can do the second best"),
        pytest.param((able(*BOTH), able(*TUNNEL)), Mechanism.TUNNEL, id="one can't"),
        pytest.param((able(*BOTH), able()), Mechanism.IPSEC, id="one can't encrypt at all"),
        pytest.param((), Mechanism.TUNNEL, id="nobody knows yet"),
    ],
)
def test_the_best_that_all_nodes_can(nodes: tuple[Node, ...], chosen: Mechanism) -> None:
    assert mechanism_of(with_mechanism(a_network(**{ENCRYPTED_OPTION: ""}), nodes)) is chosen


def test_nodes_that_are_down_have_no_say() -> None:
    down = able(*TUNNEL)
    down = replace(down, status=replace(down.status, state=NodeState.DOWN))
    network = with_mechanism(a_network(**{ENCRYPTED_OPTION: ""}), (able(*BOTH), down))
    assert mechanism_of(network) is Mechanism.IPSEC


def test_networks_in_the_clear_and_those_that_name_a_mechanism_stay_as_they_are() -> None:
    named = a_network(**{ENCRYPTED_OPTION: "", MECHANISM_OPTION: "tunnel"})
    for network in (a_network(), a_network(**{ENCRYPTED_OPTION: "false"}), named):
        assert with_mechanism(network, (able(*BOTH),)) is network


def test_a_mechanism_that_is_unknown_is_none() -> None:
    assert mechanism_of(a_network(**{ENCRYPTED_OPTION: "1", MECHANISM_OPTION: "rot13"})) is None
