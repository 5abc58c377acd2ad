"""Agents of many nodes in one process: they join, stay in session, and run their tasks on paper.

    python -m tests.bench.idle.agents ADDRESS TOKEN COUNT

Says when all have joined and when all are in session, and ends when its input ends. Each agent is
the daemon's own `AgentSession` over a connection of its own with a certificate of its own.
"""

from __future__ import annotations

import asyncio
import random
import sys

from swarmd.agent.remotes import Remote, Remotes
from swarmd.agent.session import AgentSession
from swarmd.ca.credentials import NodeCredentials
from swarmd.model.node import NodeDescription
from swarmd.model.states import Availability
from swarmd.node.enrolment import Enrolment
from swarmd.node.remote_authority import RemoteAuthority
from swarmd.rpc.channel import Channel
from swarmd.rpc.tls import ClientTls
from swarmd.runtime.clock import SystemClock
from tests.support.worker import PaperWorker

JOINING_AT_ONCE = 16


async def enrol(address: str, token: str, count: int) -> list[NodeCredentials]:
    """Credentials of `count` new nodes."""
    at_once = asyncio.Semaphore(JOINING_AT_ONCE)

    async def one() -> NodeCredentials:
        async with at_once:
            enrolment = Enrolment(
                RemoteAuthority(),
                token=token,
                availability=Availability.ACTIVE,
                clock=SystemClock(),
                rng=random.Random(),
            )
            return await enrolment.run([address])

    async with asyncio.TaskGroup() as tasks:
        joining = [tasks.create_task(one()) for _ in range(count)]
    return [task.result() for task in joining]


def session(address: str, credentials: NodeCredentials, worker: PaperWorker) -> AgentSession:
    """An agent like that of a daemon, with a worker that only says that its tasks run."""
    tls = ClientTls(credentials.root_pem, credentials.cert_pem, credentials.key_pem)
    description = NodeDescription(hostname=credentials.node_id)
    return AgentSession(
        node_id=credentials.node_id,
        worker=worker,
        remotes=Remotes([Remote(address)], rng=random.Random(), on_change=lambda _: None),
        dial=lambda addr: Channel(addr, tls),
        describe=lambda: description,
        rng=random.Random(),
        on_message=lambda _: None,
    )


async def until_input_ends() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def main(address: str, token: str, count: int) -> None:
    credentials = await enrol(address, token, count)
    print("joined", flush=True)
    workers = [PaperWorker(obliging=True) for _ in credentials]
    sessions = [
        session(address, given, worker) for given, worker in zip(credentials, workers, strict=True)
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(agent.run()) for agent in sessions]
        for agent in sessions:
            await agent.wait_for_manager()
        print("in session", flush=True)
        await until_input_ends()
        for task in running:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
