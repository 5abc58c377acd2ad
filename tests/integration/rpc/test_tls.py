"""Who gets in by the remote port, as what, and for how long."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from swarmd.model.errors import Code
from swarmd.model.instant import Instant
from swarmd.model.states import Role
from swarmd.rpc import pb, sockets
from swarmd.rpc.channel import Channel, fetch_root_ca
from swarmd.rpc.errors import RpcError
from swarmd.rpc.identity import Identity
from swarmd.rpc.metadata import Metadata
from swarmd.rpc.methods import BY_PATH, Method
from swarmd.rpc.server import ServerLimits
from swarmd.rpc.tls import RAFT_ALPN, ClientTls, client_context
from tests.support.certs import OTHER_CLUSTER, NodePair, issue, make_ca, shared_ca, wall_now
from tests.support.rpc_server import Manager, credentials_of, pair_of, tls_of
from tests.support.rpc_services import CA, DISPATCHER, HEALTH, ROOT, services

# Of the node's own socket alone.
LOCAL_SERVICES = {"swarmd.v1.Checkup", "swarmd.v1.Images", "swarmd.v1.Local", "swarmd.v1.Volumes"}
WORKER_SERVICES = {
    "docker.swarmkit.v1.Dispatcher",
    "docker.swarmkit.v1.LogBroker",
    "docker.swarmkit.v1.ResourceAllocator",
    "swarmd.v1.Acknowledgements",
    "swarmd.v1.Endpoints",
    "swarmd.v1.Errands",
    "swarmd.v1.ExecBroker",
    "swarmd.v1.NodeLifecycle",
    "swarmd.v1.WantedImages",
}
OPEN = {"GetRootCACertificate", "IssueNodeCertificate", "NodeCertificateStatus"}

CALLERS: dict[str, NodePair | None] = {
    "no certificate": None,
    "worker": pair_of("w1"),
    "manager": pair_of("m9", Role.MANAGER),
    "another cluster": pair_of("w1", Role.MANAGER, OTHER_CLUSTER),
}


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    async with asyncio.timeout(30), Manager(services()).running() as made:
        yield made


@asynccontextmanager
async def channel_to(manager: Manager, pair: NodePair | None) -> AsyncIterator[Channel]:
    tls = ClientTls(manager.pair.root_pem, server_name="swarm-ca") if pair is None else tls_of(pair)
    channel = Channel(manager.address, tls)
    try:
        yield channel
    finally:
        await channel.close()


async def code_of_calling(channel: Channel, method: Method) -> Code | None:
    try:
        call = await channel.start(method.path, b"", timeout_ns=10_000_000_000)
        await call.receive()
    except RpcError as error:
        return error.code
    else:
        call.cancel()
        return None


@pytest.mark.parametrize("caller", sorted(CALLERS))
async def test_every_method_is_open_to_exactly_those_it_is_for(
    manager: Manager, caller: str
) -> None:
    async with channel_to(manager, CALLERS[caller]) as channel:
        denied = {
            path
            for path, method in BY_PATH.items()
            if await code_of_calling(channel, method) == Code.PERMISSION_DENIED
        }
    expected = set()
    for path, method in BY_PATH.items():
        allowed = {
            "no certificate": method.name in OPEN,
            "worker": method.name in OPEN or method.service in WORKER_SERVICES,
            "manager": method.service not in LOCAL_SERVICES,
            "another cluster": False,
        }[caller]
        if not allowed:
            expected.add(path)
    assert denied == expected


async def test_the_root_is_fetched_without_trusting_anyone(manager: Manager) -> None:
    assert await fetch_root_ca(manager.address) == ROOT


async def test_a_server_with_another_root_is_not_talked_to(manager: Manager) -> None:
    stranger = issue(make_ca(), "w1")
    channel = Channel(manager.address, tls_of(stranger))
    with pytest.raises(RpcError, match="does not have the expected certificate") as caught:
        await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest())
    assert caught.value.code == Code.UNAVAILABLE
    assert caught.value.unprocessed
    await channel.close()


async def test_a_worker_cannot_pose_as_a_manager() -> None:
    imposter = Manager(services())
    imposter.pair = pair_of("w1")
    async with imposter.running():
        channel = Channel(imposter.address, tls_of(pair_of("w2")))
        with pytest.raises(RpcError, match="expected certificate"):
            await channel.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
        await channel.close()


async def test_a_certificate_of_an_unknown_root_is_refused_in_the_handshake(
    manager: Manager,
) -> None:
    stranger = issue(make_ca(), "w1")
    tls = ClientTls(manager.pair.root_pem, stranger.cert_pem, stranger.key_pem)
    channel = Channel(manager.address, tls)
    with pytest.raises(RpcError) as caught:
        await channel.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
    assert caught.value.code == Code.UNAVAILABLE
    await channel.close()


async def test_an_expired_certificate_is_refused_in_the_handshake(manager: Manager) -> None:
    day = 86_400 * 10**9
    old = issue(shared_ca(), "w1", now=Instant(wall_now() - 10 * day), life_ns=day)
    channel = Channel(manager.address, tls_of(old))
    with pytest.raises(RpcError) as caught:
        await channel.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
    assert caught.value.code == Code.UNAVAILABLE
    await channel.close()


async def test_a_worker_that_claims_to_forward_is_refused(manager: Manager) -> None:
    claims = Metadata.of(
        ("forwarded_cert", "true"),
        ("forwarded_cert_cn", "m1"),
        ("forwarded_cert_org", "testcluster0000000000000a"),
        ("forwarded_cert_ou", "swarm-manager"),
    )
    async with channel_to(manager, pair_of("w1")) as channel:
        with pytest.raises(RpcError) as caught:
            await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest(), metadata=claims)
    assert caught.value.code == Code.PERMISSION_DENIED


async def test_a_removed_node_is_refused_on_an_open_connection_and_then_cut(
    manager: Manager,
) -> None:
    async with channel_to(manager, pair_of("w1")) as channel:
        stub = channel.stub(DISPATCHER)
        stream = stub.Session(pb.dispatcher.SessionRequest(session_id="wait"))
        await anext(stream)
        manager.removed.add("w1")
        with pytest.raises(RpcError, match="node w1 was removed") as caught:
            await stub.Heartbeat(pb.dispatcher.HeartbeatRequest())
        assert caught.value.code == Code.PERMISSION_DENIED
        manager.server.close_node("w1")
        with pytest.raises(RpcError) as cut:
            await drain(stream)
        assert cut.value.code == Code.UNAVAILABLE


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def test_closing_one_node_leaves_the_others(manager: Manager) -> None:
    async with channel_to(manager, pair_of("w1")) as one, channel_to(manager, pair_of("w2")) as two:
        for channel in (one, two):
            await channel.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
        kept = two._connection
        manager.server.close_node("w1")
        await two.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
        assert two._connection is kept
        # The channel of the other one notices, and connects again.
        await asyncio.sleep(0.05)
        await one.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())


async def shown_certificate(manager: Manager, root: bytes) -> bytes | None:
    context = client_context(ClientTls(root))
    host, port = sockets.split_address(manager.address)
    _, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname="swarm-manager"
    )
    try:
        der: bytes | None = writer.get_extra_info("ssl_object").getpeercert(True)
        return der
    finally:
        writer.close()


async def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(
    manager: Manager,
) -> None:
    async with channel_to(manager, pair_of("w1")) as channel:
        stub = channel.stub(DISPATCHER)
        await stub.Heartbeat(pb.dispatcher.HeartbeatRequest())
        before = await shown_certificate(manager, manager.pair.root_pem)
        kept = channel._connection
        renewed = issue(shared_ca(), "m1", Role.MANAGER)
        manager.server.replace_credentials(credentials_of(renewed))
        after = await shown_certificate(manager, manager.pair.root_pem)
        assert before != after
        assert after == ssl.PEM_cert_to_DER_cert(renewed.cert_pem.decode())
        await stub.Heartbeat(pb.dispatcher.HeartbeatRequest())
        assert channel._connection is kept


async def test_after_a_change_of_roots_only_the_new_one_is_trusted(manager: Manager) -> None:
    rotated = make_ca()
    ours = issue(rotated, "m1", Role.MANAGER)
    manager.server.replace_credentials(credentials_of(ours))
    worker = issue(rotated, "w1")
    async with channel_to(manager, worker) as channel:
        await channel.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
    old = pair_of("w1")
    tls = ClientTls(ours.root_pem, old.cert_pem, old.key_pem)
    late = Channel(manager.address, tls)
    with pytest.raises(RpcError) as caught:
        await late.stub(DISPATCHER).Heartbeat(pb.dispatcher.HeartbeatRequest())
    assert caught.value.code == Code.UNAVAILABLE
    await late.close()


class Greeting(asyncio.Protocol):
    """Another protocol on the same port: says who is connected, and ends."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def connection_made(self, transport: Any) -> None:
        transport.write(self._identity.node_id.encode())
        transport.close()


