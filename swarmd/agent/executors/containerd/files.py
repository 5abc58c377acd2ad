"""Files of the node that belong to one container: what it finds in /etc, and its output's pipes.

Also a look into an image's own files, which lie in the layers of its snapshot; blocks.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from swarmd.agent.executors.containerd import image_mounts
from swarmd.agent.executors.containerd.delivery import take_away
from swarmd.agent.executors.resolving import hosts, node_resolv_conf, resolv_conf
from swarmd.agent.oci.container import FileMount
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec
from swarmd.rpc.pb.containerd import types_pb2

READ_BYTES_MAX = 1024 * 1024
STDIN, STDOUT, STDERR = "stdin", "stdout", "stderr"


class ContainerFiles:
    """The directory of one container."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def exists(self) -> bool:
        return self.directory.exists()

    def pipe(self, stream: str) -> str:
        return str(self.directory / stream)

    def make(
        self,
        spec: ContainerSpec,
        *,
        hostname: str,
        address: IPv4Address | IPv6Address,
        nameserver: str = "",
    ) -> None:
        """Write what the container will find; again is fine.

        Args:
            nameserver: the one to ask for everything; empty for those of the node.
        """
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._write("hostname", f"{hostname}\n")
        self._write("hosts", hosts(spec.hosts, hostname=hostname, address=address))
        access = spec.host_access or HostAccess()
        servers = resolv_conf(
            spec.dns_config,
            node=node_resolv_conf(),
            shares_network=access.network,
            nameserver=nameserver,
        )
        self._write("resolv.conf", servers)
        for stream in (STDIN, STDOUT, STDERR) if spec.open_stdin else (STDOUT, STDERR):
            path = self.directory / stream
            if not path.exists():
                os.mkfifo(path, 0o600)

    def mounts(self) -> tuple[FileMount, ...]:
        return tuple(
            FileMount(source=str(self.directory / name), target=f"/etc/{name}")
            for name in ("hostname", "hosts", "resolv.conf")
        )

    def remove(self) -> None:
        take_away(self.directory)
        image_mounts.take_away(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o644)


def layers(mounts: Iterable[types_pb2.Mount]) -> list[str]:
    """Directories of the layers that make up a root file system, the topmost first."""
    found: list[str] = []
    for mount in mounts:
        if mount.type == "bind":
            found.append(mount.source)
        for option in mount.options:
            if option.startswith("upperdir="):
                found.insert(0, option.removeprefix("upperdir="))
            elif option.startswith("lowerdir="):
                found += option.removeprefix("lowerdir=").split(":")
    return found


def read_from_layers(directories: Iterable[str], name: str) -> str:
    """A text file directly below /etc as the layers show it; empty when there is none.

    Links are not followed: they could lead out of the image.
    """
    for layer in directories:
        try:
            etc = os.open(f"{layer}/etc", os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            status = os.stat(name, dir_fd=etc, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return ""  # removed by this layer, or a link
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=etc)
            with open(descriptor, "rb") as file:
                return file.read(READ_BYTES_MAX).decode(errors="replace")
        except FileNotFoundError:
            continue
        finally:
            os.close(etc)
    return ""
