"""The daemon's end of the process that carries its tunnels' packets (`carrier`)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import swarmd
from swarmd.network.crypt import orders
from swarmd.runtime.timeouts import timeout

log = logging.getLogger(__name__)

END_S_MAX = 3.0
_SNDBUFFORCE = 32  # a size beyond the system's limit


class Carrying:
    """A carrier from its start to its end. Used from one event loop.

    Args:
        on_report: gets what it says.
        on_end: told once, when it has ended without being asked to.
    """

    def __init__(
        self, *, on_report: Callable[[orders.Report], None], on_end: Callable[[], None]
    ) -> None:
        self._on_report = on_report
        self._on_end = on_end
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._control.setblocking(False)
            for sock in (self._control, theirs):
                # Orders name all peers; within a user namespace the usual limit has to do.
                with contextlib.suppress(PermissionError):
                    sock.setsockopt(socket.SOL_SOCKET, _SNDBUFFORCE, orders.MESSAGE_BYTES_MAX)
            words = (sys.executable, "-P", "-s", "-m", "swarmd.network.crypt.carrier")
            root = str(Path(swarmd.__file__).parent.parent)
            self._process = subprocess.Popen(
                [*words, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": root},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                start_new_session=True,  # what ends the daemon ends it, and nothing before
            )
        asyncio.get_running_loop().add_reader(self._control, self._read)
        self._is_open = True

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, order: orders.Order, *descriptors: int) -> None:
        """Have it do something; what it has no more use for is lost with it."""
        if not self._is_open:
            return
        try:
            socket.send_fds(self._control, [orders.encode(order)], descriptors)
        except OSError as error:
            log.error("tunnel.carrier_stuck pid=%d reason=%s", self.pid, error)
            self._process.kill()  # `_read` notices

    async def close(self) -> None:
        """Have it end."""
        self._hang_up()
        try:
            async with timeout(END_S_MAX):
                await asyncio.to_thread(self._process.wait, END_S_MAX / 2)
        except (TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def _hang_up(self) -> None:
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(ConnectionResetError):
            try:
                data = self._control.recv(orders.MESSAGE_BYTES_MAX)
            except BlockingIOError:
                return
        if data:
            self._on_report(orders.decode_report(data))
            return
        self._hang_up()
        self._process.kill()  # if it has only closed its end
        log.error("tunnel.carrier_lost pid=%d code=%d", self.pid, self._process.wait())
        self._on_end()
