"""The daemon's own socket: plain and TLS, trusted, and private."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from swarmd.model.errors import Code
from swarmd.rpc import pb
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.methods import SERVICES
from swarmd.rpc.tls import unverified_context
from tests.support.rpc_server import Leading, Manager
from tests.support.rpc_services import CONTROL, HEALTH, TestDispatcher, services

BEAT = SERVICES["docker.swarmkit.v1.Dispatcher"]["Heartbeat"]


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    async with (
        asyncio.timeout(30),
        Manager(services()).running(local=str(tmp_path / "swarmd.sock")) as made,
    ):
        yield made


async def test_our_client_calls_in_plain(manager: Manager, tmp_path: Path) -> None:
    channel = Channel(f"unix:{tmp_path / 'swarmd.sock'}")
    answer = await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest())
    assert answer.status == pb.health.HealthCheckResponse.SERVING
    await channel.close()


async def test_a_stock_client_calls_in_plain(manager: Manager, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'swarmd.sock'}") as channel:
        call = channel.unary_unary(
            BEAT.path, BEAT.request.SerializeToString, BEAT.response.FromString
        )
        answer = await call(pb.dispatcher.HeartbeatRequest())
    assert answer.period.seconds == 5


async def test_a_client_that_comes_with_tls_is_served_too(manager: Manager, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(
        str(tmp_path / "swarmd.sock"), ssl=unverified_context(), server_hostname="x"
    )
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
    greeting = await reader.readexactly(9)
    assert greeting[3] == 4
    writer.close()


async def test_callers_are_trusted_and_known_as_local(manager: Manager, tmp_path: Path) -> None:
    dispatcher = TestDispatcher()
    manager.router.register("docker.swarmkit.v1.Dispatcher", dispatcher)
    channel = Channel(f"unix:{tmp_path / 'swarmd.sock'}")
    stub = channel.stub("docker.swarmkit.v1.Dispatcher")
    await stub.Heartbeat(pb.dispatcher.HeartbeatRequest())
    assert dispatcher.calls[0].peer.local
    assert dispatcher.calls[0].node_id == ""
    await channel.close()


async def test_large_requests_are_for_local_callers(manager: Manager, tmp_path: Path) -> None:
    data = bytes(8 << 20)
    channel = Channel(f"unix:{tmp_path / 'swarmd.sock'}")
    spec = pb.specs.ConfigSpec(data=data)
    answer = await channel.stub(CONTROL).CreateConfig(pb.control.CreateConfigRequest(spec=spec))
    assert answer.config.spec.data == data
    await channel.close()


async def test_only_the_owner_may_open_the_socket(manager: Manager, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "swarmd.sock").stat().st_mode) == 0o600


async def test_a_stale_socket_is_replaced_and_a_live_one_left(tmp_path: Path) -> None:
    path = tmp_path / "swarmd.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with Manager(services()).running(local=str(path)):
        second = Manager(services())
        with pytest.raises(OSError, match="another daemon answers"):
            await second.server.listen_local(str(path))
        await second.server.stop()
        assert path.exists()
    assert not path.exists()


async def test_a_file_that_is_no_socket_is_left(tmp_path: Path) -> None:
    path = tmp_path / "swarmd.sock"
    path.write_text("precious")
    manager = Manager(services())
    with pytest.raises(OSError, match="something else than a socket"):
        await manager.server.listen_local(str(path))
    await manager.server.stop()
    assert path.read_text() == "precious"


async def test_a_follower_passes_local_calls_on_as_its_own(tmp_path: Path) -> None:
    path = tmp_path / "swarmd.sock"
    handlers = services()
    dispatcher = handlers["docker.swarmkit.v1.Dispatcher"]
    assert isinstance(dispatcher, TestDispatcher)
    leader, follower = Manager(handlers), Manager({}, "m2")
    async with asyncio.timeout(30), leader.running(), follower.running(local=str(path)):
        follower.leadership.leader = leader.address
        channel = Channel(f"unix:{path}")
        stub = channel.stub("docker.swarmkit.v1.Dispatcher")
        await stub.Heartbeat(pb.dispatcher.HeartbeatRequest())
        await channel.close()
    peer = dispatcher.calls[0].peer
    assert peer.identity is not None
    assert peer.identity.node_id == "m2"
    assert not peer.forwarded


async def test_a_worker_serves_its_socket_and_says_that_it_is_no_manager(tmp_path: Path) -> None:
    manager = Manager({})
    manager.router.leadership = None
    path = tmp_path / "swarmd.sock"
    await manager.server.listen_local(str(path))
    channel = Channel(f"unix:{path}")
    with pytest.raises(RpcError, match="not a swarm manager") as caught:
        await channel.stub(CONTROL).ListNodes(pb.control.ListNodesRequest())
    assert caught.value.code == Code.FAILED_PRECONDITION
    # Promoted while the socket is in use.
    manager.router.leadership = Leading()
    manager.router.register(HEALTH, services()[HEALTH])
    await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest())
    await channel.close()
    await manager.server.stop()


async def test_a_connection_that_says_nothing_holds_nobody_up(
    manager: Manager, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(tmp_path / "swarmd.sock"))
        channel = Channel(f"unix:{tmp_path / 'swarmd.sock'}")
        await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest())
        await channel.close()


async def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    channel = Channel(f"unix:{tmp_path / 'none.sock'}")
    with pytest.raises(RpcError) as caught:
        await channel.stub(HEALTH).Check(pb.health.HealthCheckRequest())
    assert caught.value.code == Code.UNAVAILABLE
    await channel.close()
