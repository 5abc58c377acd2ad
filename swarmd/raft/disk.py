"""The directory of a Raft member on a real file system.

Files are opened for this user alone. New names are made durable by syncing the directory; new
journal files are filled with zeros, so that later syncs of their content need not touch the
file system's own bookkeeping.
"""

from __future__ import annotations

import os
from pathlib import Path

_ZEROS = bytes(1 << 20)


class RealFile:
    """A file behind a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        pieces = []
        while length > 0:
            piece = os.pread(self._descriptor, length, offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
            length -= len(piece)
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            offset += written
            view = view[written:]

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class RealDisk:
    """A directory, created with mode 0700 when it is missing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def create(self, name: str, zeros: int) -> RealFile:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(self.directory / name, flags, 0o600)
        try:
            if zeros:
                os.posix_fallocate(descriptor, 0, zeros)
                file = RealFile(descriptor)
                for offset in range(0, zeros, len(_ZEROS)):
                    file.write(offset, _ZEROS[: min(len(_ZEROS), zeros - offset)])
            os.fsync(descriptor)
            self._sync_directory()
        except OSError:
            os.close(descriptor)
            self.remove(name)
            raise
        return RealFile(descriptor)

    def open(self, name: str) -> RealFile:
        return RealFile(os.open(self.directory / name, os.O_RDWR | os.O_CLOEXEC))

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def replace(self, name: str, data: bytes, *, durable: bool = True) -> None:
        temporary = f"{name}.tmp"
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file = RealFile(os.open(self.directory / temporary, flags, 0o600))
        try:
            file.write(0, data)
            if durable:
                file.sync()
        finally:
            file.close()
        os.rename(self.directory / temporary, self.directory / name)
        if durable:
            self._sync_directory()

    def rename(self, old: str, new: str) -> None:
        os.rename(self.directory / old, self.directory / new)
        self._sync_directory()

    def remove(self, name: str) -> None:
        try:
            (self.directory / name).unlink()
        except FileNotFoundError:
            return
        self._sync_directory()

    def free_bytes(self) -> int:
        status = os.statvfs(self.directory)
        return status.f_bavail * status.f_frsize

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
