"""Addresses given by people: completed with a port, or found when left out."""

from __future__ import annotations

import ipaddress
import socket

from swarmd.model.errors import invalid

DEFAULT_PORT = 2377
ANY = f"0.0.0.0:{DEFAULT_PORT}"


def with_port(text: str, *, what: str, port: int = DEFAULT_PORT) -> str:
    """`text` as host:port, IPv6 in brackets; the port is added when missing.

    Raises:
        Rejection: the text is no IP address or host name, or the port is out of range.
    """
    host, given = split(text, what=what)
    return join(host, port if given is None else given)


def split(text: str, *, what: str) -> tuple[str, int | None]:
    """Host and port of `text`; brackets around IPv6 are removed."""
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise invalid(f"{what} {text!r} is not an address; write host:port or [ipv6]:port")
        port_text = rest[1:]
    elif text.count(":") == 1:
        host, _, port_text = text.partition(":")
    if not host:
        raise invalid(f"{what} {text!r} lacks a host; write host:port")
    if not port_text:
        return host, None
    if not port_text.isdigit() or not 0 < int(port_text) < 65536:
        raise invalid(f"{what} {text!r} has no valid port; use a number from 1 to 65535")
    return host, int(port_text)


def join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def advertised(listen_addr: str, advertise_addr: str) -> str:
    """What others are told: as given, else the listening address, else the outward address.

    Raises:
        Rejection: nothing was given and this machine has no route to the outside.
    """
    listen_host, listen_port = split(listen_addr, what="the listen address")
    if advertise_addr:
        return with_port(
            advertise_addr, what="the advertise address", port=listen_port or DEFAULT_PORT
        )
    host = listen_host if not is_unspecified(listen_host) else outward_address()
    return join(host, listen_port or DEFAULT_PORT)


def outward_address() -> str:
    """The source address of the default route; no packet is sent.

    The probed addresses are from documentation ranges (RFC 5737, RFC 3849), so that no real host
    is named.
    """
    for family, probe in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probing:
            try:
                probing.connect((probe, 9))
            except OSError:
                continue
            return str(probing.getsockname()[0])
    raise invalid(
        "could not choose an IP address to advertise since this machine has no default route; "
        "give one with --advertise-addr"
    )


def check_is_local(host: str, *, what: str) -> None:
    """Refuse an address this machine does not have, before anything is built upon it."""
    try:
        info = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError as error:
        raise invalid(f"{what} {host} can't be resolved: {error}") from error
    family, kind, _, _, address = info[0]
    with socket.socket(family, kind) as probing:
        try:
            probing.bind(address)
        except OSError as error:
            raise invalid(
                f"{what} {host} is not an address of this machine: {error.strerror}; "
                "`ip address` lists those it has"
            ) from error
