"""A look through a layer before it is unpacked: entries that would leave its root are refused.

containerd unpacks within the root whatever the entries say. A layer that tries to get out is
malice or damage all the same, and the user learns which entry it was instead of getting an image
that differs from what was built.
"""

from __future__ import annotations

import tarfile
from typing import BinaryIO

from swarmd.agent.images.packing import DAMAGED, unpacked
from swarmd.agent.images.problems import BadImage

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh."


def check_layer(stream: BinaryIO) -> None:
    """Read a whole layer, packed or not; blocks.

    Raises:
        BadImage: it is no tar archive, it is cut off, or an entry points out of it.
    """
    try:
        with tarfile.open(fileobj=unpacked(stream), mode="r|") as archive:
            for entry in archive:
                _check(entry)
                # The archive remembers every entry, which nobody will ask for again.
                archive.members.clear()  # type: ignore[attr-defined]
    except (tarfile.TarError, *DAMAGED) as error:
        raise BadImage(f"a layer of the image is damaged: {error}") from None


def _check(entry: tarfile.TarInfo) -> None:
    parts = entry.name.split("/")
    if ".." in parts:
        raise BadImage(f"a layer of the image holds {entry.name!r}, which leads out of it")
    base = parts[-1]
    if base.startswith(_WHITEOUT) and not base.startswith(_OPAQUE):
        removed = base.removeprefix(_WHITEOUT)
        if removed in ("", ".", ".."):
            raise BadImage(f"a layer of the image removes {removed!r}, which leads out of it")
    if entry.islnk() and ".." in entry.linkname.split("/"):
        raise BadImage(
            f"a layer of the image links {entry.name!r} to {entry.linkname!r}, "
            "which leads out of it"
        )
