"""Whether this node can run containers, and by what: found out once, by looking."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from swarmd.model.record import Record

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REMEDY = "apt-get install containerd runc"
SHIM = "containerd-shim-runc-v2"
RUNTIMES = ("runc", "crun")


class Installation(Record, frozen=True):
    """Programs by their full paths; `runtime` runs what the shim is told to."""

    containerd: str
    shim: str
    runtime: str

    @property
    def path(self) -> str:
        """A search path on which containerd finds its shim and runtime."""
        own = dict.fromkeys(os.path.dirname(program) for program in (self.shim, self.runtime))
        return ":".join([*own, PATH])


def find_installation(
    *,
    which: Callable[[str], str | None] = lambda name: shutil.which(name, path=PATH),
    is_root: Callable[[], bool] = lambda: os.geteuid() == 0,
    filesystems: Path = Path("/proc/filesystems"),
) -> Installation | str:
    """What there is, or a phrase saying what is lacking."""
    if not is_root():
        return "no containers: the daemon does not run as root"
    containerd, shim = which("containerd"), which(SHIM)
    runtime = next(filter(None, map(which, RUNTIMES)), None)
    lacking = [
        name
        for name, program in (("containerd", containerd), (SHIM, shim), ("runc", runtime))
        if program is None
    ]
    if containerd is None or shim is None or runtime is None:
        return f"no containers: {', '.join(lacking)} not installed; {REMEDY}"
    try:
        if "\toverlay\n" not in filesystems.read_text() and not _can_load("overlay"):
            return "no containers: the kernel has no overlayfs"
    except OSError as error:
        return f"no containers: {filesystems} cannot be read: {error.strerror}"
    return Installation(containerd=containerd, shim=shim, runtime=runtime)


def _can_load(module: str) -> bool:
    """Whether the kernel has a module that it loads when it is first used."""
    return any(Path("/lib/modules", os.uname().release).glob(f"kernel/fs/{module}fs/{module}.ko*"))
