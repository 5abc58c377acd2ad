"""A containerd of this node's own: started when first needed, adopted, restarted when it dies.

It outlives the daemon, as the containers do. Nothing watches it: whoever waits for a container
learns at once that its connection broke, and asks for another client, which is when a dead
containerd is started again. Containers notice nothing, since shims are their parents.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

from swarmd.agent.executors.containerd.client import Client
from swarmd.agent.executors.containerd.installation import Installation
from swarmd.rpc.channel import Channel
from swarmd.rpc.errors import RpcError

log = logging.getLogger(__name__)

ANSWER_S_MAX = 10.0
START_S_MAX = 20.0
STOP_S_MAX = 10.0
LOOK_S = 0.02
LOG_BYTES_MAX = 8 * 1024 * 1024
# Unix socket addresses hold 107 characters, and containerd appends to this one.
SOCKET_LENGTH_MAX = 90
SHORT_SOCKETS = Path("/run/swarmd")

# What only Kubernetes, other file systems or nobody needs costs memory and time to start.
DISABLED = (
    "io.containerd.grpc.v1.cri",
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.internal.v1.opt",
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.tracing.processor.v1.otlp",
    "io.containerd.nri.v1.nri",
    "io.containerd.podsandbox.controller.v1.podsandbox",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
)
# The shell is gone at once, so that containerd becomes nobody's zombie when it ends.
_LAUNCH = 'log=$1 pidfile=$2; shift 2; "$@" </dev/null >>"$log" 2>&1 & echo $! >"$pidfile"'


class EngineDown(Exception):
    """containerd cannot be reached or started just now; the message says why."""


def configuration(*, root: Path, state: Path, socket: Path) -> str:
    """The configuration file of a containerd that nobody else uses."""
    disabled = ", ".join(json.dumps(name) for name in DISABLED)
    return (
        "version = 2\n"
        f"root = {json.dumps(str(root))}\n"
        f"state = {json.dumps(str(state))}\n"
        f"disabled_plugins = [{disabled}]\n"
        "[grpc]\n"
        f"  address = {json.dumps(str(socket))}\n"
        "[debug]\n"
        '  level = "warn"\n'
    )


def socket_path(directory: Path) -> Path:
    """Where containerd listens: below `directory` if its path is short enough for a socket."""
    path = directory / "containerd.sock"
    if len(str(path)) <= SOCKET_LENGTH_MAX:
        return path
    digest = hashlib.sha256(str(directory).encode()).hexdigest()[:16]
    return SHORT_SOCKETS / digest / "containerd.sock"


class Engine:
    """containerd as this node uses it.

    Args:
        directory: of a containerd of its own: images, state, configuration, log.
        address: socket of a containerd that is run by somebody else; then none is started.
    """

    def __init__(
        self, directory: Path, installation: Installation | None, *, address: str = ""
    ) -> None:
        self.directory = directory
        self.version = ""
        self._installation = installation
        self._given = bool(address)
        self.socket = Path(address) if address else socket_path(directory)
        self._pidfile = directory / "containerd.pid"
        self._log = directory / "containerd.log"
        self._client: Client | None = None
        self._starting = asyncio.Lock()

    @property
    def is_own(self) -> bool:
        return not self._given

    async def client(self) -> Client:
        """A client of a containerd that answers.

        Raises:
            EngineDown: it does not, and could not be started.
        """
        if self._client is not None and self._client.is_connected:
            return self._client
        async with self._starting:
            if self._client is None:
                self._client = Client(Channel(f"unix:{self.socket}"))
            client = self._client
            if await self._answers(client, ANSWER_S_MAX if self._pid() else 1.0):
                return client
            if self._given:
                raise EngineDown(f"containerd at {self.socket} does not answer; is it running?")
            await self._restart()
            await self._until_it_answers(client)
            await client.make_namespace()
            return client

    async def let_go(self) -> None:
        """Hang up; containerd goes on."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def stop(self) -> None:
        """End containerd, if it is our own; containers must be gone by then."""
        await self.let_go()
        if self._given:
            return
        pid = self._pid()
        if pid:
            await self._end(pid, signal.SIGTERM)
        self._pidfile.unlink(missing_ok=True)
        if self.socket.parent.parent == SHORT_SOCKETS and self.socket.parent.exists():
            for path in self.socket.parent.glob("containerd.sock*"):
                path.unlink(missing_ok=True)
            self.socket.parent.rmdir()

    def trim_log(self) -> None:
        """Empty the log of containerd when it has grown large; shims write a little each."""
        try:
            if not self._given and self._log.stat().st_size > LOG_BYTES_MAX:
                os.truncate(self._log, 0)
        except FileNotFoundError:
            return

    def is_running(self) -> bool:
        """Whether a containerd of ours runs, answering or not."""
        return self._given or bool(self._pid())

    async def _answers(self, client: Client, limit_s: float) -> bool:
        try:
            self.version = await client.version(timeout_s=limit_s)
        except RpcError:
            return False
        return True

    async def _restart(self) -> None:
        pid = self._pid()
        if pid:
            log.error("containerd.hung pid=%d: it does not answer and is killed", pid)
            await self._end(pid, signal.SIGKILL)
        await asyncio.to_thread(self._launch)

    def _launch(self) -> None:
        installation = self._installation
        if installation is None:
            raise EngineDown("containerd is not installed")
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self.directory / "containerd.toml"
        config.write_text(
            configuration(
                root=self.directory / "root", state=self.directory / "state", socket=self.socket
            )
        )
        words = [installation.containerd, "--config", str(config)]
        try:
            subprocess.run(
                ["/bin/sh", "-c", _LAUNCH, "sh", str(self._log), str(self._pidfile), *words],
                env={"PATH": installation.path, "LC_ALL": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
                check=True,
                timeout=START_S_MAX,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineDown(f"containerd could not be started: {error}") from None
        log.info("containerd.started pid=%d", self._pid())

    async def _until_it_answers(self, client: Client) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_S_MAX
        while not (self.socket.exists() and await self._answers(client, 1.0)):
            if not self._launched() or loop.time() > deadline:
                raise EngineDown(f"containerd did not start: {self._last_words()}")
            await asyncio.sleep(LOOK_S)

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return lines[-1][-300:] if lines else f"see {self._log}"

    def _pid(self) -> int:
        """The process of our containerd; 0 when it has ended."""
        if self._given:
            return 0
        try:
            pid = int(self._pidfile.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return 0
        return pid if os.fsencode(self.directory / "containerd.toml") in words else 0

    def _launched(self) -> bool:
        """Whether what was launched lives, be it not containerd yet but the shell before it."""
        try:
            status = Path(f"/proc/{int(self._pidfile.read_text())}/stat").read_text()
        except (OSError, ValueError):
            return False
        return status.rpartition(")")[2].split()[0] != "Z"

    async def _end(self, pid: int, number: int) -> None:
        deadline = time.monotonic() + STOP_S_MAX
        os.kill(pid, number)
        while self._pid() == pid:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += STOP_S_MAX
            await asyncio.sleep(LOOK_S)
