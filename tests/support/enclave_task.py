"""A process on an overlay of an ordinary user's node, which outlives its daemon: a program.

It plays two daemons, one after the other. Nothing is left of it afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec.structs import replace

from swarmd.agent.describe import node_platform
from swarmd.agent.executors.base import NodeContext
from swarmd.agent.executors.containerd.forwarder import Forwarder
from swarmd.agent.executors.keeper_link import running_keeper
from swarmd.agent.executors.process import ProcessController, ProcessExecutor
from swarmd.agent.executors.process_network import ProcessNetwork
from swarmd.agent.executors.session import Command
from swarmd.lb.proxy import Place, ProxyBalancer
from swarmd.model.spec import ContainerSpec, EndpointSpec, PortConfig, TaskSpec
from swarmd.model.states import PublishMode, TaskState
from swarmd.model.task import Task, TaskStatus
from swarmd.network.dns.server import ADDRESS
from swarmd.runtime import enclave
from swarmd.runtime.chance import system_rng
from swarmd.runtime.clock import SystemClock
from tests.support.enclave_plane import AT, ME, OWN, VIP, WEB, a_task, ask, make_parts, tables
from tests.support.enclave_plane import published as published_ports
from tests.support.network_swarm import LOOK_UP

DONE = "the next daemon had it as the first one"
NODE_PORT = 18_080
SERVE = """
import socket
listener = socket.create_server(("", 80))
while True:
    sock, (host, _) = listener.accept()
    with sock:
        sock.sendall(host.encode())
"""


def web(*, runs: bool) -> Task:
    port = PortConfig(target_port=80, published_port=NODE_PORT, publish_mode=PublishMode.HOST)
    spec = ContainerSpec(command=(sys.executable, "-c", SERVE), stop_grace_period_ns=0)
    task = a_task(WEB, ("front", f"{AT[WEB]}/24"), endpoint_spec=EndpointSpec(ports=(port,)))
    state = TaskState.RUNNING if runs else TaskState.STARTING
    return replace(
        task,
        spec=TaskSpec(container_spec=spec),
        ports=(port,),
        node_id=ME,
        status=TaskStatus(state=state),
    )


@contextlib.asynccontextmanager
async def daemon(directory: Path, *, keep: bool) -> AsyncIterator[ProcessExecutor]:
    """What a daemon has for tasks. Args: keep: whether they outlive it."""
    parts = make_parts(directory / "run")
    plane = parts.plane

    def make_proxy() -> ProxyBalancer:
        place = Place(node_name="here", listen=("127.0.0.1",))
        return ProxyBalancer(
            place=place, clock=SystemClock(), rng=system_rng(), make_socket=parts.make_socket
        )

    node = NodeContext(node_id=ME, hostname="here", platform=node_platform())
    network = ProcessNetwork(directory / "etc", node, plane, Forwarder(ME, make_proxy))
    executor = ProcessExecutor(directory / "worker", node, network=network)
    await plane.apply(published_ports(), tables())
    try:
        yield executor
    finally:
        await parts.close(keep_tasks=keep)
        await executor.close()
        if not keep:
            await plane.remove()


async def look(controller: ProcessController) -> None:
    """Its port of the node leads in, and commands beside it are without rights, but know names."""
    while not (await ask(None, "127.0.0.1", NODE_PORT))[:1].isdigit():
        await asyncio.sleep(0.02)
    said = await run(controller, "grep", "^Cap[EA]", "/proc/self/status")
    assert [int(line.split()[1], 16) for line in said.splitlines()] == [0, 0], said
    assert (await run(controller, sys.executable, "-c", LOOK_UP, "web")).split() == [VIP]
    assert ADDRESS in await run(controller, "cat", "/etc/resolv.conf")


async def run(controller: ProcessController, *words: str) -> str:
    session = await controller.run(Command(argv=words))
    output = b""
    while (chunk := await session.read()) is not None:
        output += chunk.data
    await session.wait()
    await session.close()
    return output.decode()


async def begin(directory: Path) -> None:
    async with daemon(directory, keep=True) as executor:
        await executor.start()
        controller = executor.controller(web(runs=False))
        await controller.prepare()
        await controller.start()
        await look(controller)


async def go_on(directory: Path) -> None:
    async with daemon(directory, keep=False) as executor:
        assert WEB in await executor.start()
        controller = executor.controller(web(runs=True))
        await look(controller)
        await controller.shutdown()
        await controller.remove()


def main(directory: Path) -> None:
    pid = os.fork()
    if pid == 0:
        enclave.enter()
        asyncio.run(begin(directory))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    keeper = running_keeper(directory / "worker" / "run")
    assert keeper
    assert not enclave.shares(keeper)
    enclave.join(keeper)
    assert enclave.shares(keeper)
    asyncio.run(go_on(directory))
    assert not (directory / "run").exists()
    sys.stdout.write(f"{DONE} ({OWN})\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
