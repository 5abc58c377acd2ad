"""Leases in files, which outlive the keeper: what it and its second go by, and the next keeper.

`leases/contact` is when a manager was last heard of, `leases/<task>` what is to be killed and when.
Times count from the machine's start, so what an earlier run of the machine left is void.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import NamedTuple

CONTACT, BOOT, LOCK = ".contact", ".boot", ".second"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Entry(NamedTuple):
    """A task on a lease: everything in these cgroups ends with it."""

    lease_ns: int
    directories: tuple[str, ...]
    lapsed: bool = False
    is_child: bool = False  # of a keeper, with which it ends


class Ledger:
    """The leases of one node.

    Args:
        directory: the keeper's; the ledger is a directory in it.
    """

    def __init__(self, directory: str, *, boot_id: str = BOOT_ID) -> None:
        self.path = f"{directory}/leases"
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        with open(boot_id) as file:
            boot = file.read()
        if _read(f"{self.path}/{BOOT}") != boot:
            for name in os.listdir(self.path):
                os.unlink(f"{self.path}/{name}")
            _write(f"{self.path}/{BOOT}", boot)

    @property
    def lock(self) -> str:
        """The file that the second at work holds locked."""
        return f"{self.path}/{LOCK}"

    @property
    def contact(self) -> int:
        text = _read(f"{self.path}/{CONTACT}")
        return int(text) if text.isdigit() else 0

    def contacted(self, sent_at: int) -> None:
        """A manager has answered a heartbeat of that time; a full disk may forget it."""
        try:
            _write(f"{self.path}/{CONTACT}", f"{sent_at:020}")
        except OSError as error:
            print(f"the contact with managers was not noted: {error}", file=sys.stderr)

    def entries(self) -> dict[str, Entry]:
        """All there are; what is unreadable was never promised to anybody."""
        found = {}
        for name in os.listdir(self.path):
            if name.startswith(".") or name.endswith(".new"):
                continue
            try:
                lease_ns, directories, lapsed, is_child = json.loads(_read(f"{self.path}/{name}"))
            except ValueError:
                continue
            found[name] = Entry(lease_ns, tuple(directories), lapsed, is_child)
        return found

    def put(self, task_id: str, entry: Entry) -> None:
        """Raises OSError where it can't be written."""
        path = f"{self.path}/{task_id}"
        _write(f"{path}.new", json.dumps(entry))
        os.rename(f"{path}.new", path)

    def lapsed(self, task_id: str) -> None:
        """Note that a lease has run out, for the keepers to come."""
        entry = self.entries().get(task_id)
        if entry is None or entry.lapsed:
            return
        try:
            self.put(task_id, entry._replace(lapsed=True))
        except OSError as error:
            print(f"the end of the lease of {task_id} was not noted: {error}", file=sys.stderr)

    def drop(self, task_id: str) -> None:
        try:
            os.unlink(f"{self.path}/{task_id}")
        except FileNotFoundError:
            return


def now() -> int:
    """Nanoseconds since the machine was started, its sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    """Written over, not truncated: what has its place on a disk needs no room on it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, text.encode(), 0)
        os.ftruncate(descriptor, len(text))
    finally:
        os.close(descriptor)
