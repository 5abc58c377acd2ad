"""The image of the demo's web service, made on the spot around the system's static busybox."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

NAME = "whoami:1"
COMMANDS = ("sh", "httpd", "mkdir", "echo", "cat", "sleep", "hostname")
# Answers every request with the name of the task that it is.
SERVE = (
    'mkdir -p /www && echo "$TASK on $MACHINE, a container" > /www/index.html && '
    "echo serving && exec httpd -f -h /www"
)


def busybox() -> str | None:
    """The program that everything in the image is."""
    return shutil.which("busybox")


def write_root(path: Path) -> Path:
    """The image's root file system as a tar archive."""
    program = busybox()
    if program is None:
        raise AssertionError("whoever wants the image has looked for busybox")
    with tarfile.open(path, "w") as archive:
        for name in ("bin", "tmp", "www"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(directory)
        data = Path(program).read_bytes()
        info = tarfile.TarInfo("bin/busybox")
        info.size, info.mode = len(data), 0o755
        archive.addfile(info, io.BytesIO(data))
        for command in COMMANDS:
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return path