@pytest.mark.parametrize(
    ("pair", "answer"),
    [
        (pair_of("m9", Role.MANAGER), b"m9"),
        (pair_of("w1"), b""),
        (pair_of("m9", Role.MANAGER, OTHER_CLUSTER), b""),
        (None, b""),
    ],
    ids=["manager", "worker", "another cluster", "no certificate"],
)
async def test_another_protocol_on_the_port_is_for_managers_only(
    pair: NodePair | None, answer: bytes
) -> None:
    manager = Manager(services())
    manager.server.register_protocol(RAFT_ALPN, Greeting)
    async with manager.running():
        tls = ClientTls(manager.pair.root_pem) if pair is None else tls_of(pair)
        host, port = sockets.split_address(manager.address)
        reader, writer = await asyncio.open_connection(
            host,
            port,
            ssl=client_context(tls, alpn=RAFT_ALPN),
            server_hostname="swarm-manager",
        )
        assert await reader.read() == answer
        writer.close()
        # gRPC goes on next to it.
        assert await fetch_root_ca(manager.address) == ROOT


async def test_a_client_that_speaks_no_common_protocol_is_closed(manager: Manager) -> None:
    context = client_context(tls_of(pair_of("w1")), alpn="http/1.1")
    host, port = sockets.split_address(manager.address)
    reader, writer = await asyncio.open_connection(
        host, port, ssl=context, server_hostname="swarm-manager"
    )
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def test_plain_text_on_the_port_hurts_nobody(manager: Manager) -> None:
    host, port = sockets.split_address(manager.address)
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await reader.read()
    writer.close()
    assert await fetch_root_ca(manager.address) == ROOT


