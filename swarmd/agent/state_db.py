"""What a node must not forget about its tasks: a small SQLite database, written in batches.

Each row holds a task as it was assigned and its latest status, each with a checksum. Losing the
process loses nothing; losing power may lose the last moments, except for ends of tasks, which are
on disk before anyone hears of them, so that a finished task is never taken for a lost one.
A database that cannot be read is moved aside: the assignments of the next session and the keeper's
list of running tasks hold all that is needed to go on.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from swarmd.model.ids import TaskId
from swarmd.model.task import Task, TaskStatus

log = logging.getLogger(__name__)

FORMAT = 1
BUSY_S_MAX = 5.0
COLUMNS = ["id", "task", "status", "sum"]
_NO_STATUS = TaskStatus()


class StateLost(Exception):
    """The database could not be read; the message says where it went."""


class StateUnwritable(Exception):
    """The database could not be written, most likely for want of space; worth trying again."""


class StateDb:
    """The database of one worker; calls block, from whichever thread, and take turns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # A write goes on in its thread when whoever awaits it is cancelled; the next one waits.
        self._turn = threading.Lock()
        self._encoder = msgspec.msgpack.Encoder()
        self._tasks = msgspec.msgpack.Decoder(Task)
        self._statuses = msgspec.msgpack.Decoder(TaskStatus)

    @classmethod
    def open(cls, path: Path) -> StateDb:
        """Open or create the database; an unreadable one is moved aside and said so in the log."""
        try:
            return cls(_connect(path))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
                raise StateUnwritable(f"{path} cannot be opened: {error}") from None
            aside = _move_aside(path)
            log.error(
                "state.corrupt path=%s reason=%s: kept as %s; tasks found running are taken up "
                "again if the manager still assigns them, and stopped if not",
                path,
                error,
                aside,
            )
        return cls(_connect(path))

    def load(self) -> tuple[Task, ...]:
        """All tasks with their latest status; damaged rows are dropped and said so in the log."""
        found = []
        rows = self._connection.execute("SELECT id, task, status, sum FROM tasks ORDER BY rowid")
        for identifier, task, status, checksum in rows.fetchall():
            if not _intact(task, status, checksum):
                log.error("state.damaged task.id=%s: its record is dropped", identifier)
                self._connection.execute("DELETE FROM tasks WHERE id = ?", (identifier,))
                continue
            found.append(replace(self._tasks.decode(task), status=self._statuses.decode(status)))
        self._connection.commit()
        return tuple(found)

    def write(self, *, tasks: Iterable[Task], removed: Iterable[TaskId]) -> None:
        """Store tasks and forget others, all or nothing; ends of tasks are synced to disk.

        Raises:
            StateUnwritable: nothing was stored.
        """
        stored = tuple(tasks)
        sync = "FULL" if any(task.status.state.terminal for task in stored) else "NORMAL"
        try:
            with self._turn, self._connection:
                self._connection.execute(f"PRAGMA synchronous = {sync}")
                self._connection.execute("BEGIN")
                self._connection.executemany(
                    "INSERT INTO tasks (id, task, status, sum) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (id) DO UPDATE SET task = excluded.task, "
                    "status = excluded.status, sum = excluded.sum",
                    [self._row(task) for task in stored],
                )
                self._connection.executemany(
                    "DELETE FROM tasks WHERE id = ?", [(task_id,) for task_id in removed]
                )
        except sqlite3.Error as error:
            raise StateUnwritable(f"the worker's state could not be stored: {error}") from None

    def close(self) -> None:
        with self._turn:
            self._connection.close()

    def _row(self, task: Task) -> tuple[str, bytes, bytes, int]:
        data = self._encoder.encode(replace(task, status=_NO_STATUS))
        status = self._encoder.encode(task.status)
        return task.id, data, status, _checksum(data, status)


def _intact(task: object, status: object, checksum: object) -> bool:
    """Whether a row is as it was written; damage can even change the types of its columns."""
    return (
        isinstance(task, bytes)
        and isinstance(status, bytes)
        and _checksum(task, status) == checksum
    )


def _checksum(task: bytes, status: bytes) -> int:
    return zlib.crc32(status, zlib.crc32(task))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S_MAX, check_same_thread=False)
    # Damage must not keep the rest from being read.
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        # Ours alone: this keeps a second daemon out, and needs no shared index file, so that the
        # database can be opened on a full disk.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(f"malformed: {damage}")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise StateLost(
                f"{path} has format {version}, this swarmd knows up to {FORMAT}; "
                "start the newer version that wrote it"
            )
        columns = [row[1] for row in connection.execute("PRAGMA table_info(tasks)")]
        if version == 0 and not columns:
            connection.execute(
                "CREATE TABLE tasks (id TEXT PRIMARY KEY, task BLOB NOT NULL, "
                "status BLOB NOT NULL, sum INTEGER NOT NULL)"
            )
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.commit()
        elif columns != COLUMNS:
            raise sqlite3.DatabaseError(f"malformed: the columns are {columns}")
    except BaseException:
        connection.close()
        raise
    return connection


def _move_aside(path: Path) -> Path:
    """Rename the database and its companions to the first free `.corrupt-N`."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(path.with_name(f"{aside.name}{suffix}"))
    return aside
