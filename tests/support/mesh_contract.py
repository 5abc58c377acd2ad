"""What the kernel's part of the mesh must do: three nodes in namespaces, a client outside."""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from pathlib import Path

import pytest

from swarmd.lb.core.leaving import Due
from swarmd.lb.core.mesh import Source
from swarmd.lb.mesh_kernel import MeshKernel
from swarmd.model.states import Balance, Protocol
from swarmd.network.core.dual import six_of
from swarmd.network.kernel import netns
from tests.support import sctp
from tests.support.mesh_world import (
    CLIENT,
    CLIENT_V6,
    PATIENCE_S,
    PUBLISHED,
    TARGET,
    WORLD_V6,
    MeshWorld,
    ask,
    family_of,
    mesh_world,
)


def ask_by_datagram(path: Path, address: str) -> tuple[str, str]:
    """Who answers a datagram, and which address it saw."""
    with netns.inside(path, lambda: socket.socket(family_of(address), socket.SOCK_DGRAM)) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect((address, PUBLISHED))
        sock.send(b"?")
        name, saw = sock.recv(100).decode().split()
    return name, saw


def seen_by_the_world(w: MeshWorld, task: str, address: str) -> str:
    """Which address a server of the client's sees when a task connects to it."""

    def listen() -> socket.socket:
        sock = socket.socket(family_of(address))
        sock.bind((address, 9000))
        sock.listen()
        return sock

    def connect() -> socket.socket:
        return socket.create_connection((address, 9000), PATIENCE_S)

    with netns.inside(w.client, listen) as server, netns.inside(w.tasks[task].path, connect):
        accepted, sender = server.accept()
        accepted.close()
    shown: str = sender[0]
    return shown


