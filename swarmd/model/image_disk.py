"""How much of a disk images may take."""

from __future__ import annotations

from typing import NamedTuple


class ImageDisk(NamedTuple):
    """How full the disk with the images may be, in percent, before and after images are removed."""

    high_percent: int
    low_percent: int


DEFAULT_IMAGE_DISK = ImageDisk(85, 80)
