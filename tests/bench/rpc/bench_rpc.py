"""CPU per call of our server and client against grpc.aio, with mutual TLS on loopback.

    python tests/bench/rpc/bench_rpc.py [seconds per measurement]

The server is a process of its own, and so is the load. Rounds of both servers alternate; the
medians are printed with their ratio. CPU time stays comparable when the machine is busy; calls per
second do not.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable
from multiprocessing.connection import Connection
from typing import Any

import grpc

from swarmd.rpc import pb
from swarmd.rpc.channel import Channel
from swarmd.rpc.methods import SERVICES
from tests.support.certs import NodePair
from tests.support.grpc_channel import StockChannel
from tests.support.rpc_server import MANAGER_NODE, Manager, Role, pair_of, tls_of

DISPATCHER = "docker.swarmkit.v1.Dispatcher"
CONNECTIONS = 16
# As an idle manager has them: every agent sends a heartbeat each 1.5 s, one at a time.
AGENTS = 250
HEARTBEAT_S = 1.5
IN_FLIGHT = 8
ROUNDS = 3
STREAM_MESSAGES = 200
TASKS_PER_MESSAGE = 10


def an_assignment() -> Any:
    """A message of ten tasks, as one node gets them when a service is created."""
    changes = [
        pb.dispatcher.AssignmentChange(
            assignment=pb.dispatcher.Assignment(
                task=pb.objects.Task(
                    id=f"task{number:021d}",
                    service_id="s" * 25,
                    node_id="n" * 25,
                    slot=number,
                    spec=pb.specs.TaskSpec(
                        container=pb.specs.ContainerSpec(image="web:1", command=["serve", "--port"])
                    ),
                )
            )
        )
        for number in range(TASKS_PER_MESSAGE)
    ]
    return pb.dispatcher.AssignmentsMessage(changes=changes, results_in="1")


class Plain:
    """Handlers over our server."""

    def __init__(self) -> None:
        self._message = an_assignment()

    def Heartbeat(self, call: Any, request: Any) -> Any:
        answer = pb.dispatcher.HeartbeatResponse()
        answer.period.seconds = 5
        return answer

    async def UpdateTaskStatus(self, call: Any, request: Any) -> Any:
        return pb.dispatcher.UpdateTaskStatusResponse()

    async def Assignments(self, call: Any, request: Any) -> AsyncIterator[Any]:
        for _ in range(STREAM_MESSAGES):
            yield self._message


class Stock:
    """The same handlers over grpc.aio."""

    def __init__(self) -> None:
        self._plain = Plain()

    async def Heartbeat(self, request: Any, context: Any) -> Any:
        return self._plain.Heartbeat(None, request)

    async def UpdateTaskStatus(self, request: Any, context: Any) -> Any:
        return await self._plain.UpdateTaskStatus(None, request)

    async def Assignments(self, request: Any, context: Any) -> AsyncIterator[Any]:
        async for message in self._plain.Assignments(None, request):
            yield message


async def serve_ours(control: Connection) -> None:
    async with Manager({DISPATCHER: Plain()}).running() as manager:
        await attend(control, manager.address)


async def serve_stock(control: Connection) -> None:
    handlers = Stock()
    table = {}
    for name, kind in (
        ("Heartbeat", grpc.unary_unary_rpc_method_handler),
        ("UpdateTaskStatus", grpc.unary_unary_rpc_method_handler),
        ("Assignments", grpc.unary_stream_rpc_method_handler),
    ):
        method = SERVICES[DISPATCHER][name]
        table[name] = kind(
            getattr(handlers, name),
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(DISPATCHER, table),))
    pair = pair_of(MANAGER_NODE, Role.MANAGER)
    credentials = grpc.ssl_server_credentials(
        [(pair.key_pem, pair.cert_pem)], pair.root_pem, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    await attend(control, f"127.0.0.1:{port}")
    await server.stop(0)


async def attend(control: Connection, address: str) -> None:
    """Say where we are; then answer every question with the CPU time used, until "stop"."""
    control.send(address)
    loop = asyncio.get_running_loop()
    while True:
        question = await loop.run_in_executor(None, control.recv)
        if question == "stop":
            return
        control.send(cpu_s())


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_server(kind: str, pairs: dict[str, Any], control: Connection) -> None:
    install(pairs)
    asyncio.run(serve_ours(control) if kind == "ours" else serve_stock(control))


def install(pairs: dict[str, Any]) -> None:
    """Use certificates of the parent, so that all processes have the same root."""
    import tests.support.rpc_server as support

    def given(node_id: str, role: Role = Role.WORKER, cluster_id: str = "") -> NodePair:
        return NodePair(*pairs[node_id])

    support.pair_of = given  # type: ignore[assignment]
    globals()["pair_of"] = given


class Load:
    """Calls from one process over some connections."""

    def __init__(
        self, address: str, make: Callable[[str, NodePair], Any], connections: int = CONNECTIONS
    ) -> None:
        self._channels = [make(address, pair_of("w1")) for _ in range(connections)]
        self.stubs = [channel.stub(DISPATCHER) for channel in self._channels]

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def unary(self, name: str, seconds: float) -> int:
        """How many calls were answered in this time."""
        request: Any = pb.dispatcher.HeartbeatRequest(session_id="s" * 25)
        if name == "UpdateTaskStatus":
            request = pb.dispatcher.UpdateTaskStatusRequest(session_id="s" * 25)
        end = time.monotonic() + seconds
        done = 0

        async def caller(stub: Any) -> None:
            nonlocal done
            method = getattr(stub, name)
            while time.monotonic() < end:
                await method(request)
                done += 1

        async with asyncio.TaskGroup() as tasks:
            for stub in self.stubs:
                for _ in range(IN_FLIGHT):
                    tasks.create_task(caller(stub))
        return done

    async def stream(self, seconds: float) -> int:
        """How many messages of streams arrived in this time."""
        end = time.monotonic() + seconds
        done = 0

        async def reader(stub: Any) -> None:
            nonlocal done
            while time.monotonic() < end:
                async for _ in stub.Assignments(pb.dispatcher.AssignmentsRequest()):
                    done += 1

        async with asyncio.TaskGroup() as tasks:
            for stub in self.stubs:
                tasks.create_task(reader(stub))
        return done

    async def paced(self, seconds: float) -> int:
        """Heartbeats as agents send them; how many were sent."""
        request = pb.dispatcher.HeartbeatRequest(session_id="s" * 25)
        end = time.monotonic() + seconds
        done = 0

        async def agent(number: int, stub: Any) -> None:
            nonlocal done
            await asyncio.sleep(HEARTBEAT_S * number / len(self.stubs))
            while time.monotonic() < end:
                await stub.Heartbeat(request)
                done += 1
                await asyncio.sleep(HEARTBEAT_S)

        async with asyncio.TaskGroup() as tasks:
            for number, stub in enumerate(self.stubs):
                tasks.create_task(agent(number, stub))
        return done

    async def alone_us(self, seconds: float) -> float:
        """Median time of a call when there is no other."""
        request = pb.dispatcher.HeartbeatRequest(session_id="s" * 25)
        stub = self.stubs[0]
        times = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            await stub.Heartbeat(request)
            times.append(time.perf_counter() - begun)
        return statistics.median(times) * 1e6


def ours_client(address: str, pair: NodePair) -> Channel:
    return Channel(address, tls_of(pair))


CLIENTS: dict[str, Callable[[str, NodePair], Any]] = {"ours": ours_client, "grpcio": StockChannel}


async def measure(
    address: str, ask_cpu: Callable[[], float], client: str, seconds: float
) -> dict[str, float]:
    load = Load(address, CLIENTS[client])
    figures: dict[str, float] = {}
    try:
        await load.unary("Heartbeat", 0.3)
        for label, run in (
            ("plain call", lambda: load.unary("Heartbeat", seconds)),
            ("async call", lambda: load.unary("UpdateTaskStatus", seconds)),
            ("stream message", lambda: load.stream(seconds)),
        ):
            before, own_before, begun = ask_cpu(), cpu_s(), time.monotonic()
            count = await run()
            figures[f"{label}, server us"] = (ask_cpu() - before) / count * 1e6
            figures[f"{label}, client us"] = (cpu_s() - own_before) / count * 1e6
            figures[f"{label}, per s"] = count / (time.monotonic() - begun)
        figures["alone, us"] = await load.alone_us(seconds)
    finally:
        await load.close()
    agents = Load(address, CLIENTS[client], AGENTS)
    try:
        await agents.paced(HEARTBEAT_S)
        before = ask_cpu()
        count = await agents.paced(3 * HEARTBEAT_S)
        figures["paced heartbeat, server us"] = (ask_cpu() - before) / count * 1e6
    finally:
        await agents.close()
    return figures


def round_of(server: str, client: str, pairs: dict[str, Any], seconds: float) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    control, remote = context.Pipe()
    process = context.Process(target=run_server, args=(server, pairs, remote))
    process.start()
    try:
        address = control.recv()

        def ask_cpu() -> float:
            control.send("cpu")
            used: float = control.recv()
            return used

        return asyncio.run(measure(address, ask_cpu, client, seconds))
    finally:
        control.send("stop")
        process.join()


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    pairs = {
        node: tuple(pair_of(node, role))
        for node, role in ((MANAGER_NODE, Role.MANAGER), ("w1", Role.WORKER))
    }
    combinations = (("ours", "ours"), ("ours", "grpcio"), ("grpcio", "ours"), ("grpcio", "grpcio"))
    rounds: dict[tuple[str, str], list[dict[str, float]]] = {c: [] for c in combinations}
    for _ in range(ROUNDS):
        for server, client in combinations:
            rounds[server, client].append(round_of(server, client, pairs, seconds))
    medians = {
        f"server {server}, client {client}": {
            label: round(statistics.median(figures[label] for figures in results), 1)
            for label in results[0]
        }
        for (server, client), results in rounds.items()
    }
    print(json.dumps(medians, indent=2))
    ours, stock = medians["server ours, client ours"], medians["server grpcio, client ours"]
    for label in ("plain call", "async call", "stream message", "paced heartbeat"):
        key = f"{label}, server us"
        ratio = stock[key] / ours[key]
        print(f"{label}: server {ours[key]} us against {stock[key]} us, {ratio:.1f} x")


if __name__ == "__main__":
    main()
