"""Tasks for balancing tests: servers on loopback that answer with their own name."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from swarmd.lb.core.tables import Backend, PortMapping, PublishedPort, ServiceEndpoints, Tables
from swarmd.model.ids import NodeId, ServiceId, TaskId
from swarmd.model.states import Protocol

TARGET_PORT = 80


class TcpTask:
    """Sends its name, then everything it receives, then the end of the stream."""

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.address = address
        self.port = 0
        self.served = 0
        self.reset = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, self.address, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            # A server of this Python loses connections that are being accepted as it closes.
            for sock in self._server.sockets:
                asyncio.get_running_loop().remove_reader(sock.fileno())
            for _ in range(3):
                await asyncio.sleep(0)
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        try:
            writer.write(self.name.encode() + b"\n")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            self.reset += 1
        finally:
            writer.close()


class UdpTask(asyncio.DatagramProtocol):
    """Answers every datagram with its name and the datagram."""

    def __init__(self, name: str, address: str = "127.0.0.1") -> None:
        self.name = name
        self.address = address
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.address, port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(self.name.encode() + b" " + data, addr)


Task = TcpTask | UdpTask


@asynccontextmanager
async def running(*tasks: Task) -> AsyncIterator[None]:
    """Start the tasks, and stop them afterwards."""
    try:
        for task in tasks:
            await task.start()
        yield
    finally:
        for task in tasks:
            await task.stop()


def service(
    published: int, *tasks: Task, name: str = "web", protocol: Protocol = Protocol.TCP
) -> ServiceEndpoints:
    """A row that publishes a port over these tasks."""
    return ServiceEndpoints(
        service_id=ServiceId(f"service-{name}"),
        service_name=name,
        ports=(PublishedPort(protocol, published, TARGET_PORT),),
        backends=tuple(
            Backend(
                task_id=TaskId(task.name),
                node_id=NodeId("node"),
                address=task.address,
                ports=(PortMapping(protocol, TARGET_PORT, task.port),),
            )
            for task in sorted(tasks, key=lambda task: task.name)
        ),
    )


def table(version: int, *rows: ServiceEndpoints) -> Tables:
    return Tables(version, {row.service_id: row for row in rows})


def free_port(address: str = "127.0.0.1", kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody uses at this moment."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
    return port


async def ask(address: str, port: int, message: bytes = b"") -> tuple[str, bytes]:
    """Connect, send, say that this was all: the answering task's name, and what it sent back."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(message)
        try:
            writer.write_eof()
        except OSError as error:  # a reset that came so soon shows as "not connected"
            raise ConnectionResetError(str(error)) from error
        name = (await reader.readline()).decode().strip()
        return name, await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


class UdpClient:
    """A client with an address of its own, so that it has a session of its own."""

    def __init__(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.connect((address, port))

    def __enter__(self) -> UdpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def ask(self, message: bytes, patience_s: float = 10) -> str:
        """The name of the task that answers. An answer to something else is an error."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, message)
        async with asyncio.timeout(patience_s):
            answer = await loop.sock_recv(self.sock, 65536)
        name, _, echo = answer.partition(b" ")
        assert echo == message
        return name.decode()


async def eventually(condition: object, patience_s: float = 10) -> None:
    """Wait until a function without arguments is true."""
    assert callable(condition)
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)
