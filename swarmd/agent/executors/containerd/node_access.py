"""What a container gets of its node beyond files: devices, an init, a runtime. Blocks.

Each is looked for when a container asks for it, since programs and devices come and go.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from swarmd.agent.core.launch import Unfit
from swarmd.agent.executors.containerd.apparmor import AppArmor
from swarmd.agent.executors.containerd.installation import PATH, Installation
from swarmd.agent.oci.container import Given
from swarmd.agent.oci.devices import EVERY_ACCESS, DeviceNode
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec

RUNC_SHIM = "io.containerd.runc.v2"
# Programs that start another one, pass signals on to it and collect orphans.
INITS = ("docker-init", "tini-static", "catatonit", "tini")
INIT_REMEDY = "apt-get install tini"
_SHIM_NAME = re.compile(r"io\.containerd\.([\w-]+)\.(v\d+)")
# Every container has its own of these.
_OWN_IN_DEV = frozenset({"pts", "shm", "mqueue", "console", "ptmx", "fd", "core", ".lxc"})
_PT_INTERP = 3


class Runtime(NamedTuple):
    """A shim by containerd's name for it, and the program that the runc shim runs."""

    shim: str
    program: str = ""


def given(spec: ContainerSpec, apparmor: AppArmor) -> Given:
    """What a container gets of this node.

    Raises:
        Unfit: the node has not got it.
    """
    access = spec.host_access or HostAccess()
    lacking = apparmor.lacking(access.apparmor_profile) if access.apparmor_profile else ""
    if lacking:
        raise Unfit(lacking)
    return Given(
        devices=tuple(_devices(access)),
        init=find_init() if spec.init else "",
        apparmor=apparmor.default(),
    )


def runtime(
    name: str,
    installation: Installation | None,
    which: Callable[[str], str | None] = lambda name: shutil.which(name, path=PATH),
) -> Runtime:
    """The runtime of that name; the node's own without a name.

    Raises:
        Unfit: it is not installed.
    """
    if not name:
        return Runtime(RUNC_SHIM, installation.runtime if installation else "")
    shim = _SHIM_NAME.fullmatch(name)
    program = f"containerd-shim-{shim[1]}-{shim[2]}" if shim else name
    found = which(program)
    if found is None:
        raise Unfit(f"runtime {name!r} needs {program}, which is not installed on this node")
    return Runtime(name) if shim else Runtime(RUNC_SHIM, found)


def find_init(
    which: Callable[[str], str | None] = lambda name: shutil.which(name, path=PATH),
) -> str:
    """A program of the node that can be the first process in any image.

    Raises:
        Unfit: there is none.
    """
    for name in INITS:
        found = which(name)
        if found is not None and is_static(found):
            return os.path.realpath(found)
    raise Unfit(
        "an init is asked for, and this node has none that runs in every image (statically linked "
        f"{', '.join(INITS)}); {INIT_REMEDY}"
    )


def is_static(path: str) -> bool:
    """Whether a program needs no interpreter, and so nothing of the file system it starts in."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if head[:4] != b"\x7fELF" or head[4] != 2:
                return False
            order = "<" if head[5] == 1 else ">"
            (start,) = struct.unpack_from(f"{order}Q", head, 32)
            size, count = struct.unpack_from(f"{order}HH", head, 54)
            file.seek(start)
            table = file.read(size * count)
    except (OSError, struct.error):
        return False
    kinds = (struct.unpack_from(f"{order}I", table, at)[0] for at in range(0, len(table), size))
    return _PT_INTERP not in kinds


def _devices(access: HostAccess) -> Iterator[DeviceNode]:
    if access.privileged:
        yield from _below("/dev", "/dev", EVERY_ACCESS, skip=_OWN_IN_DEV)
    for device in access.devices:
        rights = device.permissions or EVERY_ACCESS
        source = os.path.realpath(device.source)
        found = (
            list(_below(source, device.path, rights))
            if os.path.isdir(source)
            else list(_device(source, device.path, rights))
        )
        if not found:
            raise Unfit(f"{device.source} is no device of this node, and holds none")
        yield from found


def _below(
    directory: str, target: str, access: str, *, skip: frozenset[str] = frozenset()
) -> Iterator[DeviceNode]:
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return  # gone meanwhile
    for entry in entries:
        inner = f"{target}/{entry.name}"
        if entry.name in skip or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _below(entry.path, inner, access)
        else:
            yield from _device(entry.path, inner, access)


def _device(source: str, target: str, access: str) -> Iterator[DeviceNode]:
    try:
        status = os.stat(source)
    except OSError:
        return
    kinds = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        yield DeviceNode(
            path=target,
            kind=kind,
            major=os.major(status.st_rdev),
            minor=os.minor(status.st_rdev),
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            access=access,
        )
