"""A container on a lease: when it runs out, everything in the container's cgroup is killed.

The container is no child of the keeper, which knows it by its cgroup. It is guarded from when its
first process exists and before that runs what it is for, so that one that was killed can't come up
any more; what is left of it is the daemon's to clear away.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

from swarmd.agent.executors import groups
from swarmd.agent.executors.keeper.loop import Loop

KILL_AGAIN_NS = 10_000_000


class Guarded:
    """One container, until its daemon says that it has ended.

    Args:
        directories: of its cgroup, in every hierarchy there is.
        lapsed: it is known to have run out; an earlier keeper may have left something.
        noted: called when the lease has run out.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        lease_ns: int,
        directories: tuple[str, ...],
        lapsed: bool = False,
        noted: Callable[[], None] = lambda: None,
    ) -> None:
        self.lease_ns = lease_ns
        self.lapsed = lapsed
        self.over = False
        self._loop = loop
        self._directories = directories
        self._noted = noted

    def lapse(self) -> None:
        """Its lease has run out: kill it, again and again until nothing of it is left."""
        if not self.lapsed:
            self.lapsed = True
            self._noted()
        if kill_all(self._directories) and not self.over:
            self._loop.after(KILL_AGAIN_NS, self.lapse)


def kill_all(directories: tuple[str, ...]) -> bool:
    """Kill what is in a group, one directory per hierarchy; True when there was something."""
    found = False
    for directory in directories:
        # Version 1 and kernels before 5.14 lack this file.
        with contextlib.suppress(OSError):
            _write(f"{directory}/cgroup.kill")
        for pid in _members(directory):
            found = True
            groups.send_signal(pid, signal.SIGKILL)
    return found


def _members(directory: str) -> Iterator[int]:
    """Processes of a group and of those below it, which a container may make."""
    for path, _, _ in os.walk(directory):
        try:
            with open(f"{path}/cgroup.procs") as file:
                text = file.read()
        except OSError:
            continue  # gone meanwhile
        yield from map(int, text.split())


def _write(path: str) -> None:
    with open(path, "w") as file:
        file.write("1")
