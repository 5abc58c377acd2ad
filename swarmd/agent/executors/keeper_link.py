"""The daemon's line to the keeper: requests, answers, news, and a new keeper when one is gone.

The link is up from `open` to `close`. A keeper that dies takes its tasks with it; `lost` is called
with nothing left alive, after the next keeper has swept up. A keeper that does not answer at all is
killed, for tasks nobody can stop are worse than tasks that are restarted elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import swarmd
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

ANSWER_S_MAX = 30.0
LAUNCH_S_MAX = 20.0
PING_EVERY_S = 10.0
DYING_S_MAX = 5.0
FIRST_DELAY_S = 0.05
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
SOCKET_NAME = "keeper.sock"
LOCK_NAME = "keeper.lock"
ALREADY_RUNNING = 3
UNANSWERED = -1
# Left to itself, the C library gives the memory of each block of output back to the kernel and asks
# for it anew, which costs the keeper more than twice what it does with the block.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(2 << 20)}
KILLED = 128 + signal.SIGKILL


def running_keeper(directory: Path) -> int:
    """The keeper that serves a run directory; 0 when none does."""
    try:
        pid = int((directory / LOCK_NAME).read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if os.fsencode(directory) in command else 0


class KeeperLost(Exception):
    """The keeper ended, or could not be started; the request may or may not have been served."""


class KeeperLink:
    """Talks to the keeper of one run directory.

    Args:
        ended: called with the exit record of every task that ends while the link is up.
        renewed: called with the tasks the keeper knows, after the first and every later start;
            tasks missing from it have died with an earlier keeper.
    """

    def __init__(
        self,
        directory: Path,
        node_id: str,
        *,
        ended: Callable[[dict[str, Any]], None],
        renewed: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        self._directory = directory
        self._node_id = node_id
        self._ended = ended
        self._renewed = renewed
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._sessions: dict[str, asyncio.Future[int]] = {}
        self._sequence = 0
        self._supervisor = Supervisor("keeper-link")
        self._up = asyncio.Event()
        self._closing = False
        self.keeper_pid = 0
        self.facts: dict[str, Any] = {}  # what the keeper found out about the node

    async def open(self) -> None:
        """Connect to the keeper, starting one if there is none.

        Raises:
            KeeperLost: no keeper could be started; the message is for the operator.
        """
        reader = await self._connect_patiently()
        self._supervisor.spawn(self._serve(reader), name="serve")
        self._supervisor.keep(self._watch, name="watch")

    async def close(self) -> None:
        """Hang up; tasks and keeper go on."""
        self._closing = True
        await self._supervisor.stop()
        await self._hang_up()

    async def request(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            KeeperLost: there is no keeper just now, or it ended or hung before it answered.
        """
        writer = self._writer
        if writer is None:
            raise KeeperLost("the keeper of this node's tasks is being started again")
        self._sequence += 1
        sequence = self._sequence
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        try:
            writer.write(json.dumps({"seq": sequence, "op": op, **fields}).encode() + b"\n")
            async with timeout(ANSWER_S_MAX):
                return await answer
        except TimeoutError:
            self._kill_hung()
            raise KeeperLost(f"the keeper did not answer within {ANSWER_S_MAX:g} s") from None
        finally:
            self._waiting.pop(sequence, None)

    def tell(self, op: str, **fields: Any) -> None:
        """Send a request whose answer nobody waits for; lost where there is no keeper just now."""
        if self._writer is not None:
            self._writer.write(json.dumps({"seq": UNANSWERED, "op": op, **fields}).encode() + b"\n")

    def follow(self, session: str) -> asyncio.Future[int]:
        """What becomes of a command beside a task: its exit code; of a lost keeper's, 137."""
        over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._sessions[session] = over
        return over

    def unfollow(self, session: str) -> None:
        """The command was never started."""
        over = self._sessions.pop(session, None)
        if over is not None:
            over.cancel()

    async def _connect_patiently(self) -> asyncio.StreamReader:
        """Connect, allowing for a keeper that is just dying: for a moment it still has the lock
        and takes connections, but neither answers nor lets another begin."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + DYING_S_MAX
        while True:
            try:
                return await self._connect()
            except (KeeperLost, OSError) as error:
                if loop.time() > deadline:
                    raise KeeperLost(str(error)) from None
                log.warning("keeper.start.delayed reason=%s", error)
            await asyncio.sleep(FIRST_DELAY_S)

    async def _connect(self) -> asyncio.StreamReader:
        try:
            streams = await self._dial()
        except (FileNotFoundError, ConnectionRefusedError):
            await asyncio.to_thread(self._launch)
            try:
                streams = await self._dial()
            except OSError as error:
                raise KeeperLost(f"the keeper cannot be reached: {error}") from None
        reader, writer = streams
        try:
            async with timeout(ANSWER_S_MAX):
                facts = await self._greet(reader, writer)
        except TimeoutError:
            writer.close()
            self._kill_hung()
            raise KeeperLost("the keeper accepts connections but does not answer") from None
        self.keeper_pid, self.facts = facts["pid"], facts
        self._writer = writer
        self._up.set()
        log.info("keeper.connected pid=%d tasks=%d", self.keeper_pid, len(facts["tasks"]))
        self._renewed(facts["tasks"])
        return reader

    @staticmethod
    async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any]:
        """What the keeper knows; ends of tasks it reports earlier are part of that."""
        writer.write(json.dumps({"seq": 0, "op": "hello"}).encode() + b"\n")
        while line := await reader.readline():
            message: dict[str, Any] = json.loads(line)
            if "seq" in message:
                return message
        writer.close()
        raise KeeperLost("the keeper ended while it was greeted")

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # Addressed through a descriptor: socket paths may have only 107 characters.
        directory = os.open(self._directory, os.O_PATH | os.O_DIRECTORY)
        try:
            return await asyncio.open_unix_connection(
                f"/proc/self/fd/{directory}/{SOCKET_NAME}", limit=MESSAGE_BYTES_MAX
            )
        finally:
            os.close(directory)

    def _launch(self) -> None:
        """Start a keeper; returns when it accepts connections."""
        root = str(Path(swarmd.__file__).parent.parent)
        module = "swarmd.agent.executors.keeper"
        words = [sys.executable, "-P", "-S", "-s", "-m", module]
        with open(self._directory / "keeper.log", "ab") as messages:
            try:
                done = subprocess.run(
                    [*words, str(self._directory), self._node_id],
                    env={"PYTHONPATH": root, "PATH": os.defpath, "LC_ALL": "C.UTF-8", **MEMORY},
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=messages,
                    cwd="/",
                    timeout=LAUNCH_S_MAX,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise KeeperLost(
                    f"the keeper of this node's tasks did not start: {error}"
                ) from None
        if done.returncode not in (0, ALREADY_RUNNING):
            raise KeeperLost(
                "the keeper of this node's tasks did not start; "
                f"see {self._directory}/keeper.log for the reason"
            )

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        """Hand out answers and news; when the keeper is gone, get another."""
        while True:
            try:
                line = await reader.readline()
            except (ConnectionError, ValueError) as error:
                log.warning("keeper.broken reason=%s", error)
                line = b""
            if line:
                self._deliver(json.loads(line))
                continue
            await self._hang_up()
            log.error("keeper.lost pid=%d: its tasks have ended with it", self.keeper_pid)
            reader = await self._reconnect()

    async def _reconnect(self) -> asyncio.StreamReader:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                return await self._connect()
            except (KeeperLost, OSError) as error:
                log.error("keeper.start.failed reason=%s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 5.0)

    def _deliver(self, message: dict[str, Any]) -> None:
        if "ended" in message:
            self._ended(message["ended"])
            return
        if "over" in message:
            over = self._sessions.pop(message["over"]["session"], None)
            if over is not None and not over.done():
                over.set_result(message["over"]["code"])
            return
        waiting = self._waiting.get(message.pop("seq"))
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def _hang_up(self) -> None:
        self._up.clear()
        writer, self._writer = self._writer, None
        sessions, self._sessions = self._sessions, {}
        for over in sessions.values():
            if not over.done():
                over.set_result(KILLED)
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(KeeperLost("the keeper of this node's tasks has ended"))
                answer.exception()  # seen here, should its waiter be gone
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except ConnectionError:
                return  # closed is closed

    async def _watch(self) -> None:
        """Find out in time when the keeper hangs, even if nobody asks for anything."""
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await self._up.wait()
            try:
                await self.request("ping")
            except KeeperLost as error:
                log.warning("keeper.ping.failed reason=%s", error)

    def _kill_hung(self) -> None:
        """Kill a keeper that does not answer; its tasks die with it, by the kernel's hand."""
        pid = running_keeper(self._directory)
        if pid:
            log.error("keeper.hung pid=%d: killed, and its tasks with it", pid)
            os.kill(pid, signal.SIGKILL)
