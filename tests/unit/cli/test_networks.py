"""What each node has in force of a network, for people and for programs."""

from __future__ import annotations

from swarmd.cli.networks import in_force_document, in_force_lines
from swarmd.rpc.pb import doctor as pb
from swarmd.rpc.pb import endpoints


def node(node_id: str, hostname: str, version: int = 0, **applied: object) -> pb.NodeTable:
    table = endpoints.AppliedTable(network_id="back", version=version, **applied)  # type: ignore[arg-type]
    return pb.NodeTable(
        node_id=node_id,
        hostname=hostname,
        state="ready",
        table=pb.TableInForce(applied=table, changed_at=7) if version else None,
    )


NODES = [
    node("n1", "alpha", 8, repaired=2),
    node("n2", "beta", 6, problems=["VXLAN id 4097 is taken"]),
    node("n3", "beta"),
]


def test_people_read_one_line_per_node() -> None:
    assert in_force_lines(NODES) == {
        "Node alpha": "ready, up to date, repaired 2 times",
        "Node beta (n2)": "ready, behind; VXLAN id 4097 is taken",
        "Node beta (n3)": "ready, has said nothing of it",
    }


def test_programs_are_told_versions() -> None:
    documents = in_force_document(NODES)
    assert [document["Version"] for document in documents] == [8, 6, None]
    assert documents[1]["Problems"] == ["VXLAN id 4097 is taken"]
