"""Background tasks: started again when they crash, over when they are told to stop."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.runtime import supervise
from swarmd.runtime.supervise import Supervisor


async def test_what_crashes_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervise, "FIRST_DELAY_S", 0.0)
    starts = 0
    thrice = asyncio.Event()

    async def crash() -> None:
        nonlocal starts
        starts += 1
        if starts == 3:
            thrice.set()
        raise ValueError("again")

    supervisor = Supervisor("test")
    supervisor.keep(crash, name="crash")
    async with asyncio.timeout(20):
        await thrice.wait()
        await supervisor.stop()


async def test_stopping_waits_for_what_tasks_have_to_put_in_order() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            done.append("in order")

    supervisor = Supervisor("test")
    supervisor.spawn(work(), name="work")
    await asyncio.sleep(0)
    await supervisor.stop()
    await supervisor.stop()
    assert done == ["in order"]


async def test_a_group_that_fails_while_it_is_stopped_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervise, "FIRST_DELAY_S", 3600.0)

    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("could not be put in order")

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail_at_the_end())
            started.set()

    started = asyncio.Event()
    supervisor = Supervisor("test")
    supervisor.keep(run, name="run")
    async with asyncio.timeout(20):
        await started.wait()
        await asyncio.sleep(0)
        await supervisor.stop()
