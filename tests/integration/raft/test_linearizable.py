"""Reads, writes, compare-and-set while leaders are killed and stopped: one order explains all."""

import asyncio
import random
import signal
import time
from pathlib import Path

from swarmd.sim.linearizable import Operation, explains
from tests.support.raft_proc_cluster import ProcessCluster

REGISTERS = [f"r{number}" for number in range(6)]


def test_the_checker_finds_a_stale_read() -> None:
    write = Operation("set", ("1",), "1", 0.0, 1.0)
    assert explains([write, Operation("read", (), "1", 2.0, 3.0)])
    assert not explains([write, Operation("read", (), "-", 2.0, 3.0)])
    assert explains([write, Operation("read", (), "-", 0.5, 3.0)])


def test_the_checker_lets_an_unknown_write_happen_late_or_never() -> None:
    lost = Operation("set", ("2",), None, 0.0, None)
    assert explains([lost, Operation("read", (), "-", 5.0, 6.0)])
    assert explains(
        [lost, Operation("read", (), "-", 5.0, 6.0), Operation("read", (), "2", 7.0, 8.0)]
    )
    assert not explains(
        [lost, Operation("read", (), "2", 5.0, 6.0), Operation("read", (), "-", 7.0, 8.0)]
    )


async def test_one_order_explains_every_answer_while_leaders_die(tmp_path: Path) -> None:
    rng = random.Random(7)
    cluster = ProcessCluster(tmp_path, snapshot_entries=100, trailing_entries=20)
    histories: dict[str, list[Operation]] = {name: [] for name in REGISTERS}
    stopping = False

    async def client(number: int) -> None:
        count = 0
        while not stopping:
            count += 1
            name = rng.choice(REGISTERS)
            value = f"{number}.{count}"
            # Reads and writes go to whoever claims to lead, also when that is wrong by now.
            ready = [p for p in cluster.processes.values() if p.running and p.ready]
            if not ready:
                await asyncio.sleep(0.01)
                continue
            process = rng.choice(ready)
            kind = rng.choice(["set", "cas", "read", "read"])
            start = time.monotonic()
            arguments: tuple[str, ...] = ()
            if kind == "read":
                answer = await process.ask("read", name=name)
            elif kind == "set":
                arguments = (value,)
                answer = await process.ask("propose", text=f"set {name} {value}")
            else:
                previous = histories[name][-1].answer if histories[name] else "-"
                arguments = (previous or "-", value)
                answer = await process.ask("propose", text=f"cas {name} {arguments[0]} {value}")
            end = time.monotonic()
            if answer["outcome"] == "ok":
                histories[name].append(Operation(kind, arguments, answer["result"], start, end))
            elif answer["outcome"] == "unknown" and kind != "read":
                histories[name].append(Operation(kind, arguments, None, start, None))
            else:
                await asyncio.sleep(0.005)
            await asyncio.sleep(rng.uniform(0.0, 0.02))

    try:
        await cluster.form()
        async with asyncio.TaskGroup() as clients:
            for number in range(5):
                clients.create_task(client(number))
            for round_ in range(6):
                await asyncio.sleep(rng.uniform(0.2, 0.5))
                leader = await cluster.leader()
                if round_ % 2:
                    leader.signal(signal.SIGSTOP)
                    await asyncio.sleep(1.6)
                    leader.signal(signal.SIGCONT)
                else:
                    await leader.kill()
                    await asyncio.sleep(0.2)
                    await leader.start()
            stopping = True
    finally:
        await cluster.close()
    assert sum(len(history) for history in histories.values()) > 200
    for name, history in histories.items():
        assert explains(history), f"no order explains what was seen of {name}"
