"""Between fork and exec, in the task's own mount namespace: its mounts, its secrets and configs.

Nothing made here is seen outside, and all of it is gone with the last process of the task. Files
below the directories of `MEMORY` lie in memory file systems mounted there; a file anywhere else
covers a file that the node has at that path.
"""

from __future__ import annotations

import base64
import os
from typing import Any

from swarmd.agent import mount_calls as calls

SECRETS, CONFIGS = "/run/secrets", "/run/configs"
MEMORY = (SECRETS, CONFIGS)
_SAFE = calls.MS_NOSUID | calls.MS_NODEV | calls.MS_NOEXEC
_PROPAGATION = {
    "rprivate": calls.MS_PRIVATE | calls.MS_REC,
    "private": calls.MS_PRIVATE,
    "rshared": calls.MS_SHARED | calls.MS_REC,
    "shared": calls.MS_SHARED,
    "rslave": calls.MS_SLAVE | calls.MS_REC,
    "slave": calls.MS_SLAVE,
}


def mount_all(mounts: list[dict[str, Any]]) -> None:
    """Make the mounts of a launch, in their order."""
    for mount in mounts:
        target = mount["target"]
        if mount["kind"] == "tmpfs":
            calls.mount("tmpfs", target, "tmpfs", _SAFE & ~mount["allowed"], mount["data"])
            if mount["read_only"]:
                calls.mount("", target, "", calls.MS_REMOUNT | calls.MS_BIND | calls.MS_RDONLY)
            continue
        calls.bind(
            mount["source"], target, recursive=mount["recursive"], read_only=mount["read_only"]
        )
        calls.mount("", target, "", _PROPAGATION[mount["propagation"]])


def place_files(files: list[dict[str, Any]]) -> None:
    """Write the files of a launch to memory and show them where they belong, read-only."""
    if not files:
        return
    os.umask(0o022)
    below: dict[str, list[dict[str, Any]]] = {MEMORY[0]: []}
    for file in files:
        home = next((d for d in MEMORY if file["target"].startswith(f"{d}/")), MEMORY[0])
        below.setdefault(home, []).append(file)
    for directory, wanted in below.items():
        os.makedirs(directory, mode=0o755, exist_ok=True)
        calls.mount_memory(directory, flags=_SAFE, options="mode=755,size=512m")
        for number, file in enumerate(wanted):
            if file["target"].startswith(f"{directory}/"):
                os.makedirs(os.path.dirname(file["target"]), mode=0o755, exist_ok=True)
                _write(file, file["target"])
            else:
                stage = f"{directory}/.{number}"
                _write(file, stage)
                calls.bind(stage, file["target"], recursive=False, read_only=True)
                os.unlink(stage)
        # This mount only: the file system itself holds files that are shown elsewhere.
        flags = calls.MS_REMOUNT | calls.MS_BIND | calls.MS_RDONLY | _SAFE
        calls.mount("", directory, "", flags)


def _write(file: dict[str, Any], path: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as opened:
        opened.write(base64.b64decode(file["data"]))
        os.fchown(descriptor, file["uid"], file["gid"])
        os.fchmod(descriptor, file["mode"])
