"""Which images a node may delete, and in what order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from swarmd.model.instant import MINUTE
from swarmd.model.reference import BadReference, parse

# A task may be about to be assigned for which the image was pulled by hand.
FRESH_NS = 10 * MINUTE


class StoredImage(Protocol):
    """What is to be known of an image."""

    @property
    def name(self) -> str: ...

    @property
    def used_ns(self) -> int: ...

    @property
    def is_loaded(self) -> bool: ...


def full_names(names: Iterable[str]) -> frozenset[str]:
    """Names as they are stored, from names as people write them; what is no name is left out."""
    found = set()
    for name in names:
        try:
            found.add(str(parse(name)))
        except BadReference:
            continue
    return frozenset(found)


def removable(
    images: Iterable[StoredImage], *, wanted: Collection[str], now: int, idle_ns: int = FRESH_NS
) -> tuple[str, ...]:
    """The names of images that nothing wants and a registry has, least recently used first.

    An image that somebody loaded by hand is never among them: nobody could bring it back.

    Args:
        wanted: full names.
        idle_ns: how long an image must not have been used.
    """
    idle = [
        image
        for image in images
        if image.name not in wanted and not image.is_loaded and now - image.used_ns >= idle_ns
    ]
    return tuple(image.name for image in sorted(idle, key=lambda i: (i.used_ns, i.name)))
