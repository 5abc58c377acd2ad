"""What tells a task's resolver whom to ask: its `hosts` and `resolv.conf`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from swarmd.model.spec import DnsConfig

SHORT_NAMES = "ndots:0"
_RESOLV_CONF = Path("/etc/resolv.conf")
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")
_LOCAL_HOSTS = (
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


def hosts(lines: tuple[str, ...], *, hostname: str, address: IPv4Address | IPv6Address) -> str:
    """/etc/hosts of a task."""
    extra = "".join(f"{line}\n" for line in lines)
    return f"{_LOCAL_HOSTS}{extra}{address}\t{hostname}\n"


def resolv_conf(
    config: DnsConfig | None, *, node: str, shares_network: bool = False, nameserver: str = ""
) -> str:
    """/etc/resolv.conf of a task: the node's, but for what the spec says.

    Servers that listen on the node's loopback are left out, as nobody answers there elsewhere,
    unless the task shares the node's network. A name server of its own, which knows whom to ask
    further, takes the place of all others, and answers short names as they are.
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


def node_resolv_conf() -> str:
    """The node's configuration with the servers that are really asked."""
    for path in (_RESOLVED, _RESOLV_CONF):
        try:
            return path.read_text()
        except OSError:
            continue
    return ""
