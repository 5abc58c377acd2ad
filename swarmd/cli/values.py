"""What people write after a flag, turned into values. Pure.

Every reader raises `ValueError` with a sentence that says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.structs import replace

from swarmd.model import permissions
from swarmd.model.image_disk import ImageDisk
from swarmd.model.spec import (
    DiscreteResource,
    GenericResource,
    NamedResource,
    PlacementPreference,
    Platform,
    PortConfig,
    SpreadOver,
)
from swarmd.model.states import PortPolicy, Protocol, PublishMode

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b)?", re.IGNORECASE)
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40, "p": 50}
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
NODE_LABELS = "node.labels."
PERCENT = 100
NANO = 1_000_000_000
PORT_MAX = 65_535
PORT_KEYS = ("published", "target", "protocol", "mode", "name", "policy", "address")
PORT_FORM = "write for example 8080:80, 8080:80/udp or published=8080,target=80"


def size_bytes(text: str) -> int:
    """`512m`, `1.5g`, `64MiB`, `1048576`; units are powers of 1024."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size; write for example 512m or 2g")
    return round(float(match[1]) * (1 << _SHIFT[match[2].lower()]))


def nano_cpus(text: str) -> int:
    """`0.5`, `2`: processors, as billionths of one."""
    match = re.fullmatch(r"(\d*)(?:\.(\d{1,9}))?", text.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is not a number of CPUs; write for example 0.5 or 2")
    return int(match[1] or "0") * NANO + int((match[2] or "").ljust(9, "0"))


def percentages(text: str) -> ImageDisk:
    """`85,80`: how full a disk may be before and after images are removed."""
    high, _, low = text.partition(",")
    if not (high.isdecimal() and low.isdecimal() and int(low) <= int(high) <= PERCENT):
        raise ValueError(f"{text!r} are no two percentages; write for example 85,80")
    return ImageDisk(int(high), int(low))


def pair(text: str) -> tuple[str, str]:
    """`key=value`; a key alone has an empty value."""
    key, _, value = text.partition("=")
    if not key:
        raise ValueError(f"{text!r} has no key; write key=value")
    return key, value


def labels(texts: Iterable[str]) -> dict[str, str]:
    return dict(pair(text) for text in texts)


def environment(texts: Iterable[str], inherited: dict[str, str]) -> tuple[str, ...]:
    """`NAME=value` as it is; `NAME` alone takes its value from here, if it has one."""
    items: list[str] = []
    for text in texts:
        name, equals, _ = text.partition("=")
        if not name:
            raise ValueError(f"{text!r} has no name; write NAME=value")
        if equals:
            items.append(text)
        elif name in inherited:
            items.append(f"{name}={inherited[name]}")
    return tuple(items)


def environment_file(content: str) -> list[str]:
    """Lines of a file of `NAME=value`; blank lines and those beginning with # are skipped."""
    lines = (line.strip() for line in content.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def reserved_resource(text: str) -> tuple[str, int]:
    """`gpu=2`: a kind and how many of it a task needs."""
    kind, _, count = text.partition("=")
    if not kind or not count.isdecimal() or not int(count):
        raise ValueError(f"{text!r} is no number of a resource; write for example gpu=2")
    return kind, int(count)


def offered_resources(texts: Iterable[str]) -> tuple[GenericResource, ...]:
    """What a node has: `ssd=2` is a number of them; `gpu=UUID1` and `gpu=UUID2` are two by name."""
    kinds: dict[str, list[str]] = {}
    for item in (part.strip() for text in texts for part in text.split(",")):
        kind, _, value = item.partition("=")
        if not kind or not value:
            raise ValueError(f"{item!r} is no resource; write for example ssd=2 or gpu=UUID1")
        kinds.setdefault(kind, []).append(value)
    return tuple(resource for kind, values in kinds.items() for resource in _offered(kind, values))


def _offered(kind: str, values: list[str]) -> list[GenericResource]:
    if not any(value.isdecimal() for value in values):
        if len(set(values)) < len(values):
            raise ValueError(f"{kind} has the same name twice; names tell resources apart")
        return [
            GenericResource(named_resource_spec=NamedResource(kind=kind, value=value))
            for value in values
        ]
    if len(values) > 1:
        raise ValueError(f"{kind} has a number and something else; give one number, or names only")
    amount = DiscreteResource(kind=kind, value=int(values[0]))
    return [GenericResource(discrete_resource_spec=amount)]


def allowed_words(texts: Iterable[str]) -> tuple[str, ...]:
    """`privileged,pid`, `bind=/srv`, `all`, `none`: what tasks may have of nodes."""
    return permissions.checked(word.strip() for text in texts for word in text.split(","))


def preference(text: str) -> PlacementPreference:
    """`spread=node.labels.rack`."""
    kind, _, descriptor = text.partition("=")
    if kind.strip().lower() != "spread" or not descriptor:
        raise ValueError(f"{text!r} is not a preference; write spread=node.labels.rack")
    return PlacementPreference(spread=SpreadOver(spread_descriptor=descriptor.strip()))


def node_label(text: str | None) -> str | None:
    """The label meant by `node.labels.NAME`, as constraints have it; nothing for nothing.

    Raises:
        ValueError: it names something else of a node.
    """
    if not text:
        return text
    label = text.removeprefix(NODE_LABELS)
    if not label or label == text:
        raise ValueError(f"{text!r} is no label of nodes; give it as {NODE_LABELS}NAME")
    return label


def ports(text: str) -> tuple[PortConfig, ...]:
    """`[[address:][published]:]target[/protocol]` or `key=value,…`, both with ranges."""
    return _ports_by_key(text) if "=" in text else _ports_by_position(text)


def _ports_by_position(text: str) -> tuple[PortConfig, ...]:
    rest, _, word = text.partition("/")
    protocol = _protocol(word or "tcp", text)
    outside, _, target = rest.rpartition(":")
    address, _, published = outside.rpartition(":")
    template = PortConfig(protocol=protocol, address=address.strip("[]"))
    return _paired(template, published, target, text)


def _paired(template: PortConfig, published: str, target: str, text: str) -> tuple[PortConfig, ...]:
    """A port for each number of two ranges; published ones that are not named are chosen later."""
    targets = _range(target, text)
    chosen = _range(published, text) if published else [0] * len(targets)
    if len(chosen) != len(targets):
        raise ValueError(f"{text!r} pairs {len(chosen)} published with {len(targets)} target ports")
    return tuple(
        replace(template, target_port=inner, published_port=outer)
        for inner, outer in zip(targets, chosen, strict=True)
    )


def _ports_by_key(text: str) -> tuple[PortConfig, ...]:
    values: dict[str, str] = {}
    for part in text.split(","):
        key, _, value = part.strip().partition("=")
        if key not in PORT_KEYS or not value:
            raise ValueError(f"{part!r} is not part of a port; {PORT_FORM}")
        values[key] = value
    if "target" not in values:
        raise ValueError(f"{text!r} has no target port; {PORT_FORM}")
    try:
        mode = PublishMode(values.get("mode", "ingress"))
    except ValueError:
        raise ValueError(f"{values['mode']!r} is no publish mode; use ingress or host") from None
    try:
        policy = PortPolicy(values.get("policy", "source"))
    except ValueError:
        raise ValueError(
            f"{values['policy']!r} is no policy of ports; use source, masquerade or local"
        ) from None
    template = PortConfig(
        name=values.get("name", ""),
        protocol=_protocol(values.get("protocol", "tcp"), text),
        publish_mode=mode,
        policy=policy,
        address=values.get("address", ""),
    )
    return _paired(template, values.get("published", ""), values["target"], text)


def _protocol(word: str, text: str) -> Protocol:
    try:
        return Protocol(word.lower())
    except ValueError:
        raise ValueError(
            f"{text!r} has the unknown protocol {word!r}; use tcp, udp or sctp"
        ) from None


def _range(text: str, whole: str) -> list[int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{whole!r} is not a port; {PORT_FORM}")
    first = _number(match[1], whole)
    last = _number(match[2], whole) if match[2] else first
    if last < first:
        raise ValueError(f"{whole!r} has a range that ends before it begins")
    return list(range(first, last + 1))


def _number(text: str, whole: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= PORT_MAX:
        raise ValueError(f"{whole!r} has a port outside 1-{PORT_MAX}; {PORT_FORM}")
    return int(text)


def platform(text: str) -> Platform:
    """`OS`, `OS/ARCH` or `/ARCH`: linux/amd64, linux, /arm64.

    Raises:
        ValueError: it is neither.
    """
    os, _, architecture = text.strip().lower().partition("/")
    if "/" in architecture or not (os or architecture):
        raise ValueError(f"{text!r} is no platform; give OS[/ARCH], as linux/amd64")
    return Platform(os=os, architecture=architecture)
