"""What a node remembers of how it was set up: addresses, and the managers it knows.

One small JSON file, replaced atomically. Everything else a node knows comes from its certificate,
its Raft directory or its managers.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from .state_dir import StateDirError


class Remote(Struct, frozen=True):
    """A manager this node may call."""

    node_id: str
    addr: str


class Settings(Struct, frozen=True, kw_only=True):
    """Given at init or join, and kept current with the managers' list."""

    listen_addr: str
    advertise_addr: str  # host:port that others are told
    data_addr: str  # where others reach this node's task ports
    remotes: tuple[Remote, ...] = ()


def load(path: Path) -> Settings | None:
    """The saved settings, or None where this node was never part of a cluster.

    Raises:
        StateDirError: the file can't be read as settings.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Settings)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise StateDirError(
            f"{path} can't be read: {error}; restore it, or remove the state directory and join "
            "the swarm again"
        ) from error


def save(path: Path, settings: Settings) -> None:
    """Replace the saved settings; after a crash either the old or the new ones are there."""
    temporary = path.with_suffix(".tmp")
    data = msgspec.json.format(msgspec.json.encode(settings), indent=2)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
