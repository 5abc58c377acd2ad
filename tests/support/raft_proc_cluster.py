"""Three member processes with certificates, and clients that keep book of what was promised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from swarmd.model.states import Role
from swarmd.raft import founding as raft
from swarmd.raft.members import Member
from tests.support import certs
from tests.support.raft_proc import Process, iterate_ports, store_pair


class ProcessCluster:
    """Members a, b, c … as processes. `acked` and `refused` are the client's books."""

    def __init__(self, directory: Path, size: int = 3, **settings: int) -> None:
        self.directory, self.settings = directory, settings
        self.certificates = directory / "certificates"
        self.certificates.mkdir(parents=True)
        names = [chr(ord("a") + number) for number in range(size)]
        ca = certs.shared_ca()
        self.processes: dict[str, Process] = {}
        for name, port in zip(names, iterate_ports(size), strict=True):
            store_pair(self.certificates, name, certs.issue(ca, name, Role.MANAGER))
            process = Process(directory / name, name, port, self.certificates)
            process.settings = settings
            self.processes[name] = process
        self.acked: list[str] = []
        self.refused: list[str] = []
        self.unknown = 0

    def member(self, name: str, generation: int = 0) -> Member:
        return Member(f"{name}.{generation}", name, f"127.0.0.1:{self.processes[name].port}")

    async def form(self) -> None:
        names = list(self.processes)
        raft.bootstrap(self.directory / names[0], self.member(names[0]))
        await self.processes[names[0]].start()
        for name in names[1:]:
            raft.prepare_join(self.directory / name, self.member(name))
            await self.processes[name].start()
            leader = await self.leader()
            member = self.member(name)
            answer = await leader.ask(
                "add", raft_id=member.raft_id, node_id=name, address=member.address
            )
            assert answer["outcome"] == "ok", answer

    async def leader(self, seconds: float = 30.0) -> Process:
        async with asyncio.timeout(seconds):
            while True:
                for process in self.processes.values():
                    if process.running and process.ready:
                        return process
                await asyncio.sleep(0.002)

    async def write(self, text: str) -> bool:
        """Write until somebody takes it or may have taken it; keeps book of which."""
        while True:
            leader = await self.leader()
            answer = await leader.ask("propose", text=text)
            if answer["outcome"] == "ok":
                self.acked.append(text)
                return True
            if answer["outcome"] == "unknown":
                self.unknown += 1
                return False
            await asyncio.sleep(0.005)

    async def load(self, name: str, stop: Callable[[], bool]) -> None:
        """One client writing one thing after the other."""
        number = 0
        while not stop():
            await self.write(f"{name}-{number}")
            number += 1

    async def logs(self) -> dict[str, list[str]]:
        """Every member's log once all of them have applied the same."""
        async with asyncio.timeout(30):
            await self.write("the end")
            while True:
                answers = {n: await p.ask("log") for n, p in self.processes.items() if p.running}
                logs = {n: a["result"] for n, a in answers.items() if a["outcome"] == "ok"}
                if len({len(log) for log in logs.values()}) == 1 and len(logs) == len(answers):
                    return logs
                await asyncio.sleep(0.05)

    async def check(self) -> None:
        """Nothing acknowledged is missing, nothing is there twice, all members agree."""
        logs = list((await self.logs()).values())
        assert all(log == logs[0] for log in logs)
        seen = set(logs[0])
        assert len(seen) == len(logs[0]), "an entry was applied twice"
        lost = [text for text in self.acked if text not in seen]
        assert lost == [], f"{len(lost)} of {len(self.acked)} acknowledged writes are lost"

    async def close(self) -> None:
        for process in self.processes.values():
            if process.running:
                await process.kill()
