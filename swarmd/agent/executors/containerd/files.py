"""Files of the node that belong to one container: what it finds in /etc, and its output's pipes.

Also a look into an image's own files, which lie in the layers of its snapshot; blocks.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from swarmd.agent.executors.containerd import image_mounts
from swarmd.agent.executors.containerd.delivery import take_away
from swarmd.agent.oci.container import FileMount
from swarmd.model.host_access import HostAccess
from swarmd.model.spec import ContainerSpec, DnsConfig
from swarmd.rpc.pb.containerd import types_pb2

READ_BYTES_MAX = 1024 * 1024
SHORT_NAMES = "ndots:0"
STDIN, STDOUT, STDERR = "stdin", "stdout", "stderr"
_RESOLV_CONF = Path("/etc/resolv.conf")
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")
_LOCAL_HOSTS = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


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
            node=_node_resolv_conf(),
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


def hosts(lines: tuple[str, ...], *, hostname: str, address: IPv4Address | IPv6Address) -> str:
    """/etc/hosts of a container."""
    extra = "".join(f"{line}\n" for line in lines)
    return f"{_LOCAL_HOSTS}{extra}{address}\t{hostname}\n"


def resolv_conf(
    config: DnsConfig | None, *, node: str, shares_network: bool = False, nameserver: str = ""
) -> str:
    """/etc/resolv.conf of a container: the node's, but for what the spec says.

    Servers that listen on the node's loopback are left out, as nobody answers there in a container,
    unless it shares the node's network. A name server of the container's own, which knows whom to
    ask further, takes the place of all others, and answers short names as they are.
    """
    config = config or DnsConfig()
    if nameserver:
        config = DnsConfig(
            nameservers=(nameserver,),
            search=config.search,
            options=config.options or (SHORT_NAMES,),
        )
    lines = [line for line in node.splitlines() if line and line[0] not in "#;"]
    kept = [
        line
        for line in lines
        if not _overridden(line.split(), config, loopback_answers=shares_network)
    ]
    kept += [f"nameserver {server}" for server in config.nameservers]
    if config.search:
        kept.append(f"search {' '.join(config.search)}")
    if config.options:
        kept.append(f"options {' '.join(config.options)}")
    return "".join(f"{line}\n" for line in kept)


def _overridden(words: list[str], config: DnsConfig, *, loopback_answers: bool) -> bool:
    match words:
        case ["nameserver", server, *_]:
            unreachable = _is_loopback(server) and not loopback_answers
            return bool(config.nameservers) or unreachable
        case ["search" | "domain", *_]:
            return bool(config.search)
        case ["options", *_]:
            return bool(config.options)
    return False


def _is_loopback(server: str) -> bool:
    try:
        return ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return True


def _node_resolv_conf() -> str:
    """The node's configuration with the servers that are really asked."""
    for path in (_RESOLVED, _RESOLV_CONF):
        try:
            return path.read_text()
        except OSError:
            continue
    return ""


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
