"""Mirrors of registries, as nodes and clusters are told of them."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from swarmd.model.record import Record
from swarmd.model.reference import DOCKER_HUB


class RegistryMirror(Record, frozen=True):
    """A place to ask for the images of a registry before the registry itself."""

    registry: str = ""
    url: str = ""


def parse_mirror(text: str) -> RegistryMirror:
    """`[REGISTRY=]URL`; without a registry Docker Hub is meant.

    Raises:
        ValueError: it is neither.
    """
    registry, equals, url = text.partition("=")
    if not equals:
        registry, url = DOCKER_HUB, text
    mirror = RegistryMirror(registry=registry, url=url.rstrip("/"))
    problem = mirror_problem(mirror)
    if problem:
        raise ValueError(problem)
    return mirror


def mirror_problem(mirror: RegistryMirror) -> str:
    """Why a mirror can't be one; empty when it can."""
    if not mirror.registry or "/" in mirror.registry:
        return f"{mirror.registry[:80]!r} is no registry; write docker.io or registry.example.com"
    try:
        parts = urlsplit(mirror.url)
        host = parts.hostname or ""
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        host, port_is_fine, parts = "", False, urlsplit("")
    if not host or not port_is_fine or parts.query or parts.fragment or parts.username:
        return f"{mirror.url[:80]!r} is no mirror; write https://mirror.example.com"
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        return f"{mirror.url[:80]} is not safe on the way; only https is, or http on loopback"
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
