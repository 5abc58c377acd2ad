"""What the kernel's part of the mesh must do: three nodes in namespaces, a client outside."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path

import pytest

from swarmd.lb.core.mesh import Source
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.model.states import Protocol
from swarmd.network.kernel import netns
from tests.support import sctp
from tests.support.mesh_world import CLIENT, PATIENCE_S, PUBLISHED, TARGET, ask, mesh_world


class MeshContract:
    def make(self, ingress: Path, node: Path) -> MeshKernel:
        """The part of a node under test."""
        raise NotImplementedError

    def has_zones(self) -> bool:
        """Whether connections that look alike can be kept apart."""
        return True

    def has_sctp(self) -> bool:
        """Whether associations of SCTP can be led on."""
        return True

    def spoil(self, namespace: Path) -> None:
        """Take away its rules, as some other program would."""
        raise NotImplementedError

    def test_every_node_answers_and_tasks_see_the_clients_address(self) -> None:
        with mesh_world(self.make, a="n1", b="n2", c="n2") as w:
            w.apply()
            for node in w.nodes.values():
                answers = Counter(ask(w.client, node.underlay) for _ in range(6))
                assert answers == {("a", CLIENT): 2, ("b", CLIENT): 2, ("c", CLIENT): 2}

    def test_a_client_may_use_one_port_towards_all_nodes(self) -> None:
        if not self.has_zones():
            pytest.skip("this kernel has no zones of tracked connections")
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            for node in w.nodes.values():
                assert ask(w.client, node.underlay, source_port=4711) == ("a", CLIENT)

    def test_datagrams_find_their_way_back_from_tasks_elsewhere(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            for node in w.nodes.values():
                with netns.inside(w.client, lambda: socket.socket(type=socket.SOCK_DGRAM)) as sock:
                    sock.settimeout(PATIENCE_S)
                    sock.connect((node.underlay, PUBLISHED))
                    sock.send(b"?")
                    assert sock.recv(100).decode() == f"a {CLIENT}"

    def test_the_node_itself_reaches_the_port_by_all_its_addresses(self) -> None:
        with mesh_world(self.make, a="n1", b="n2") as w:
            w.apply()
            for address in ("127.0.0.1", w.nodes["n3"].underlay):
                names = {ask(w.nodes["n3"].path, address)[0] for _ in range(2)}
                assert names == {"a", "b"}

    def test_a_port_bound_to_some_addresses_answers_at_no_others(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            first, second = w.nodes["n1"], w.nodes["n2"]
            w.apply(addresses=(second.underlay, "127.0.0.1"))
            assert ask(w.client, second.underlay) == ("a", CLIENT)
            assert ask(second.path, "127.0.0.1")[0] == "a"
            with pytest.raises(OSError):
                ask(w.client, first.underlay)
            w.apply()
            assert ask(w.client, first.underlay) == ("a", CLIENT)

    def test_sctp_is_led_to_tasks_elsewhere_and_back(self) -> None:
        if not self.has_sctp():
            pytest.skip("this kernel tracks no SCTP")
        with mesh_world(self.make, a="n1") as w:
            w.apply(protocols=(Protocol.SCTP,))
            for port, node in enumerate(w.nodes.values(), 5001):
                with (
                    netns.inside(w.client, sctp.raw_socket) as client,
                    netns.inside(w.tasks["a"].path, sctp.raw_socket) as server,
                ):
                    for sock in (client, server):
                        sock.settimeout(PATIENCE_S)
                    client.sendto(sctp.init(port, PUBLISHED), (node.underlay, 0))
                    sender, _, at, packet = sctp.receive(server)
                    assert (sender, at) == (CLIENT, TARGET)
                    server.sendto(sctp.init_ack(packet), (CLIENT, 0))
                    answerer, source_port, at, _ = sctp.receive(client)
                    assert (answerer, source_port, at) == (node.underlay, PUBLISHED, port)

    def test_masqueraded_clients_show_the_address_of_the_entry(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply(source=Source.MASQUERADE)
            entry = w.nodes["n2"]
            assert ask(w.client, entry.underlay) == ("a", entry.ingress_address)

    def test_a_node_that_is_late_leads_nobody_to_a_task_that_leaves(self) -> None:
        with mesh_world(self.make, a="n1", b="n2") as w:
            w.apply()
            w.tasks["a"].ready = False
            w.apply("n1")
            names = {ask(w.client, w.nodes["n3"].underlay) for _ in range(4)}
        assert names == {("b", CLIENT)}

    def test_tasks_reach_the_world_by_their_node(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()

            def listen() -> socket.socket:
                sock = socket.socket()
                sock.bind(("", 9000))
                sock.listen()
                return sock

            with netns.inside(w.client, listen) as server:
                connect = lambda: socket.create_connection((CLIENT, 9000), PATIENCE_S)  # noqa: E731
                with netns.inside(w.tasks["a"].path, connect):
                    accepted, (address, _) = server.accept()
                    accepted.close()
        assert address == w.nodes["n1"].underlay

    def test_what_somebody_took_away_is_put_back(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            node = w.nodes["n2"]
            state = w.state("n2")
            for path in (node.path, node.ingress):
                self.spoil(path)
            assert node.mesh.repair(state) >= 2
            assert ask(w.client, node.underlay) == ("a", CLIENT)
            assert node.mesh.repair(state) == 0

    def test_room_for_connections_is_no_problem(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            assert w.nodes["n1"].mesh.crowded() == ()

    def test_a_port_that_is_no_longer_published_answers_no_more(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            assert ask(w.client, w.nodes["n2"].underlay) == ("a", CLIENT)
            w.tasks["a"].ready = False
            w.apply()
            with pytest.raises(OSError):
                ask(w.client, w.nodes["n2"].underlay)