class MeshContract:
    def make(self, ingress: Path, node: Path) -> MeshKernel:
        """The part of a node under test."""
        raise NotImplementedError

    def has_zones(self) -> bool:
        """Whether connections that look alike can be kept apart."""
        return True

    def hashes_alike(self) -> bool:
        """Whether all nodes find the same task for a client."""
        return True

    def has_ipv6(self) -> bool:
        """Whether clients that come by IPv6 are led on."""
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

    def test_clients_that_come_by_ipv6_are_seen_by_their_own_address_as_well(self) -> None:
        if not self.has_ipv6():
            pytest.skip("these rules are of IPv4 alone")
        has_zones = self.has_zones()
        with mesh_world(self.make, a="n1", b="n2", c="n2") as w:
            w.apply()
            for node in w.nodes.values():
                answers = Counter(ask(w.client, node.underlay_v6) for _ in range(6))
                assert answers == {(name, CLIENT_V6): 2 for name in "abc"}
                # Datagrams, and one port of the client's towards all nodes.
                assert ask_by_datagram(w.client, node.underlay_v6)[1] == CLIENT_V6
                if has_zones:
                    assert ask(w.client, node.underlay_v6, source_port=4711)[1] == CLIENT_V6
            entry = w.nodes["n3"]
            assert {ask(entry.path, entry.underlay_v6)[0] for _ in range(3)} == set("abc")

            # A node that is late leads nobody to a task that leaves.
            w.tasks["a"].ready = False
            w.apply("n1")
            names = {ask(w.client, entry.underlay_v6) for _ in range(4)}
            assert names == {("b", CLIENT_V6), ("c", CLIENT_V6)}

            # Some addresses alone; hidden behind the entry; and not at all.
            w.apply(addresses=(entry.underlay_v6,), source=Source.MASQUERADE)
            assert ask(w.client, entry.underlay_v6)[1] == six_of(entry.ingress_address)
            for address in (entry.underlay, w.nodes["n1"].underlay_v6):
                with pytest.raises(OSError):
                    ask(w.client, address)
            for task in w.tasks.values():
                task.ready = False
            w.apply()
            with pytest.raises(OSError):
                ask(w.client, entry.underlay_v6)

    def test_nodes_begin_their_rounds_at_different_tasks_and_go_by_weight(self) -> None:
        with mesh_world(self.make, a="n1", b="n2", c="n2") as w:
            w.apply()
            firsts = {ask(w.client, node.underlay)[0] for node in w.nodes.values()}
            assert len(firsts) > 1
            w.apply(weights={"a": 2})
            for address in self._all_addresses(w):
                names = Counter(ask(w.client, address)[0] for _ in range(8))
                assert names == {"a": 4, "b": 2, "c": 2}

    def test_by_source_hash_a_client_has_one_task_whichever_node_it_comes_in_at(self) -> None:
        with mesh_world(self.make, a="n1", b="n2", c="n2") as w:
            clients = w.more_clients(8)
            w.apply(weights={"a": 2})
            w.apply(weights={"a": 2}, balance=Balance.SOURCE_HASH)
            found = {
                (client, address): {ask(w.client, address, source=client) for _ in range(2)}
                for client in clients
                for address in self._all_addresses(w)
                if family_of(address) is family_of(client)
            }
        assert all(len(answers) == 1 for answers in found.values())
        assert all({seen for _, seen in answers} == {key[0]} for key, answers in found.items())
        pairs = {(client, name) for (client, _), [(name, _)] in found.items()}
        assert len({name for _, name in pairs}) > 1
        if self.hashes_alike():
            assert len(pairs) == len({client for client, _ in pairs})

    def _all_addresses(self, w: MeshWorld) -> list[str]:
        four = [node.underlay for node in w.nodes.values()]
        six = [node.underlay_v6 for node in w.nodes.values()]
        return [*four, *six] if self.has_ipv6() else four

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
                assert ask_by_datagram(w.client, node.underlay) == ("a", CLIENT)

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

    def test_a_connection_that_was_led_on_stays_when_its_entry_hears_of_the_end(self) -> None:
        def listen() -> socket.socket:
            return socket.create_server(("", TARGET))

        def connect() -> socket.socket:
            return socket.create_connection((entry.underlay, PUBLISHED), PATIENCE_S)

        with mesh_world(self.make, a="n1", b="n2") as w, contextlib.ExitStack() as stack:
            w.apply()
            w.tasks["b"].stop()
            server = stack.enter_context(netns.inside(w.tasks["b"].path, listen))
            server.settimeout(PATIENCE_S)
            first, own, entry = w.nodes["n1"], w.tasks["a"], w.nodes["n3"]
            own.ready, own.ended = False, True
            w.apply("n1")
            pairs = []
            for _ in range(2):  # to `b` itself, and to `a`
                client = stack.enter_context(netns.inside(w.client, connect))
                accepted, (seen, _) = server.accept()
                pairs.append((client, stack.enter_context(accepted)))
                assert seen == CLIENT
            addresses = frozenset({own.address})
            first.mesh.forget(Due(gone=addresses, ended=addresses))
            w.apply()
            for client, accepted in pairs:
                client.settimeout(PATIENCE_S)
                accepted.settimeout(PATIENCE_S)
                client.send(b"?")
                assert accepted.recv(1) == b"?"
                accepted.send(b"!")
                assert client.recv(1) == b"!"

    def test_tasks_reach_the_world_by_their_node(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()

            node = w.nodes["n1"]
            world = [(CLIENT, node.underlay)]
            if self.has_ipv6():
                world.append((WORLD_V6, node.underlay_v6))
            for address, shown in world:
                assert seen_by_the_world(w, "a", address) == shown

    def test_what_somebody_took_away_is_put_back(self) -> None:
        with mesh_world(self.make, a="n1") as w:
            w.apply()
            node = w.nodes["n2"]
            for path in (node.path, node.ingress):
                self.spoil(path)
            assert node.mesh.repair() >= 2
            assert ask(w.client, node.underlay) == ("a", CLIENT)
            assert node.mesh.repair() == 0

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
