"""Taking possession of a state directory: one daemon, the right owner, the right format.

Everything that could make a later step fail half-way is checked here, before anything is written.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .paths import Paths

FORMAT = "1"


class StateDirError(Exception):
    """The state directory can't be used; the message says why and what to do."""


class StateDir:
    """An open state directory, locked against a second daemon until closed."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._lock = -1

    def open(self) -> None:
        """Create or check the directory and lock it.

        Raises:
            StateDirError: wrong owner or mode, another format, another daemon, or no access.
        """
        root = self.paths.state_dir
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._check_owner(root)
            self._take_lock()
            self._check_format()
            for directory in (self.paths.raft, self.paths.worker):
                directory.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            self.close()
            raise StateDirError(
                f"the state directory {root} can't be used: {error.strerror or error}; "
                "make it writable or choose another with --state-dir"
            ) from error
        except StateDirError:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock; the directory may be opened again."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check_owner(self, root: Path) -> None:
        status = root.stat()
        if not root.is_dir():
            raise StateDirError(f"{root} is not a directory; choose another with --state-dir")
        if status.st_uid != os.geteuid():
            raise StateDirError(
                f"the state directory {root} belongs to user {status.st_uid}, but swarmd runs as "
                f"user {os.geteuid()}; run it as the owner or choose another with --state-dir"
            )
        if status.st_mode & 0o077:
            os.chmod(root, 0o700)

    def _take_lock(self) -> None:
        self._lock = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StateDirError(
                f"another swarmd daemon (pid {pid}) uses the state directory "
                f"{self.paths.state_dir}; stop it or choose another with --state-dir"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _check_format(self) -> None:
        try:
            found = self.paths.format.read_text().strip()
        except FileNotFoundError:
            if self.paths.certificates.exists() or any(self.paths.state_dir.glob("raft/*")):
                raise StateDirError(
                    f"{self.paths.format} is missing although {self.paths.state_dir} holds a "
                    "node's state; restore the file (it holds the format number) or move the "
                    "directory away and join again"
                ) from None
            self.paths.format.write_text(FORMAT + "\n")
            return
        if found != FORMAT:
            raise StateDirError(
                f"the state directory {self.paths.state_dir} has format {found[:20]!r}, this "
                f"swarmd reads format {FORMAT}; run the version of swarmd that wrote it"
            )
