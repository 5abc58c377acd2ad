"""Machines on which everything is done by a user without any rights."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from demo.machines import Machine, Machines, machines
from demo.swarm import Swarm
from tests.support.network_swarm import leftovers
from tests.support.nobody import NOBODY, PATHS, interpreter

_TUN = (10, 200)
AS_USER = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("env", f"PYTHONPATH={PATHS}"),
)
# The user may use it on most machines, whatever this one is like: shell words, for a mount
# namespace of its own, before a device made by `a_tun` and a command.
WITH_TUN = 'mount --bind "$1" /dev/net/tun && shift && exec "$@"'


def why_not() -> str:
    """Why users can't have networks of their own here; empty where they can."""
    if os.geteuid() != 0:
        return "becoming user nobody needs root"
    for tool in ("setpriv", "unshare"):
        if shutil.which(tool) is None:
            return f"no {tool} command (package util-linux)"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun (modprobe tun)"
    tried = subprocess.run(
        ["unshare", "-U", "true"], user=NOBODY, group=NOBODY, capture_output=True, check=False
    )
    return "" if tried.returncode == 0 else "users may not make user namespaces here"


def a_tun(directory: Path) -> str:
    """A device that everybody may use, in a directory."""
    device = directory / "tun"
    if not device.exists():
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(*_TUN))
        device.chmod(0o666)
    return str(device)


class UsersMachine(Machine):
    """A machine whose daemon and commands are the user's."""

    def command(self, argv: Sequence[str]) -> list[str]:
        python = interpreter()
        return super().command([python if word == sys.executable else word for word in argv])


def hand_over(made: Machines, name: str) -> None:
    """Have a machine be the user's from now on."""
    machine = made.by_name[name]
    made.directory.chmod(stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)
    os.chown(machine.directory, NOBODY, NOBODY)
    enter = ("unshare", "--mount", "sh", "-ec", WITH_TUN, "sh", a_tun(made.directory))
    prefix = (*machine.command(enter), *AS_USER, f"HOME={machine.directory}")
    made.by_name[name] = UsersMachine(name, machine.address, machine.directory, prefix)


@contextlib.contextmanager
def rootless_swarm(user: Sequence[str], root: Sequence[str] = ()) -> Iterator[Swarm]:
    """A swarm whose first machines are the user's, the manager's among them.

    Afterwards nothing is left of it on any machine.
    """
    left: list[str] = []
    with machines((*user, *root)) as made:
        for name in user:
            hand_over(made, name)
        swarm = Swarm(made)
        try:
            first = made.by_name[user[0]]
            swarm.start_daemon(first)
            swarm.command(first, "init", "--advertise-addr", first.address)
            for name in (*user[1:], *root):
                swarm.join(made.by_name[name], first, "worker")
            yield swarm
        finally:
            swarm.stop()
            left += leftovers(swarm)
    assert not left
