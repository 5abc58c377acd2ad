"""How a daemon is started: what the command line decides before anything runs."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class DaemonConfig(Struct, frozen=True, kw_only=True):
    """Settings of one daemon process; addresses come with `init` and `join` and are kept on disk.

    `socket` is where commands are taken, and may lie outside of `state_dir`.
    """

    state_dir: Path
    socket: Path
    log_level: str = "info"
    log_json: bool = False
