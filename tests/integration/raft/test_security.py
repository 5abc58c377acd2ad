"""Who may speak raft: only managers of this cluster, as themselves, in frames of sane size."""

import asyncio
import ssl
from pathlib import Path

import pytest

from swarmd.model.states import Role
from swarmd.raft import messages as m
from swarmd.raft.members import Member
from tests.support import certs
from tests.support.raft_cluster import Cluster


class Caller:
    """A raw connection to a member's port."""

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        self.port = cluster.listeners[node_id].port
        self.root = cluster.pair(node_id).root_pem
        self.receiver = cluster.nodes[node_id].raft_id

    async def __call__(
        self, pair: certs.NodePair | None, *frames: bytes
    ) -> m.ControlMessage | None:
        """The first answer to `frames`, or None when the connection just ends."""
        context = certs.client_context(self.root, pair, alpn=("swarmd-raft",))
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname="swarm-manager"
            )
        except (ssl.SSLError, ConnectionError):
            return None
        try:
            for frame in frames:
                writer.write(frame)
            async with asyncio.timeout(5):
                length = int.from_bytes(await reader.readexactly(4), "big")
                return m.decode_control(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        finally:
            writer.transport.abort()

    def hello(self, sender: Member, **changes: object) -> bytes:
        fields = {"version": 1, "receiver": self.receiver, "purpose": m.PEER, **changes}
        return m.encode_frame(m.Hello(sender=sender, **fields))  # type: ignore[arg-type]


@pytest.fixture
async def cluster(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Cluster(tmp_path)
    await made.found("a")
    await made.join("b")
    yield made
    assert made.fatal == {}
    leader = await made.leader()
    await leader.propose(b"still fine")
    await made.close()


STRANGER = Member("x.0", "x", "127.0.0.1:1")


async def test_a_manager_of_this_cluster_is_welcome(cluster: Cluster) -> None:
    call = Caller(cluster, "a")
    pair = certs.issue(cluster.ca, "x", Role.MANAGER)
    assert await call(pair, call.hello(STRANGER)) == m.Welcome()


async def test_a_worker_is_refused(cluster: Cluster) -> None:
    call = Caller(cluster, "a")
    answer = await call(certs.issue(cluster.ca, "x", Role.WORKER), call.hello(STRANGER))
    assert isinstance(answer, m.Goodbye)
    assert "not a manager" in answer.text


async def test_nobody_speaks_without_a_certificate(cluster: Cluster) -> None:
    call = Caller(cluster, "a")
    assert await call(None, call.hello(STRANGER)) is None


async def test_a_manager_of_another_root_is_refused(cluster: Cluster) -> None:
    call = Caller(cluster, "a")
    other = certs.issue(certs.make_ca(), "b", Role.MANAGER)
    assert await call(other, call.hello(Member("b.0", "b", "127.0.0.1:1"))) is None


async def test_a_manager_cannot_pass_for_another_node(cluster: Cluster) -> None:
    call = Caller(cluster, "a")
    answer = await call(
        certs.issue(cluster.ca, "x", Role.MANAGER),
        call.hello(Member("b.0", "b", "127.0.0.1:1")),
    )
    assert isinstance(answer, m.Goodbye)
    assert "claims to be" in answer.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"receiver": "z.9"}, "does not live here", id="another receiver"),
        pytest.param({"version": 99}, "is not spoken", id="another version"),
        pytest.param({"purpose": "nothing"}, "for peers or for snapshots", id="another purpose"),
    ],
)
async def test_a_hello_for_something_else_is_refused(
    cluster: Cluster, changes: dict[str, object], words: str
) -> None:
    call = Caller(cluster, "a")
    pair = certs.issue(cluster.ca, "x", Role.MANAGER)
    answer = await call(pair, call.hello(STRANGER, **changes))
    assert isinstance(answer, m.Goodbye)
    assert words in answer.text


async def test_a_removed_node_is_refused_under_any_id(cluster: Cluster) -> None:
    leader = await cluster.leader()
    await cluster.join("c")
    await leader.remove_member("c.0")
    call = Caller(cluster, next(i for i, n in cluster.nodes.items() if n is leader))
    pair = cluster.pair("c")
    answer = await call(pair, call.hello(Member("c.0", "c", "127.0.0.1:1")))
    assert isinstance(answer, m.Goodbye)
    assert answer.code == m.REMOVED
    answer = await call(pair, call.hello(Member("c.7", "c", "127.0.0.1:1")))
    assert isinstance(answer, m.Goodbye)
    assert answer.code == m.REFUSED


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\xff\xff\xff\xff", id="oversized"),
        pytest.param(b"\x00\x00\x00\x04abcd", id="garbage"),
        pytest.param(m.encode_frame(m.Vote(1_000_000, 1_000_000, 1_000_000)), id="no hello"),
        pytest.param(m.encode_frame(m.Welcome()), id="wrong kind"),
        pytest.param(b"\x00\x00\x00\x05\x80\x04\x95.\x00", id="a pickle"),
    ],
)
async def test_what_is_no_hello_ends_the_connection(cluster: Cluster, frame: bytes) -> None:
    call = Caller(cluster, "a")
    assert await call(certs.issue(cluster.ca, "x", Role.MANAGER), frame) is None


async def test_garbage_after_the_hello_ends_the_connection_and_nothing_else(
    cluster: Cluster,
) -> None:
    call = Caller(cluster, "a")
    pair = certs.issue(cluster.ca, "x", Role.MANAGER)
    term = cluster.nodes["a"].term
    assert await call(pair, call.hello(STRANGER), b"\x00\x00\x00\x03\x01\x02\x03") == m.Welcome()
    assert cluster.nodes["a"].term == term


async def test_a_stranger_cannot_depose_a_live_leader_by_asking(cluster: Cluster) -> None:
    leader = await cluster.leader()
    call = Caller(cluster, next(i for i, n in cluster.nodes.items() if n is leader))
    pair = certs.issue(cluster.ca, "x", Role.MANAGER)
    term = leader.term
    questions = [m.encode_frame(m.PreVote(term + 1, 10**6, 10**6)) for _ in range(20)]
    assert await call(pair, call.hello(STRANGER), *questions) == m.Welcome()
    await leader.propose(b"x")
    assert leader.term == term
