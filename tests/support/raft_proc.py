"""One Raft member as a process of its own, driven over standard input and output.

    python -m tests.support.raft_proc DIRECTORY NODE_ID ADDRESS CERTS [SETTING=VALUE ...]

Lines in and out are JSON. Commands: {"do": "propose", "id", "text"}, {"do": "read", "id"},
{"do": "add", ...member}, {"do": "remove", "raft_id"}, {"do": "transfer"},
{"do": "stop"} and a few more.
Every write is answered with "ok", "no" (certainly not done) or "unknown". Changes of the
leadership are reported as they happen. `Member` below is the other end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from swarmd.raft.config import RaftConfig
from swarmd.raft.errors import OutcomeUnknown, ProposalError
from swarmd.raft.members import Member
from swarmd.raft.node import RaftNode
from swarmd.raft.status import Leadership
from tests.support import certs
from tests.support.raft_cluster import Frozen, Listener

MS = 1_000_000


class RegisterMachine:
    """A map of names to values, and the history of every write, in order.

    Text "set NAME VALUE" writes, "cas NAME OLD NEW" writes if the value is OLD; the answer is
    what the name holds afterwards. Anything else is only remembered.
    """

    def __init__(self) -> None:
        self.log: list[bytes] = []
        self.values: dict[str, str] = {}

    def apply(self, index: int, data: bytes) -> object:
        if data[:1] == b"\0":
            return None  # load that leaves no trace, so that a benchmark's state does not grow
        self.log.append(data)
        words = data.decode(errors="replace").split(" ")
        if words[0] == "set" and len(words) >= 3:
            self.values[words[1]] = words[2]
        elif words[0] == "cas" and len(words) >= 4 and self.values.get(words[1], "-") == words[2]:
            self.values[words[1]] = words[3]
        return self.values.get(words[1], "-") if len(words) > 1 else len(self.log)

    def freeze(self) -> Frozen:
        return Frozen(list(self.log))

    def restore(self, index: int, chunks: Iterable[bytes]) -> None:
        self.log, self.values = [], {}
        for chunk in chunks:
            position = 0
            while position < len(chunk):
                end = position + 4 + int.from_bytes(chunk[position : position + 4], "big")
                self.apply(0, chunk[position + 4 : end])
                position = end


def load_pair(directory: Path, node_id: str) -> certs.NodePair:
    return certs.NodePair(
        *((directory / f"{node_id}.{kind}").read_bytes() for kind in ("crt", "key", "root"))
    )


def store_pair(directory: Path, node_id: str, pair: certs.NodePair) -> None:
    for kind, content in zip(("crt", "key", "root"), pair, strict=True):
        (directory / f"{node_id}.{kind}").write_bytes(content)


class Server:
    """The process's end of the conversation."""

    def __init__(self, directory: Path, address: str, pair: certs.NodePair) -> None:
        settings = dict(arg.split("=") for arg in sys.argv[5:])
        config = msgspec.structs.replace(
            RaftConfig(segment_bytes=1 << 20, reserve_bytes=64 << 10),
            **{name: int(value) for name, value in settings.items()},
        )
        self.machine = RegisterMachine()
        self.listener = Listener(pair)
        self.address = address
        self.node = RaftNode(
            directory,
            self.machine,
            client_ssl=lambda: certs.client_context(pair.root_pem, pair, alpn=("swarmd-raft",)),
            rng=Random(os.urandom(8)),
            config=config,
            address=address,
            on_leadership=self._leadership,
            on_fatal=lambda reason: self.say({"fatal": reason}),
        )

    def say(self, message: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def _leadership(self, leadership: Leadership) -> None:
        leader = leadership.leader.node_id if leadership.leader else None
        self.say({"term": leadership.term, "leader": leader, "ready": leadership.ready})

    async def run(self) -> None:
        host, _, port = self.address.partition(":")
        await self.listener.start(self.node, int(port), host)
        await self.node.start()
        self.say({"started": True})
        reader = asyncio.StreamReader(limit=1 << 24)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.TaskGroup() as tasks:
            while line := await reader.readline():
                command = json.loads(line)
                if command["do"] == "stop":
                    break
                tasks.create_task(self._answer(command))
        self.listener.stop()
        await self.node.stop()

    async def _answer(self, command: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"id": command.get("id")}
        try:
            answer["result"] = await self._do(command)
            answer["outcome"] = "ok"
        except OutcomeUnknown as error:
            answer |= {"outcome": "unknown", "reason": str(error)}
        except ProposalError as error:
            answer |= {"outcome": "no", "reason": str(error)}
        self.say(answer)

    async def _do(self, command: dict[str, Any]) -> object:
        node = self.node
        match command["do"]:
            case "propose":
                return await node.propose(command["text"].encode())
            case "read":
                await node.read_barrier()
                return self.machine.values.get(command["name"], "-")
            case "log":
                return [item.decode() for item in self.machine.log]
            case "status":
                return json.loads(msgspec.json.encode(node.status()))
            case "load":
                return await self._load(command["outstanding"], command["size"], command["seconds"])
            case "cpu":
                return time.process_time()
            case "add":
                member = Member(command["raft_id"], command["node_id"], command["address"])
                return await node.add_member(member)
            case "remove":
                return await node.remove_member(command["raft_id"])
            case "transfer":
                return await node.transfer_leadership()
        raise ValueError(f"unknown command {command['do']}")

    async def _load(self, outstanding: int, size: int, seconds: float) -> dict[str, Any]:
        """Keep so many proposals under way inside this process and time each."""
        loop, node, data = asyncio.get_running_loop(), self.node, bytes(size)
        end, times = loop.time() + seconds, []

        async def client() -> None:
            while (started := loop.time()) < end:
                await node.propose(data)
                times.append(loop.time() - started)

        begun = loop.time()
        async with asyncio.TaskGroup() as clients:
            for _ in range(outstanding):
                clients.create_task(client())
        took = loop.time() - begun
        times.sort()
        return {
            "per_second": len(times) / took,
            "p50_ms": times[len(times) // 2] * 1e3,
            "p99_ms": times[len(times) * 99 // 100] * 1e3,
        }


class Process:
    """A member process as its test sees it."""

    def __init__(self, directory: Path, node_id: str, port: int, certificates: Path) -> None:
        self.directory, self.node_id, self.port = directory, node_id, port
        self.certificates = certificates
        self.host = "127.0.0.1"
        self.settings: dict[str, int] = {}
        self.ready = False
        self.leader: str | None = None
        self.fatal: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._serial = 0
        self._errors = ""

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """What to execute."""
        return [
            sys.executable,
            "-m",
            "tests.support.raft_proc",
            str(self.directory),
            self.node_id,
            f"{self.host}:{self.port}",
            str(self.certificates),
            *(f"{name}={value}" for name, value in self.settings.items()),
        ]

    async def start(self) -> None:
        process = self._process = await asyncio.create_subprocess_exec(
            *self.command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            limit=1 << 26,
        )
        self.ready, self.leader, self.fatal = False, None, None
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.get_running_loop().create_task(self._read(process, started))
        async with asyncio.timeout(30):
            await started

    async def ask(self, do: str, **fields: object) -> dict[str, Any]:
        """The answer to one command; "unknown" when the process died first."""
        self._serial += 1
        serial = self._serial
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        process = self._process
        if process is None or process.stdin is None:
            return {"outcome": "no", "reason": "not running"}
        self._answers[serial] = future
        line = json.dumps({"do": do, "id": serial, **fields}) + "\n"
        with contextlib.suppress(ConnectionError):
            process.stdin.write(line.encode())
            await process.stdin.drain()
        return await future

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reader
        self._process = None

    async def stop(self) -> None:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(b'{"do": "stop"}\n')
            await process.stdin.drain()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await reader
        self._process = None

    async def _read(
        self, process: asyncio.subprocess.Process, started: asyncio.Future[None]
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        while line := await process.stdout.readline():
            message = json.loads(line)
            if "started" in message and not started.done():
                started.set_result(None)
            elif "term" in message:
                self.ready, self.leader = message["ready"], message["leader"]
            elif "fatal" in message:
                self.fatal = message["fatal"]
            else:
                future = self._answers.pop(message["id"], None)
                if future is not None and not future.done():
                    future.set_result(message)
        self._errors = (await process.stderr.read()).decode()
        if not started.done():
            started.set_exception(RuntimeError(f"{self.node_id} did not start: {self._errors}"))
        self.ready, self.leader = False, None
        for future in self._answers.values():
            if not future.done():
                future.set_result({"outcome": "unknown", "reason": "the process died"})
        self._answers.clear()


def iterate_ports(count: int) -> Iterator[int]:
    """Ports that are free right now."""
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    yield from ports


def main() -> None:
    directory, node_id, address, certificates = sys.argv[1:5]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pair = load_pair(Path(certificates), node_id)

    async def run() -> None:
        await Server(Path(directory), address, pair).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
