"""Types of flags for click: each reads one kind of value and complains in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class Reads(click.ParamType[Any]):
    """A flag whose text is read by a function that raises `ValueError` for what it refuses."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _duration(text: str) -> int:
    from swarmd.model.instant import parse_duration

    return parse_duration(text)


def _cpus(text: str) -> int:
    from swarmd.cli.values import nano_cpus

    return nano_cpus(text)


def _size(text: str) -> int:
    from swarmd.cli.values import size_bytes

    return size_bytes(text)


def _ports(text: str) -> Any:
    from swarmd.cli.values import ports

    return ports(text)


def _preference(text: str) -> Any:
    from swarmd.cli.values import preference

    return preference(text)


def _pair(text: str) -> Any:
    from swarmd.cli.values import pair

    return pair(text)


def _mirror(text: str) -> Any:
    from swarmd.model.mirrors import parse_mirror

    return parse_mirror(text)


def _resource(text: str) -> Any:
    from swarmd.cli.values import reserved_resource

    return reserved_resource(text)


def _platform(text: str) -> Any:
    from swarmd.cli.values import platform

    return platform(text)


def _network(text: str) -> Any:
    from swarmd.cli.references import network

    return network(text)


def _secret(text: str) -> Any:
    from swarmd.cli.references import secret

    return secret(text)


def _config(text: str) -> Any:
    from swarmd.cli.references import config

    return config(text)


def _mount(text: str) -> Any:
    from swarmd.cli.mounts import mount

    return mount(text)


def _short_mount(text: str) -> Any:
    from swarmd.cli.mounts import short_mount

    return short_mount(text)


def _keys(text: str) -> bytes:
    from swarmd.cli.detaching import parse_keys

    return parse_keys(text)


DURATION = Reads("duration", _duration)
CPUS = Reads("cpus", _cpus)
SIZE = Reads("size", _size)
PORTS = Reads("port", _ports)
PREFERENCE = Reads("preference", _preference)
RESOURCE = Reads("KIND=number", _resource)
PLATFORM = Reads("platform", _platform)
NETWORK = Reads("network", _network)
SECRET = Reads("secret", _secret)
CONFIG = Reads("config", _config)
MOUNT = Reads("mount", _mount)
SHORT_MOUNT = Reads("volume", _short_mount)
PAIR = Reads("key=value", _pair)
COUNT = click.IntRange(min=0)
OVERSELL = click.FloatRange(0.0, 100.0)
RATIO = click.FloatRange(0.0, 1.0)
MIRROR = Reads("mirror", _mirror)
KEYS = Reads("keys", _keys)
