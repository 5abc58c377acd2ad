"""Asks managers for a write until one is accepted, from a process of its own.

    python -m tests.bench.swarm.probe NAME plain|tls SOCKET...

It says `ready`, waits for a line, asks all managers at once every 20 ms, has a service for every
node created by the first that accepted, and tells when it was accepted (on the monotonic clock), by
which manager, and the service's id. In the process of the simulated nodes it would measure how busy
they are with coming back.
"""

from __future__ import annotations

import asyncio
import sys
import time

from swarmd.model.errors import Code
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from tests.bench.swarm.api import Api, a_spec
from tests.bench.swarm.tls_channel import TlsSocketChannel

PAUSE_S = 0.02
WRITE_TIMEOUT_S = 3.0
EVERYWHERE = "everywhere"
_NOT_YET = (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.FAILED_PRECONDITION, Code.UNKNOWN)


async def first_write(clients: list[Api], name: str) -> int:
    """The number of the client whose manager was first to accept a write."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(number: int) -> None:
        while not accepted.done():
            if await write(clients[number], name) and not accepted.done():
                accepted.set_result(number)
            await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as asking:
        tasks = [asking.create_task(ask(number)) for number in range(len(clients))]
        winner = await accepted
        for task in tasks:
            task.cancel()
    return winner


async def write(client: Api, name: str) -> bool:
    """Create a service without tasks; whether it was accepted."""
    try:
        await client.create(a_spec(name, replicas=0), timeout_s=WRITE_TIMEOUT_S)
    except RpcError as error:
        # A write of unknown outcome that did happen is found when it is repeated.
        if error.code is Code.ALREADY_EXISTS:
            return True
        if error.code not in _NOT_YET:
            raise
        return False
    return True


async def run(name: str, kind: type[Channel], sockets: list[str]) -> None:
    clients = [Api(kind(socket)) for socket in sockets]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    winner = await first_write(clients, name)
    accepted_at = time.monotonic()
    service_id = await clients[winner].create(a_spec(EVERYWHERE, replicas=None))
    print(accepted_at, winner, service_id, flush=True)
    for client in clients:
        await client.close()


if __name__ == "__main__":
    asyncio.run(
        run(sys.argv[1], TlsSocketChannel if sys.argv[2] == "tls" else Channel, sys.argv[3:])
    )
