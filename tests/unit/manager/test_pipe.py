"""A pipe holds few items, keeps their order, and ends once."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.manager.pipe import WAITING_MAX, Pipe
from swarmd.model.errors import Code, Rejection


async def test_items_come_in_order_and_then_the_end() -> None:
    pipe: Pipe[int] = Pipe()
    for number in range(3):
        await pipe.put(number)
    pipe.end()
    assert [item async for item in pipe] == [0, 1, 2]


async def test_who_puts_waits_while_nobody_reads() -> None:
    pipe: Pipe[int] = Pipe()
    added: list[int] = []

    async def fill() -> None:
        for number in range(WAITING_MAX + 2):
            await pipe.put(number)
            added.append(number)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fill())
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(added) == WAITING_MAX
        assert await anext(pipe) == 0
        assert await anext(pipe) == 1
    assert len(added) == WAITING_MAX + 2


async def test_the_end_lets_go_whoever_waits() -> None:
    pipe: Pipe[int] = Pipe(1)
    await pipe.put(1)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(pipe.put(2))
        tasks.create_task(pipe.ended())
        await asyncio.sleep(0)
        pipe.end()
    assert [item async for item in pipe] == [1]


async def test_a_reason_follows_the_items_that_are_there() -> None:
    pipe: Pipe[int] = Pipe()
    await pipe.put(1)
    pipe.end(Rejection(Code.ABORTED, "over"))
    pipe.end()
    assert await anext(pipe) == 1
    with pytest.raises(Rejection, match="over"):
        await anext(pipe)
