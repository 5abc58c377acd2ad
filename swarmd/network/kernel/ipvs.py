"""The kernel's IP virtual server, by pyroute2: services by firewall mark, and their destinations.

To be used by a thread inside of the namespace (`netns.inside`), one `Ipvs` per visit. pyroute2 is
imported when it is first needed: it takes more memory than all else on a node without IPVS.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any

from msgspec import Struct

from swarmd.model.states import Balance

_PRESENT = Path("/proc/net/ip_vs")
_MASQUERADING = 0
# All go by weight.
SCHEDULERS = {
    Balance.ROUND_ROBIN: "wrr",
    Balance.SOURCE_HASH: "sh",
    Balance.LEAST_CONNECTION: "wlc",
}
# Without it clients whose hash finds a target without weight are turned away, rather than led on.
_HASH_FALLS_BACK = 0x8
_FLAGS = {SCHEDULERS[Balance.SOURCE_HASH]: _HASH_FALLS_BACK}
_ALL_FLAGS = 0xFFFF
# The netmask of a service by mark. The library encodes IPv6 prefix lengths as an IPv4 address:
# this one reads as 128 on a little-endian machine.
_NETMASK = {socket.AF_INET: "255.255.255.255", socket.AF_INET6: "128.0.0.0"}


class MarkedService(Struct, frozen=True):
    """What is marked so is balanced. Two services may share a mark if their families differ."""

    mark: int
    family: int  # of the socket module
    scheduler: str

    @property
    def key(self) -> tuple[int, int]:
        """By which the kernel knows it; the scheduler can be changed."""
        return self.mark, self.family


class Ipvs:
    """IPVS of the namespace of this thread.

    Raises:
        OSError: with the kernel's number, from any method.
    """

    def __init__(self) -> None:
        from pyroute2 import IPVS

        self._ipvs: Any = IPVS()

    def __enter__(self) -> Ipvs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ipvs.close()

    def put_service(self, service: MarkedService) -> None:
        if not self._tried("service", "add", (_service(service),), errno.EEXIST):
            self._call("service", "set", _service(service))

    def delete_service(self, service: MarkedService) -> None:
        self._tried("service", "del", (_service(service),), errno.ESRCH)

    def put_target(
        self, service: MarkedService, address: str, weight: int, *, port: int = 0
    ) -> None:
        """A target of weight 0 keeps its connections and gets no new ones.

        Args:
            port: where it listens; 0: at the port that the client has called.
        """
        arguments = (_service(service), _target(address, weight, port))
        if not self._tried("dest", "add", arguments, errno.EEXIST):
            # The library's "update" deletes; "set" is the command that changes.
            self._call("dest", "set", *arguments)

    def delete_target(self, service: MarkedService, address: str, *, port: int = 0) -> None:
        """Its connections end with the next packet."""
        self._tried("dest", "del", (_service(service), _target(address, 0, port)), errno.ENOENT)

    def services(self) -> dict[MarkedService, dict[str, int]]:
        """All services by mark, and the weights of their targets."""
        found = {}
        for message in tuple(self._ipvs.service("dump")):
            known = message.get("service")
            mark = known.get("fwmark")
            if mark:
                service = MarkedService(mark, known.get("af"), known.get("sched_name"))
                found[service] = self._targets(service)
        return found

    def _targets(self, service: MarkedService) -> dict[str, int]:
        rows = (message.get("dest") for message in self._ipvs.dest("dump", _service(service)))
        return {row.get("addr"): row.get("weight") for row in rows}

    def _call(self, kind: str, verb: str, *arguments: object) -> None:
        from pyroute2.netlink.exceptions import NetlinkError

        try:
            getattr(self._ipvs, kind)(verb, *arguments)
        except NetlinkError as error:
            raise OSError(error.code, os.strerror(error.code), f"IPVS {kind} {verb}") from None

    def _tried(self, kind: str, verb: str, arguments: tuple[object, ...], fine: int) -> bool:
        """False when the kernel answered `fine`."""
        try:
            self._call(kind, verb, *arguments)
        except OSError as error:
            if error.errno != fine:
                raise
            return False
        return True


def missing() -> str:
    """Why this kernel can't balance by IPVS; empty when it can."""
    if _PRESENT.exists():
        return ""
    return "this kernel has no IPVS, or its module ip_vs isn't loaded (modprobe ip_vs)"


def _service(service: MarkedService) -> Any:
    from pyroute2 import IPVSService

    return IPVSService(
        fwmark=service.mark,
        af=service.family,
        sched_name=service.scheduler,
        netmask=_NETMASK[socket.AddressFamily(service.family)],
        flags={"flags": _FLAGS.get(service.scheduler, 0), "mask": _ALL_FLAGS},
    )


def _target(address: str, weight: int, port: int) -> Any:
    from pyroute2 import IPVSDest

    # The library's default is direct routing.
    return IPVSDest(addr=address, port=port, fwd_method=_MASQUERADING, weight=weight)
