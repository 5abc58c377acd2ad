"""The engine: what it does when its writes are refused."""

import asyncio
import random

from swarmd.manager.engine import Engine
from swarmd.model.env import Env
from swarmd.model.ids import ServiceId
from swarmd.model.instant import Instant
from swarmd.model.service import Service
from swarmd.model.spec import Replicated, ServiceMode, ServiceSpec
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create
from tests.support.hand_clock import HandClock
from tests.support.manager import a_manager, no_quorum


async def test_what_a_refused_write_was_to_do_is_planned_again() -> None:
    store, writer = a_manager()
    clock = HandClock(1_000)
    ids = RandomIds(random.Random(1))
    engine = Engine(
        store,
        writer,  # type: ignore[arg-type]
        clock=clock,
        env=lambda: Env(Instant(clock.now()), ids, random.Random(1)),
    )
    spec = ServiceSpec(name="web", mode=ServiceMode(replicated=Replicated(replicas=2)))
    writer.write(Create(Service(id=ServiceId("s1"), spec=spec)))
    writer.refusing = no_quorum()
    running = asyncio.ensure_future(engine.run())
    async with asyncio.timeout(10):
        await asyncio.sleep(0)
        assert not store.tasks_of_service(ServiceId("s1"))
        writer.refusing = None
        while len(store.tasks_of_service(ServiceId("s1"))) < 2:
            await asyncio.sleep(0.01)
    assert not running.done()
    running.cancel()
