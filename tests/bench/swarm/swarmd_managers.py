"""swarmd as the managers under load, and as a worker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

from demo.machines import Machine, Machines, stop
from demo.power import kill, running
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import local

PROFILE_ENV = "SWARMD_BENCH_PROFILE"  # a directory for profiles of the managers
START_S = 20.0
CALL_S = 30.0


class SwarmdManagers:
    """Implements `managers.Managers`."""

    title = "swarmd"

    def __init__(self, machines: Machines, names: list[str]) -> None:
        self.pids: dict[str, int] = {}
        self._machines = machines
        self._names = names
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    async def start(self) -> None:
        first = self._names[0]
        await self._start_daemon(first)
        listen, advertise = self._own(first)
        request = local.InitRequest(
            listen_addr=listen, advertise_addr=advertise, availability=local.AVAILABILITY_DRAIN
        )
        answer = await self._local(first, "Init", request)
        for name in self._names[1:]:
            await self.join(name, answer.manager_token, drained=True)

    async def join(self, name: str, token: str, *, drained: bool = False) -> None:
        """Start a daemon on another machine and have it join."""
        await self._start_daemon(name)
        listen, advertise = self._own(name)
        request = local.JoinRequest(
            listen_addr=listen,
            advertise_addr=advertise,
            remote_addrs=[self.address(self._names[0])],
            token=token,
            availability=local.AVAILABILITY_DRAIN if drained else local.AVAILABILITY_ACTIVE,
        )
        await self._local(name, "Join", request)

    async def leave(self, name: str) -> None:
        """Have a node leave the swarm, its tasks stopped."""
        await self._local(name, "Leave", local.LeaveRequest())

    async def node_id(self, name: str) -> str:
        info = await self._local(name, "Info", local.InfoRequest())
        return str(info.node_id)

    def address(self, name: str) -> str:
        return f"{self._machine(name).address}:2377"

    def control(self, name: str) -> Channel:
        return Channel(f"unix:{self._machine(name).socket}")

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        del self.pids[name]

    def given_up(self) -> int | None:
        """Of all managers, by what they have logged."""
        return sum(
            (self._machine(name).directory / "daemon.log").read_text().count("node.down ")
            for name in self._names
        )

    async def stop(self) -> None:
        for name, process in self._processes.items():
            for pid in running(self._machine(name).state_dir):
                kill(pid)
            await asyncio.to_thread(stop, process)
        self._processes.clear()

    def _machine(self, name: str) -> Machine:
        return self._machines.by_name[name]

    def _own(self, name: str) -> tuple[str, str]:
        """Where a daemon listens, and what it tells others; all addresses where it is alone."""
        address = self._machine(name).address
        return ("" if self._machines.in_namespaces else address), address

    async def _start_daemon(self, name: str) -> None:
        machine = self._machine(name)
        argv = [sys.executable, "-m", "swarmd.cli", "--state-dir", str(machine.state_dir), "daemon"]
        profile = os.environ.get(PROFILE_ENV)
        if profile:
            argv[1:3] = ["-m", "tests.bench.swarm.profiled", f"{profile}/{name}.txt"]
        with (machine.directory / "daemon.log").open("ab") as output:
            process = machine.start(argv, output=output)
        self._processes[name] = process
        async with asyncio.timeout(START_S):
            while not machine.socket.exists():
                if process.poll() is not None:
                    raise RuntimeError((machine.directory / "daemon.log").read_text()[-2000:])
                await asyncio.sleep(0.02)
        self.pids[name] = process.pid

    async def _local(self, name: str, method: str, request: object) -> Any:
        channel = self.control(name)
        try:
            while True:
                try:
                    call = getattr(channel.stub("swarmd.v1.Local"), method)
                    return await call(request, timeout_s=CALL_S)
                except RpcError as error:
                    if not error.unprocessed:
                        raise
                    await asyncio.sleep(0.02)
        finally:
            await channel.close()
