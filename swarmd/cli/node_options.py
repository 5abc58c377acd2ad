"""What a daemon is told of its node: flags of `daemon`, and of commands that may start one."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.params import PAIR
from swarmd.model.balancer import BALANCERS

NODE: list[Any] = [
    click.option(
        "--label", multiple=True, type=PAIR, help="Label of the engine: engine.labels.KEY."
    ),
    click.option(
        "--generic-resource",
        multiple=True,
        metavar="KIND=VALUE",
        help="What else the node has: a number (ssd=2), or names (gpu=UUID1, gpu=UUID2).",
    ),
    click.option(
        "--registry-mirror",
        multiple=True,
        metavar="[REGISTRY=]URL",
        help="Asked for a registry's images first [docker.io].",
    ),
    click.option(
        "--image-disk",
        metavar="HIGH,LOW",
        help="Percent of the disk: above it, unused images go until below [85,80].",
    ),
    click.option(
        "--balancer",
        type=click.Choice(BALANCERS),
        help="What balances connections, if the kernel allows [the fastest that works].",
    ),
    click.option(
        "--allow",
        multiple=True,
        metavar="WORD,...",
        help="What tasks may have of this node [as the swarm says]: see `swarmd update --allow`.",
    ),
]
_NAMES = ("label", "generic_resource", "registry_mirror", "image_disk", "balancer", "allow")


def take_node_flags(flags: dict[str, Any]) -> list[str]:
    """The flags above as a daemon's command line has them; they are removed from `flags`."""
    taken = {name: flags.pop(name) for name in _NAMES}
    return [
        word
        for name in _NAMES
        for value in _values(taken[name])
        for word in (f"--{name.replace('_', '-')}", _text(value))
    ]


def _values(given: Any) -> tuple[Any, ...]:
    """What was given for a flag, which may be one that is given once."""
    if isinstance(given, tuple):
        return given
    return () if given is None else (given,)


def _text(value: str | tuple[str, str]) -> str:
    return value if isinstance(value, str) else "=".join(value)
