"""What a node remembers of how it was set up: addresses, and the managers it knows.

One small JSON file, replaced atomically. It is for people to read and not to edit: a checksum tells
a damaged address from a good one. Everything else a node knows comes from its certificate, its Raft
directory or its managers.
"""

from __future__ import annotations

import os
import zlib
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


class _Stored(Struct, frozen=True, forbid_unknown_fields=True):
    settings: Settings
    crc32: str  # of the settings' compact JSON, eight hexadecimal digits


def load(path: Path) -> Settings | None:
    """The saved settings, or None where this node was never part of a cluster.

    Raises:
        StateDirError: the file can't be read as settings.
    """
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unusable(path, f"damaged ({error})") from error
    if stored.crc32 != _checksum(stored.settings):
        raise _unusable(path, "damaged (its checksum does not fit)")
    return stored.settings


def save(path: Path, settings: Settings) -> None:
    """Replace the saved settings; after a crash either the old or the new ones are there."""
    temporary = path.with_suffix(".tmp")
    stored = _Stored(settings, _checksum(settings))
    data = msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n"
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


def _checksum(settings: Settings) -> str:
    return f"{zlib.crc32(msgspec.json.encode(settings)):08x}"


def _unusable(path: Path, what: str) -> StateDirError:
    return StateDirError(
        f"{path} can't be used: {what}; restore it from a backup, or `swarmd leave --force` and "
        "join the swarm again"
    )
