"""Where a node keeps what it must not lose, below one state directory."""

from __future__ import annotations

import os
from pathlib import Path

SYSTEM_STATE_DIR = Path("/var/lib/swarmd")
SYSTEM_SOCKET = Path("/run/swarmd/swarmd.sock")

# Unix socket addresses hold 108 bytes including the final zero.
SOCKET_PATH_MAX = 107


def default_state_dir() -> Path:
    """`/var/lib/swarmd` for root, else below the user's own state directory (XDG)."""
    if os.geteuid() == 0:
        return SYSTEM_STATE_DIR
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base) / "swarmd"


def default_socket(state_dir: Path) -> Path:
    """The control socket of the daemon that uses `state_dir`."""
    if state_dir == SYSTEM_STATE_DIR:
        return SYSTEM_SOCKET
    return state_dir / "swarmd.sock"


def namespaces_dir(state_dir: Path, node_id: str) -> Path:
    """Where the files are that stand for the network namespaces of a node.

    They mean nothing after the machine has been started again, so the system's daemon has them in
    `/run`; any other keeps them with everything else of it.
    """
    if state_dir == SYSTEM_STATE_DIR:
        return SYSTEM_SOCKET.parent / node_id
    return state_dir / "run"


class Paths:
    """Names of the files and directories of one node."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.certificates = state_dir / "certificates"
        self.raft = state_dir / "raft"
        self.worker = state_dir / "worker"
        self.settings = state_dir / "swarmd.json"
        self.format = state_dir / "format"
        self.lock = state_dir / "lock"
        self.log = state_dir / "daemon.log"
        self.allow = state_dir / "allow"  # written by people
        self.endpoints = self.worker / "endpoints.json"
