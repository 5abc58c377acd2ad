"""An agent that stays with one manager, whoever leads, as stock agents do.

    python -m tests.support.relayed_agent MANAGER TOKEN

It joins, keeps a session and runs nothing. SIGUSR1 makes it send a heartbeat at once. Each line it
prints is a word and a value: `node ID`, `session ID`, `beat NS` with the period that it was told.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from contextlib import aclosing
from typing import Any

from swarmd.agent.conversation import cause_of
from swarmd.ca.credentials import NodeCredentials
from swarmd.model.instant import SECOND
from swarmd.model.states import Availability
from swarmd.node.enrolment import Enrolment
from swarmd.node.remote_authority import RemoteAuthority
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import dispatcher as pb
from swarmd.rpc.tls import ClientTls
from swarmd.runtime.clock import SystemClock

PATIENCE_S = 5.0
AGAIN_S = 0.5


def say(word: str, value: object) -> None:
    print(word, value, flush=True)


class RelayedAgent:
    """In session with the manager at `addr` until cancelled, again and again."""

    def __init__(self, addr: str, credentials: NodeCredentials) -> None:
        self._addr = addr
        self._tls = ClientTls(credentials.root_pem, credentials.cert_pem, credentials.key_pem)
        self._now = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._now.set)

    async def run(self) -> None:
        while True:
            channel = Channel(self._addr, self._tls)
            try:
                await self._session(channel.stub("docker.swarmkit.v1.Dispatcher"))
            except RpcError as error:
                say("lost", error)
            finally:
                await channel.close()
            await asyncio.sleep(AGAIN_S)

    async def _session(self, stub: Any) -> None:
        request = pb.SessionRequest()
        request.description.hostname = "relayed"
        async with aclosing(stub.Session(request)) as news:
            session_id = (await anext(news)).session_id
            say("session", session_id)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._listen(news))
                    tasks.create_task(self._beat(stub, session_id))
            except BaseExceptionGroup as group:
                raise cause_of(group) from group

    async def _listen(self, news: Any) -> None:
        async for _ in news:
            continue

    async def _beat(self, stub: Any, session_id: str) -> None:
        while True:
            self._now.clear()
            answer = await stub.Heartbeat(
                pb.HeartbeatRequest(session_id=session_id), timeout_s=PATIENCE_S
            )
            period_ns = answer.period.seconds * SECOND + answer.period.nanos
            say("beat", period_ns)
            try:
                async with asyncio.timeout(period_ns / SECOND):
                    await self._now.wait()
            except TimeoutError:
                continue


async def main(addr: str, token: str) -> None:
    enrolment = Enrolment(
        RemoteAuthority(),
        token=token,
        availability=Availability.ACTIVE,
        clock=SystemClock(),
        rng=random.Random(),
    )
    credentials = await enrolment.run([addr])
    say("node", credentials.node_id)
    await RelayedAgent(addr, credentials).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
