"""Small files that must survive a crash whole, and must not be readable by others.

Writing goes through a temporary name, a sync and a rename, so that a reader and a crash see either
the old content or the new. Reading refuses files that somebody else owns or could have changed:
what they hold decides whom this node trusts.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from swarmd.ca.problems import KeystoreProblem

FILE_BYTES_MAX = 1024 * 1024


def read_file(path: Path, *, secret: bool) -> bytes | None:
    """The content of a file of ours; None when it isn't there.

    Raises:
        KeystoreProblem: not a file, another owner, open to others, too large, or unreadable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeystoreProblem(f"{path} can't be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeystoreProblem(f"{path} is not a file; move it away and restore the file")
        require_ours(path, status, secret=secret)
        content = os.read(descriptor, FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeystoreProblem(f"{path} can't be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > FILE_BYTES_MAX:
        raise KeystoreProblem(f"{path} is far too large for a certificate or key; restore it")
    return content


def require_ours(path: Path, status: os.stat_result, *, secret: bool) -> None:
    """Refuse a file or directory that others own or may change, or read when it is `secret`."""
    if status.st_uid != os.geteuid():
        raise KeystoreProblem(
            f"{path} belongs to user {status.st_uid}, but swarmd runs as user {os.geteuid()}; "
            "give it to that user, or run swarmd as its owner"
        )
    mode = status.st_mode & 0o777
    if secret and mode & 0o077:
        raise KeystoreProblem(
            f"{path} holds a private key and others may use it (mode {mode:04o}); "
            f"run `chmod 600 {path}` if nobody can have copied it, else let the node join again"
        )
    if mode & 0o022:
        raise KeystoreProblem(
            f"{path} can be changed by others (mode {mode:04o}); "
            f"run `chmod go-w {path}` after checking its content"
        )


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file atomically; durable after `sync_directory`.

    Raises:
        KeystoreProblem: it could not be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # A leftover of a crash may have another mode, and opening it would keep that.
        temporary.unlink(missing_ok=True)
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode
        )
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # whatever the umask took away
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_problem(path, error) from error


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise write_problem(path, error) from error


def write_problem(path: Path, error: OSError) -> KeystoreProblem:
    return KeystoreProblem(
        f"{path} could not be written: {error.strerror}; what was there before is unchanged"
    )
