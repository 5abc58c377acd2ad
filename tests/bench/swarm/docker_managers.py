"""Docker's swarm mode as the managers under load: one dockerd per network namespace."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from demo.machines import Machine, Machines, namespaces_available, stop
from demo.power import kill
from swarmd.rpc.channel import Channel
from tests.bench.swarm.processes import children
from tests.bench.swarm.tls_channel import TlsSocketChannel

START_S = 60.0


def docker_missing_here() -> str | None:
    """Why Docker can't be measured here, None when it can."""
    if shutil.which("dockerd") is None:
        return "there is no dockerd (Debian: docker.io)"
    reason = namespaces_available()
    return None if reason is None else f"several dockerd need network namespaces: {reason}"


class DockerManagers:
    """Implements `managers.Managers`."""

    title = "Docker Swarm"

    def __init__(self, machines: Machines, names: list[str]) -> None:
        self.pids: dict[str, int] = {}
        self._machines = machines
        self._names = names
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._containerds: list[int] = []

    async def start(self) -> None:
        first, *others = self._names
        await self._start_daemon(first)
        await self._post(first, "/swarm/init", {})
        swarm = await asyncio.to_thread(self._request, first, "GET", "/swarm", None)
        for name in others:
            await self._start_daemon(name)
            body = {
                "RemoteAddrs": [self.address(first)],
                "JoinToken": swarm["JoinTokens"]["Manager"],
            }
            await self._post(name, "/swarm/join", body)

    def address(self, name: str) -> str:
        return f"{self._machine(name).address}:2377"

    def control(self, name: str) -> Channel:
        return TlsSocketChannel(f"unix:{self._directory(name)}/exec/swarm/control.sock")

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        del self.pids[name]

    def given_up(self) -> int | None:
        return None

    async def stop(self) -> None:
        for process in self._processes.values():
            await asyncio.to_thread(stop, process)
        self._processes.clear()
        for pid in self._containerds:
            kill(pid)
        for name in self._names:
            _unmount_below(self._directory(name))

    def _machine(self, name: str) -> Machine:
        return self._machines.by_name[name]

    def _directory(self, name: str) -> Path:
        return self._machine(name).directory

    async def _start_daemon(self, name: str) -> None:
        machine, directory = self._machine(name), self._directory(name)
        argv = [
            *("dockerd", "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
            *("--pidfile", f"{directory}/docker.pid", "--host", f"unix://{directory}/docker.sock"),
            *("--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"),
        ]
        with (directory / "daemon.log").open("ab") as output:
            process = machine.start(argv, output=output)
        self._processes[name] = process
        async with asyncio.timeout(START_S):
            while not await asyncio.to_thread(self._answers, name):
                if process.poll() is not None:
                    raise RuntimeError((directory / "daemon.log").read_text()[-2000:])
                await asyncio.sleep(0.1)
        self.pids[name] = process.pid
        self._containerds += children(process.pid)

    async def _post(self, name: str, path: str, body: dict[str, Any]) -> None:
        own = {
            "ListenAddr": self.address(name),
            "AdvertiseAddr": self.address(name),
            "Availability": "drain",
        }
        await asyncio.to_thread(self._request, name, "POST", path, body | own)

    def _answers(self, name: str) -> bool:
        try:
            self._request(name, "GET", "/info", None)
        except OSError:
            return False
        return True

    def _request(self, name: str, method: str, path: str, body: object) -> Any:
        connection = _UnixConnection(f"{self._directory(name)}/docker.sock")
        try:
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text) if text.strip() else None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _unmount_below(directory: Path) -> None:
    """Undo the mounts that a killed dockerd leaves behind."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([m for m in mounts if m.startswith(f"{directory}/")]):
        subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
