"""Settings of a network namespace below /proc/sys/net, as the calling thread finds them there.

To be called inside of the namespace (`netns.inside`): those files show whichever namespace the
thread that opens them is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_ROOT = Path("/proc/sys/net")


def put(settings: Mapping[str, str]) -> None:
    """Write settings, by their path below /proc/sys/net.

    One that this kernel doesn't have is left out: what it would govern isn't there either.

    Raises:
        OSError: the kernel refuses.
    """
    for name, value in settings.items():
        path = _ROOT / name
        try:
            if path.read_text().strip() != value:
                path.write_text(value)
        except FileNotFoundError:
            continue


def get(name: str) -> str:
    """A setting; empty where the kernel doesn't have it."""
    try:
        return (_ROOT / name).read_text().strip()
    except FileNotFoundError:
        return ""
