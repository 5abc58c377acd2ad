"""How a daemon is started: what the command line decides before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from swarmd.model.image_disk import DEFAULT_IMAGE_DISK, ImageDisk
from swarmd.model.mirrors import RegistryMirror
from swarmd.model.spec import GenericResource


class DaemonConfig(Struct, frozen=True, kw_only=True):
    """Settings of one daemon process; addresses come with `init` and `join` and are kept on disk.

    `socket` is where commands are taken, and may lie outside of `state_dir`.
    """

    state_dir: Path
    socket: Path
    log_level: str = "info"
    log_json: bool = False
    labels: Mapping[str, str] = {}  # of the engine, for constraints on engine.labels
    registry_mirrors: tuple[RegistryMirror, ...] = ()  # asked before those of the cluster
    image_disk: ImageDisk = DEFAULT_IMAGE_DISK  # how full it may be before images go
    generic_resources: tuple[GenericResource, ...] = ()  # what the node has besides CPU and memory
    balancer: str = ""  # which back end to prefer; empty: the fastest that works
    allow: tuple[str, ...] | None = None  # what tasks may have; None: the file's or cluster's words
