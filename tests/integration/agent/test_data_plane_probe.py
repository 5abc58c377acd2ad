"""What the data plane says of machines that lack something, and of one that lacks nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.agent.dataplane.probe import CLAIM, Ground, probe
from swarmd.network.core.overlay_plan import Underlay
from swarmd.network.kernel import netns, nft
from tests.support.nobody import NOBODY, PATHS, interpreter
from tests.support.overlays import Nodes, nodes

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(bool(nft.missing()), reason=nft.missing() or "-"),
]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Nodes]:
    with nodes(tmp_path, 1) as made:
        yield made


def look(made: Nodes, address: str) -> Ground:
    """A probe in the namespace of the node, whose claim ends with it."""
    ground = netns.inside(made.path("n1"), lambda: probe(address, made.directory / "run"))
    ground.close()
    return ground


def test_a_machine_that_has_everything_takes_part_and_nothing_of_the_look_is_left(one: Nodes):
    ground = look(one, "10.99.1.1")
    assert ground.lacking == ""
    assert ground.underlay == Underlay("10.99.1.1", 1500)
    assert list((one.directory / "run").iterdir()) == []
    # Again, at once: no number or name is still taken.
    assert look(one, "10.99.1.1").lacking == ""


@pytest.mark.parametrize(
    ("address", "lacking"),
    [
        ("127.0.0.2", "its data address 127.0.0.2 is reached from this machine alone"),
        ("192.0.2.7", "its data address 192.0.2.7 is not an address of this machine"),
        ("host.test", "its data address 'host.test' is no IP address"),
    ],
)
def test_an_address_that_other_nodes_cannot_send_to_is_named(
    one: Nodes, address: str, lacking: str
):
    ground = look(one, address)
    assert (ground.underlay, ground.lacking) == (None, lacking)


def test_a_second_daemon_of_one_namespace_is_told_of_the_first(one: Nodes):
    def claim() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(CLAIM)
        return sock

    with netns.inside(one.path("n1"), claim):
        assert look(one, "10.99.1.1").lacking.startswith("another swarmd daemon uses")
    assert look(one, "10.99.1.1").lacking == ""


def test_without_rights_the_remedy_is_named():
    program = (
        "from pathlib import Path; import swarmd.agent.dataplane.probe as p\n"
        "from swarmd.network.core.overlay_plan import Underlay\n"
        "scratch = Path('/tmp/swarmd-nobody/scratch')\n"
        "print(p._try(Underlay('192.0.2.1', 1500), scratch, node=None))\n"
    )
    done = subprocess.run(
        [interpreter(), "-c", program],
        user=NOBODY,
        group=NOBODY,
        extra_groups=(),
        env={"PYTHONPATH": PATHS, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("it takes root")
