"""A disk in memory that forgets what was not synced, and can fail at any chosen operation."""

from __future__ import annotations

import errno
from random import Random

_PAGE = 4096


class Cut(BaseException):
    """The machine stopped in the middle of a disk operation."""


class SimFile:
    """Content as the process sees it, and which writes a power cut may still take away."""

    def __init__(self, disk: SimDisk, data: bytearray) -> None:
        self.disk, self.data = disk, data
        self.unsynced: list[tuple[int, bytes]] = []

    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.disk.operation("write")
        end = offset + len(data)
        if end > len(self.data):
            self.disk.grow(end - len(self.data))
        before = bytes(self.data[offset:end])
        self.unsynced.append((offset, before))
        if end > len(self.data):
            self.data.extend(bytes(end - len(self.data)))
        self.data[offset:end] = data

    def sync(self) -> None:
        self.disk.operation("sync")
        if self.disk.lying:
            self.disk.has_lied = True
        else:
            self.unsynced.clear()
        self.disk.syncs += 1

    def close(self) -> None:
        """Closing neither syncs nor forgets."""

    def lose_power(self, rng: Random) -> None:
        """Undo a random part of every unsynced write, page by page, newest first."""
        for offset, before in reversed(self.unsynced):
            for start in range(0, max(len(before), 1), _PAGE):
                if rng.random() < 0.5:
                    piece = before[start : start + _PAGE]
                    self.data[offset + start : offset + start + len(piece)] = piece
            if rng.random() < 0.5 and offset + len(before) < len(self.data) and not before:
                del self.data[offset:]
        self.unsynced.clear()


class SimDisk:
    """Implements `swarmd.raft.ports.Disk`.

    `cut_after` counts operations down and raises `Cut` at zero; `fail_next` raises an OSError
    for the next operation of a kind; `capacity` bounds the sum of all files; while `lying`, a sync
    says it is done and does nothing.
    """

    def __init__(self) -> None:
        self.files: dict[str, SimFile] = {}
        self.cut_after: int | None = None
        self.fail_next: dict[str, int] = {}
        self.capacity: int | None = None
        self.syncs = 0
        self.lying = self.has_lied = False

    def operation(self, kind: str) -> None:
        if self.cut_after is not None:
            if self.cut_after <= 0:
                raise Cut
            self.cut_after -= 1
        code = self.fail_next.pop(kind, None)
        if code is not None:
            raise OSError(code, f"simulated failure of {kind}")

    def used(self) -> int:
        return sum(len(f.data) for f in self.files.values())

    def grow(self, count: int) -> None:
        if self.capacity is not None and self.used() + count > self.capacity:
            raise OSError(errno.ENOSPC, "simulated full disk")

    def names(self) -> list[str]:
        return sorted(self.files)

    def create(self, name: str, zeros: int) -> SimFile:
        self.operation("create")
        self.files.pop(name, None)
        self.grow(zeros)
        self.files[name] = SimFile(self, bytearray(zeros))
        return self.files[name]

    def open(self, name: str) -> SimFile:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]

    def read(self, name: str) -> bytes:
        return bytes(self.open(name).data)

    def replace(self, name: str, data: bytes, *, durable: bool = True) -> None:
        self.operation("replace")
        old = self.files.get(name)
        self.grow(len(data))
        new = SimFile(self, bytearray(data))
        if not durable and old is not None:
            new.unsynced.append((0, bytes(old.data)))
        self.files[name] = new

    def rename(self, old: str, new: str) -> None:
        self.operation("rename")
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        self.operation("remove")
        self.files.pop(name, None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left on it."""
        return not self.files

    def wipe(self) -> None:
        """Lose everything."""
        self.files.clear()
        self.has_lied = False

    def free_bytes(self) -> int:
        return 1 << 40 if self.capacity is None else max(0, self.capacity - self.used())

    def lose_power(self, rng: Random) -> None:
        for file in self.files.values():
            file.lose_power(rng)
