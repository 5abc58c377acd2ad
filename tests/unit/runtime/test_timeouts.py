"""Timeouts expire in tasks that have been through a cancellation before."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.runtime.timeouts import timeout


async def fail() -> None:
    raise ValueError("a child failed")


async def survive_a_group() -> None:
    """Leave a request to cancel this task behind, as a group with a failed child does."""
    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())


async def test_it_expires() -> None:
    with pytest.raises(TimeoutError):
        async with timeout(0):
            await asyncio.sleep(60)


async def test_it_expires_after_a_group_whose_child_failed() -> None:
    await survive_a_group()
    with pytest.raises(TimeoutError):
        async with timeout(0):
            await asyncio.sleep(60)


async def test_the_outer_of_two_expires_as_well() -> None:
    async def expire_twice() -> None:
        async with timeout(0.02):
            with pytest.raises(TimeoutError):
                async with timeout(0.01):
                    await asyncio.sleep(60)
            await asyncio.sleep(60)

    await survive_a_group()
    with pytest.raises(TimeoutError):
        await expire_twice()


async def test_without_a_delay_it_waits_until_it_is_rescheduled() -> None:
    async def wait() -> None:
        async with scope:
            await asyncio.sleep(0)
            scope.reschedule(asyncio.get_running_loop().time())
            await asyncio.sleep(60)

    scope = timeout(None)
    with pytest.raises(TimeoutError):
        await wait()
    assert scope.expired()


async def test_a_request_to_cancel_the_task_goes_before() -> None:
    async def wait() -> None:
        async with timeout(0):
            await asyncio.sleep(60)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_errors_pass_through() -> None:
    with pytest.raises(ValueError, match="a child failed"):
        async with timeout(60):
            await fail()
