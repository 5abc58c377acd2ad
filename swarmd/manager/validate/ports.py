"""Published ports: what one service may ask for, and what it would take from another."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from swarmd.manager.validate.limits import DRAIN_TIMEOUT, PUBLISHED_PORT, TARGET_PORT
from swarmd.model.errors import invalid
from swarmd.model.service import Service
from swarmd.model.spec import EndpointSpec, PortConfig
from swarmd.model.states import Balance, PortPolicy, Protocol, PublishMode, ResolutionMode

_LABEL = re.compile(r"[^\s=]{1,128}")
_INTERFACE = re.compile(r"[\w.@-]{1,15}")  # as the kernel has them, without what needs quoting


def check_endpoint(endpoint: EndpointSpec | None) -> None:
    """Refuse ports out of range, published twice, or on what can't be an address."""
    if endpoint is None:
        return
    DRAIN_TIMEOUT.check(endpoint.drain_timeout_ns, within="endpoint")
    for port in endpoint.ports:
        _check_port(port)
    ingress = any(port.publish_mode is PublishMode.INGRESS for port in endpoint.ports)
    if ingress and endpoint.mode is ResolutionMode.DNSRR:
        raise invalid(
            "endpoint.mode is dnsrr, which has no address for the swarm to publish a port on: "
            "publish with mode=host, or use endpoint mode vip"
        )
    _check_balance(endpoint)
    _check_unique(endpoint.ports)


def _check_balance(endpoint: EndpointSpec) -> None:
    asked = [] if endpoint.balance is Balance.ROUND_ROBIN else [endpoint.balance.value]
    if endpoint.weight_label:
        asked.append(f"weights by node.labels.{endpoint.weight_label}")
        if not _LABEL.fullmatch(endpoint.weight_label):
            raise invalid(
                f"endpoint.weight_label is {endpoint.weight_label!r}, but must be the name of a "
                "label of nodes: up to 128 characters, none of them blank or '='"
            )
    if asked and endpoint.mode is ResolutionMode.DNSRR:
        raise invalid(
            f"endpoint.mode is dnsrr, where clients choose among the tasks themselves; "
            f"{' and '.join(asked)} takes endpoint mode vip"
        )


def _check_port(port: PortConfig) -> None:
    TARGET_PORT.check(port.target_port, within="endpoint.ports")
    PUBLISHED_PORT.check(port.published_port, within="endpoint.ports")
    _check_way_in(port)


def _check_way_in(port: PortConfig) -> None:
    if port.publish_mode is PublishMode.HOST and port.policy is not PortPolicy.SOURCE:
        raise invalid(
            f"endpoint.ports: {port.target_port} is published with mode=host, where every client "
            "comes to the task itself; policy is for mode=ingress"
        )
    if port.address:
        _check_address(port)


def _check_address(port: PortConfig) -> None:
    try:
        is_everywhere = ip_address(port.address).is_unspecified
    except ValueError:
        if _INTERFACE.fullmatch(port.address):
            return
        raise invalid(
            f"endpoint.ports: {port.target_port} is to be published on {port.address!r}, which is "
            "neither an IP address nor the name of an interface"
        ) from None
    if is_everywhere:
        raise invalid(
            f"endpoint.ports: {port.target_port} is to be published on {port.address}, which "
            "stands for all addresses; leave the address out"
        )


def _check_unique(ports: tuple[PortConfig, ...]) -> None:
    seen: set[tuple[int, Protocol]] = set()
    for port in ports:
        if not port.published_port:
            continue
        key = (port.published_port, port.protocol)
        if key in seen:
            raise invalid(
                f"endpoint.ports publishes port {port.published_port}/{port.protocol.value} twice; "
                "give each published port once"
            )
        seen.add(key)


def check_port_conflicts(
    endpoint: EndpointSpec | None, others: Iterable[Service], *, own_id: str = ""
) -> None:
    """Refuse a published port that another service holds.

    An ingress port is held on every node, so it conflicts with anything; two services may publish
    the same port in host mode, as the scheduler keeps their tasks on different nodes.

    Args:
        own_id: the service being updated, which does not conflict with itself.
    """
    wanted = {
        (port.published_port, port.protocol): port
        for port in (endpoint.ports if endpoint else ())
        if port.published_port
    }
    if not wanted:
        return
    for service in others:
        if service.id == own_id:
            continue
        for held in _held(service):
            port = wanted.get((held.published_port, held.protocol))
            if port is None:
                continue
            if PublishMode.INGRESS in (port.publish_mode, held.publish_mode):
                raise invalid(
                    f"port '{held.published_port}' is already in use by service "
                    f"'{service.spec.name}' ({service.id}) as an {held.publish_mode.value} port; "
                    "publish another port or remove that one"
                )


def _held(service: Service) -> tuple[PortConfig, ...]:
    """Ports a service asked for and ports chosen for it."""
    asked = service.spec.endpoint_spec.ports if service.spec.endpoint_spec else ()
    chosen = service.endpoint.ports if service.endpoint else ()
    return tuple(port for port in (*asked, *chosen) if port.published_port)
