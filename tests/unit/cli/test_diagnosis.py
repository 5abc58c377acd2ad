"""What `swarmd doctor` makes of the findings of the nodes."""

from __future__ import annotations

import pytest

from swarmd.cli import diagnosis
from swarmd.model.instant import MILLISECOND, SECOND
from swarmd.rpc.pb import doctor as pb
from swarmd.rpc.pb import endpoints

GOOD = pb.Trial(answered=True, round_trip=MILLISECOND, mtu=1500)
NONE = pb.Trial(answered=False)
UNTRIED = pb.Trial(untried="it is no manager")


def ways(
    underlay: pb.Trial = GOOD,
    overlay: pb.Trial = GOOD,
    manager: pb.Trial = UNTRIED,
    udp: tuple[pb.Trial, ...] = (),
) -> pb.Ways:
    return pb.Ways(node_id="n2", underlay=underlay, overlay=overlay, manager=manager, udp=udp)


def node(*found: pb.Ways, **fields: object) -> pb.NodeFindings:
    return pb.NodeFindings(
        node_id="n1",
        hostname="alpha",
        state="ready",
        found=pb.ExamineNodeResponse(ways=found),
        **fields,  # type: ignore[arg-type]
    )


def problems(*nodes: pb.NodeFindings) -> list[str]:
    other = pb.NodeFindings(node_id="n2", hostname="beta", state="ready")
    found = diagnosis.sentences([*nodes, other])
    assert "n2" not in found
    return found.get("n1", [])


def test_a_node_in_order_has_a_row_and_no_sentence() -> None:
    small = pb.Trial(answered=True, mtu=1450)
    healthy = node(ways(overlay=small), clock_ahead=3 * MILLISECOND, round_trip=MILLISECOND)
    assert problems(healthy) == []
    assert diagnosis.row(healthy, "alpha", 0) == (
        "alpha",
        "ready",
        "+3 ms",
        "1/1",
        "1500",
        "1450",
        "",
    )


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        pytest.param(node(absent="the node is down"), "could not be examined", id="absent"),
        pytest.param(node(clock_ahead=-2 * SECOND), "2s behind the leader's", id="clock"),
        pytest.param(node(ways(overlay=NONE)), "let UDP port 4789 through", id="vxlan"),
        pytest.param(node(ways(NONE, NONE)), "beta does not answer, neither", id="gone"),
        pytest.param(node(ways(NONE, UNTRIED)), "beta does not answer", id="gone, no overlay"),
        pytest.param(node(ways(manager=NONE)), "TCP port (2377)", id="manager"),
        pytest.param(
            node(ways(udp=(UNTRIED, GOOD, NONE))), "at 1 of 3 UDP ports; let", id="wireguard"
        ),
        pytest.param(
            node(ways(overlay=pb.Trial(answered=True, mtu=84))), "only small packets", id="mtu"
        ),
        pytest.param(
            node(tables=[pb.TableInForce(applied=endpoints.AppliedTable(version=3), changed_at=4)]),
            "the latest of published ports",
            id="behind",
        ),
        pytest.param(
            node(
                tables=[
                    pb.TableInForce(applied=endpoints.AppliedTable(problems=["port 80 is taken"]))
                ]
            ),
            "port 80 is taken",
            id="table",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence_that_says_what_to_do(
    findings: pb.NodeFindings, sentence: str
) -> None:
    (found,) = problems(findings)
    assert sentence in found


def test_a_node_that_ignores_echoes_but_is_on_the_overlay_is_fine() -> None:
    assert problems(node(ways(underlay=NONE))) == []


def test_nodes_of_one_name_are_told_apart_by_their_ids() -> None:
    other = pb.NodeFindings(node_id="n2", hostname="alpha")
    assert diagnosis.names([node(), other]) == {"n1": "alpha (n1)", "n2": "alpha (n2)"}


def test_a_clock_is_not_blamed_for_a_slow_answer() -> None:
    assert problems(node(clock_ahead=SECOND, round_trip=2 * SECOND)) == []


def test_a_node_that_was_not_examined_says_why_in_its_row() -> None:
    absent = node(absent="the node is down")
    assert diagnosis.row(absent, "alpha", 1)[-1] == "the node is down"
