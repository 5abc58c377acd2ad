"""Virtual addresses by IPVS, in the namespace of the client task as with nftables.

Each address has a service by mark. A task that leaves gets weight 0, so it keeps its connections;
one that is gone is deleted, which ends them.

What IPVS leads to the namespace itself keeps the route it had, so virtual addresses are routed to
the namespace itself to begin with: a task reaches itself by the address of its service.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

from swarmd.lb.core.balance import from_place, start_of
from swarmd.lb.core.leaving import Due
from swarmd.lb.core.virtual import (
    VirtualService,
    compare,
    is_ipv4,
    mark_of,
    virtual_services,
)
from swarmd.lb.ipvs.marks import Marker, chosen
from swarmd.lb.spaces import NamespaceBalancer, Services
from swarmd.network.core.tables import NetworkTable
from swarmd.network.kernel import ipvs, netns, sysctl
from swarmd.network.kernel.ipvs import SCHEDULERS, Ipvs, MarkedService
from swarmd.network.kernel.links import index_of
from swarmd.network.kernel.netlink import open_netlink
from swarmd.network.kernel.routing import delete_local_route, put_local_route
from swarmd.runtime.clock import Clock

_SETTINGS = {
    # A connection to a task that is gone ends with its next packet, rather than after minutes.
    "ipv4/vs/expire_nodest_conn": "1",
    "ipv4/vs/conn_reuse_mode": "1",
}


def ipvs_virtual(*, clock: Clock) -> NamespaceBalancer:
    """The back end that needs IPVS, and nftables or the legacy tables for marks."""
    return NamespaceBalancer("ipvs", services=_with_leaving, space=IpvsSpace, clock=clock)


def missing() -> str:
    """Why this back end can't be used here; empty when it can."""
    return ipvs.missing()


class IpvsSpace:
    """Implements `Space`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._services: Services | None = None
        self._marker: Marker | None = None

    def bring(self, wanted: Services) -> None:
        """Deleting a target, as `compare` has it done, cuts off what leads there."""
        if wanted is self._services:
            return
        known, self._services = self._services, None
        netns.inside(self._path, lambda: self._bring(known, wanted))
        self._services = wanted

    def forget(self, due: Due) -> None:
        """Nothing: who is gone was cut off by `bring`.

        UDP clients are left to the task's end: IPVS has no way to forget the sessions of one
        protocol.
        """

    def repair(self) -> bool:
        services = self._services
        if services is None:
            return False
        if netns.inside(self._path, _actual) == _as_kept(services):
            return False
        self._services = None
        self.bring(services)
        return True

    def _bring(self, known: Services | None, wanted: Services) -> None:
        with Ipvs() as kernel:
            if known is None:
                sysctl.put(_SETTINGS)
                self._clear(kernel, wanted)
            change = compare(known or {}, wanted)
            for row in change.removed:
                kernel.delete_service(_service(row))
            for before, after in change.changed:
                if before.balance is not after.balance:
                    kernel.put_service(_service(after))
                self._put_targets(kernel, before, after)
            for row in change.added:
                kernel.put_service(_service(row))
                self._put_targets(kernel, VirtualService(row.address), row)
        if known is None or known.keys() != wanted.keys():
            _route((known or {}).keys() - wanted.keys(), wanted.keys() - (known or {}).keys())
            if self._marker is None:
                self._marker = chosen()
            self._marker(wanted)

    def _put_targets(self, kernel: Ipvs, before: VirtualService, after: VirtualService) -> None:
        """IPVS goes round targets in the order they were put: others begin elsewhere."""
        old = {target.address: target.weight for target in before.targets}
        new = {target.address: target.weight for target in after.targets}
        for address in from_place(tuple(new), start_of(self._path.name, after.address)):
            if old.get(address) != new[address]:
                kernel.put_target(_service(after), address, new[address])
        for address in old.keys() - new.keys():
            kernel.delete_target(_service(after), address)

    def _clear(self, kernel: Ipvs, wanted: Services) -> None:
        """Take away what an earlier daemon, or somebody else, has left and nobody wants."""
        expected = {service.key: targets for service, targets in _as_kept(wanted).items()}
        for service, targets in kernel.services().items():
            kept = expected.get(service.key)
            if kept is None:
                kernel.delete_service(service)
                continue
            for address in targets.keys() - kept.keys():
                kernel.delete_target(service, address)


def _route(removed: Iterable[str], added: Iterable[str]) -> None:
    with open_netlink() as netlink:
        loopback = index_of(netlink, "lo")
        netlink.do(*(delete_local_route(address, index=loopback) for address in removed))
        for address in added:
            source = _source_for(address)
            if source and source != address:
                netlink.do(put_local_route(address, index=loopback, source=source))


def _source_for(address: str) -> str:
    """The address of ours that others see when we call this one; empty when there is no way."""
    family = socket.AF_INET if is_ipv4(address) else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((address, 9))  # which sends nothing
        except OSError:
            return ""
        return str(sock.getsockname()[0])


def _with_leaving(table: NetworkTable) -> tuple[VirtualService, ...]:
    return virtual_services(table, leaving=True)


def _service(row: VirtualService) -> MarkedService:
    family = socket.AF_INET if is_ipv4(row.address) else socket.AF_INET6
    return MarkedService(mark_of(row.address), family, SCHEDULERS[row.balance])


def _as_kept(services: Services) -> dict[MarkedService, dict[str, int]]:
    return {
        _service(row): {target.address: target.weight for target in row.targets}
        for row in services.values()
    }


def _actual() -> dict[MarkedService, dict[str, int]]:
    with Ipvs() as kernel:
        return kernel.services()
