"""Commands beside tasks on the leader: a client's call tied to a call of the task's node."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from swarmd.manager.exec_broker import ExecBroker
from swarmd.manager.pipe import Pipe
from swarmd.model.errors import Code, Rejection
from swarmd.model.states import TaskState
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.identity import MANAGER, WORKER, Identity
from swarmd.rpc.pb import exec_ as pb
from swarmd.runtime.chance import RandomIds
from swarmd.store.changes import Create, Update
from tests.support.manager import LEADER, a_manager, a_task, no_quorum


def call_of(node: str, role: str = WORKER) -> Call:
    return Call(Peer(identity=Identity(node, "c1", (role,))), "a method")


class Scene:
    """A leader with one running task on n1."""

    def __init__(self) -> None:
        self.store, self.writer = a_manager("n1", "n2")
        self.writer.write(
            Create(a_task("t1", node="n1", state=TaskState.RUNNING)),
            Create(a_task("t2", node="n2", state=TaskState.COMPLETE)),
        )
        self.broker = ExecBroker(
            self.store,
            self.writer,
            ids=RandomIds(random.Random(1)),
            own_node_id=LEADER,
        )
        self.typed: Pipe[Any] = Pipe(100)
        self.printed: list[Any] = []

    async def run(self, task: str = "t1", *argv: str, caller: Call | None = None) -> list[Any]:
        """The client's call, to its end."""
        await self.typed.put(
            pb.ExecInput(
                start=pb.ExecStart(task_id=task, command=pb.ExecCommand(argv=argv or ("ls",)))
            )
        )
        async for output in self.broker.Run(caller or call_of("m1", MANAGER), self.typed):
            self.printed.append(output)
        return self.printed

    def listen(self, node: str = "n1") -> AsyncIterator[Any]:
        return self.broker.Listen(call_of(node), pb.ExecListenRequest())

    def serve(self, said: Pipe[Any], node: str = "n1") -> AsyncIterator[Any]:
        return self.broker.Serve(call_of(node), said)


async def first(stream: AsyncIterator[Any]) -> Any:
    return await anext(stream)


async def refusal_of(work: Any) -> Rejection:
    with pytest.raises(Rejection) as caught:
        await work
    return caught.value


async def test_everything_passes_both_ways_and_the_exit_code_ends_it() -> None:
    scene = Scene()
    heard: list[Any] = []

    async def node() -> None:
        order = await anext(scene.listen())
        assert (order.task_id, order.command.argv, order.caller) == ("t1", ["sh"], "m1")
        said: Pipe[Any] = Pipe()
        await said.put(pb.ExecOutput(session_id=order.session_id))
        await said.put(pb.ExecOutput(stdout=b"hello"))
        async for message in scene.serve(said):
            heard.append(message)
            await said.put(pb.ExecOutput(stderr=b"thanks"))
            await said.put(pb.ExecOutput(exit_code=4))
            said.end()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(node())
        await asyncio.sleep(0)
        running = tasks.create_task(scene.run("t1", "sh"))
        await asyncio.sleep(0)
        await scene.typed.put(pb.ExecInput(data=b"typed"))
    assert running.result() == [
        pb.ExecOutput(stdout=b"hello"),
        pb.ExecOutput(stderr=b"thanks"),
        pb.ExecOutput(exit_code=4),
    ]
    assert heard == [pb.ExecInput(data=b"typed")]


async def test_each_command_is_an_event_of_its_task_before_it_runs() -> None:
    scene = Scene()
    await refusal_of(scene.run("t1", "rm", "-r", "a b"))
    (action,) = scene.writer.entries[-1].actions
    assert isinstance(action, Update)
    assert action.reason == "command run beside it from node m1: rm -r 'a b'"


async def test_without_the_event_nothing_is_run() -> None:
    scene = Scene()
    scene.writer.refusing = no_quorum()
    orders = scene.listen()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        order = tasks.create_task(first(orders))
        await asyncio.sleep(0)
        assert (await refusal_of(scene.run())).code is Code.UNAVAILABLE
        assert not order.done()
        order.cancel()


@pytest.mark.parametrize(
    ("task", "argv", "code", "reason"),
    [
        ("ghost", ("ls",), Code.NOT_FOUND, "task ghost not found"),
        ("t2", ("ls",), Code.FAILED_PRECONDITION, "task t2 is complete"),
        ("t1", ("",), Code.INVALID_ARGUMENT, "no command"),
        ("t1", ("ls",), Code.UNAVAILABLE, "node n1 is not connected"),
    ],
)
async def test_what_cannot_be_run_is_refused(
    task: str, argv: tuple[str, ...], code: Code, reason: str
) -> None:
    refusal = await refusal_of(Scene().run(task, *argv))
    assert refusal.code is code
    assert reason in refusal.message


async def test_a_node_serves_its_own_sessions_only_and_each_once() -> None:
    scene = Scene()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first(scene.listen()))
        await asyncio.sleep(0)
        running = tasks.create_task(scene.run())
        order = await waiting

        async def claim(node: str) -> Any:
            said: Pipe[Any] = Pipe()
            await said.put(pb.ExecOutput(session_id=order.session_id))
            return await anext(scene.serve(said, node))

        assert (await refusal_of(claim("n2"))).code is Code.NOT_FOUND
        served = tasks.create_task(claim("n1"))
        await asyncio.sleep(0.01)
        assert (await refusal_of(claim("n1"))).code is Code.NOT_FOUND
        served.cancel()
        running.cancel()


async def test_a_node_that_is_lost_ends_the_clients_call() -> None:
    scene = Scene()

    async def node() -> None:
        order = await anext(scene.listen())
        said: Pipe[Any] = Pipe()
        await said.put(pb.ExecOutput(session_id=order.session_id))
        said.end()
        async for _ in scene.serve(said):
            pass

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(node())
        await asyncio.sleep(0)
        refusal = await refusal_of(scene.run())
    assert refusal.code is Code.UNAVAILABLE
    assert "node n1 was lost" in refusal.message


async def test_a_client_that_is_lost_ends_the_nodes_call() -> None:
    scene = Scene()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first(scene.listen()))
        await asyncio.sleep(0)
        running = tasks.create_task(scene.run())
        order = await waiting
        said: Pipe[Any] = Pipe()
        await said.put(pb.ExecOutput(session_id=order.session_id))
        served = tasks.create_task(_all(scene.serve(said)))
        await asyncio.sleep(0.01)
        assert not served.done()
        running.cancel()
    assert served.result() == []


async def test_a_new_leader_ends_all_sessions_with_the_reason() -> None:
    scene = Scene()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first(scene.listen()))
        await asyncio.sleep(0)
        running = tasks.create_task(refusal_of(scene.run()))
        order = await waiting
        said: Pipe[Any] = Pipe()
        await said.put(pb.ExecOutput(session_id=order.session_id))
        served = tasks.create_task(refusal_of(_all(scene.serve(said))))
        await asyncio.sleep(0.01)
        scene.broker.stop()
    assert running.result().code is Code.ABORTED
    assert served.result().code is Code.ABORTED


async def _all(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]
