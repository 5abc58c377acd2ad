"""Which daemon a command talks to, and how it is reached."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from swarmd.cli.errors import USAGE, CliError
from swarmd.node.paths import default_socket, default_state_dir
from swarmd.runtime.clock import Clock, SystemClock

SCHEME = "unix://"


class Channel(Protocol):
    """A connection to a daemon."""

    def stub(self, service: str) -> Any: ...
    async def close(self) -> None: ...


Dial = Callable[[Path], Channel]


def dial(socket: Path) -> Channel:
    """Connect to the daemon's socket; calls fail with UNAVAILABLE if nobody listens there."""
    from swarmd.rpc.channel import Channel as SocketChannel

    return SocketChannel(f"unix:{socket}")


class Target(NamedTuple):
    """The daemon of a command: its socket, and its state directory if it is known.

    `dial` is how the socket is reached and `clock` tells how old things are.
    """

    socket: Path
    state_dir: Path | None
    dial: Dial = dial
    clock: Clock = SystemClock()

    @classmethod
    def chosen(cls, *, host: str | None, state_dir: str | None) -> Target:
        """From the global options; without any, the daemon of this machine or of this user."""
        directory = Path(state_dir).absolute() if state_dir else None
        if host:
            return cls(_socket_of(host), directory)
        directory = directory or default_state_dir()
        return cls(default_socket(directory), directory)

    def listening(self) -> bool:
        """Whether there is a socket; a daemon that was killed leaves one behind."""
        try:
            return stat.S_ISSOCK(self.socket.stat().st_mode)
        except FileNotFoundError:
            return False
        except PermissionError:
            raise CliError(
                f"no permission to use the daemon's socket {self.socket}",
                hint="run this as the user the daemon runs as",
            ) from None


def _socket_of(host: str) -> Path:
    if host.startswith(SCHEME):
        return Path(host.removeprefix(SCHEME))
    if "://" in host or (":" in host and "/" not in host):
        raise CliError(
            f"{host} is not a socket: daemons take commands on their unix socket only",
            hint=f"write a path or {SCHEME}/path, and use ssh to reach another machine",
            exit_code=USAGE,
        )
    return Path(host).absolute()
