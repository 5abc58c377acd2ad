"""Sockets of another namespace, for a process that goes on living in its own.

A visit to the other namespace costs more than what is done there, so each makes some sockets ahead.
"""

from __future__ import annotations

import socket
from pathlib import Path

from swarmd.network.kernel import netns

AHEAD = 16


class Reservoir:
    """Makes sockets as `socket.socket` does, but in the namespace at `path`. For one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ready: dict[tuple[int, int], list[socket.socket]] = {}

    def __call__(self, family: int, kind: int) -> socket.socket:
        """A socket that nobody has used. Blocks for half a millisecond now and then.

        Raises:
            OSError: there is no such namespace any more, or the kernel refuses.
        """
        ready = self._ready.setdefault((family, kind), [])
        if not ready:
            ready += netns.inside(self._path, lambda: _some(family, kind))
        return ready.pop()

    def close(self) -> None:
        """Let go of those that nobody has taken."""
        for ready in self._ready.values():
            for sock in ready:
                sock.close()
        self._ready.clear()


def _some(family: int, kind: int) -> list[socket.socket]:
    made = [socket.socket(family, kind)]
    try:
        while len(made) < AHEAD:
            made.append(socket.socket(family, kind))
    except OSError:
        return made  # fewer will do
    return made