async def test_a_handshake_that_does_not_go_on_is_given_up() -> None:
    limits = ServerLimits(handshake_s=0.1)
    async with asyncio.timeout(30), Manager(services(), server_limits=limits).running() as manager:
        host, port = sockets.split_address(manager.address)
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"\x16\x03\x01")
        assert await reader.read() == b""
        writer.close()


async def test_a_connection_without_certificate_and_without_calls_is_closed() -> None:
    limits = ServerLimits(anonymous_idle_s=0.2)
    root = pb.ca.GetRootCACertificateRequest()
    async with (
        asyncio.timeout(30),
        Manager(services(), server_limits=limits).running() as manager,
        channel_to(manager, None) as stranger,
        channel_to(manager, pair_of("w1")) as worker,
    ):
        await stranger.stub(CA).GetRootCACertificate(root)
        await worker.stub(CA).GetRootCACertificate(root)
        idle, kept = stranger._connection, worker._connection
        assert idle is not None
        assert kept is not None
        while not idle.closed:
            await asyncio.sleep(0.01)
        assert not kept.closed


async def test_connections_without_certificate_are_counted() -> None:
    limits = ServerLimits(anonymous=1)
    async with asyncio.timeout(30), Manager(services(), server_limits=limits).running() as manager:
        root = pb.ca.GetRootCACertificateRequest()
        async with channel_to(manager, None) as first, channel_to(manager, None) as second:
            await first.stub(CA).GetRootCACertificate(root)
            with pytest.raises(RpcError) as caught:
                await second.stub(CA).GetRootCACertificate(root)
            assert caught.value.code == Code.UNAVAILABLE
        # Nodes are not held up, and room is made again.
        async with channel_to(manager, pair_of("w1")) as worker:
            await worker.stub(CA).GetRootCACertificate(root)
        while manager.server._anonymous:
            await asyncio.sleep(0.01)
        assert not manager.server._idle_timers
        assert await fetch_root_ca(manager.address) == ROOT


async def test_nobody_listening_is_unavailable_and_unprocessed() -> None:
    channel = Channel("127.0.0.1:1", tls_of(pair_of("w1")))
    with pytest.raises(RpcError, match=r"cannot connect to 127.0.0.1:1") as caught:
        await channel.stub(CA).GetRootCACertificate(pb.ca.GetRootCACertificateRequest())
    assert caught.value.unprocessed
    await channel.close()


async def test_a_listener_that_never_answers_is_given_up_in_time() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        given_up.set()

    given_up = asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = Channel(f"127.0.0.1:{port}", tls_of(pair_of("w1")), connect_timeout_s=0.2)
    with pytest.raises(RpcError, match=r"did not answer within 0.2 s"):
        await channel.stub(CA).GetRootCACertificate(pb.ca.GetRootCACertificateRequest())
    await channel.close()
    await given_up.wait()
    server.close()
    await server.wait_closed()


def test_keys_do_not_show_in_logs() -> None:
    pair = pair_of("w1")
    for shown in (repr(tls_of(pair)), repr(credentials_of(pair))):
        assert "PRIVATE" not in shown
