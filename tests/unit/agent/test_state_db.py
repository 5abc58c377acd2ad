"""The worker's database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from swarmd.agent.state_db import StateDb, StateLost
from swarmd.model.ids import TaskId
from swarmd.model.spec import ContainerSpec, TaskSpec
from swarmd.model.states import TaskState
from swarmd.model.task import Task, TaskStatus


def a_task(name: str, state: TaskState = TaskState.RUNNING) -> Task:
    spec = TaskSpec(container_spec=ContainerSpec(command=("sleep", "1")))
    return Task(id=TaskId(name), spec=spec, status=TaskStatus(state=state))


def reopened(path: Path) -> tuple[Task, ...]:
    db = StateDb.open(path)
    try:
        return db.load()
    finally:
        db.close()


def stored(path: Path, *tasks: Task) -> None:
    db = StateDb.open(path)
    db.write(tasks=tasks, removed=())
    db.close()


def test_tasks_come_back_with_their_latest_status(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    stored(path, a_task("a"), a_task("b"))
    stored(path, a_task("a", TaskState.FAILED))
    assert reopened(path) == (a_task("a", TaskState.FAILED), a_task("b"))


def test_removed_tasks_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    stored(path, a_task("a"), a_task("b"))
    db = StateDb.open(path)
    db.write(tasks=(), removed=(TaskId("a"),))
    db.close()
    assert reopened(path) == (a_task("b"),)


def test_what_was_written_is_there_though_the_database_was_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    db = StateDb.open(path)
    db.write(tasks=(a_task("a"),), removed=())
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("tasks.db*"):
        (copy / file.name).write_bytes(file.read_bytes())
    assert reopened(copy / "tasks.db") == (a_task("a"),)
    db.close()


def test_a_damaged_row_is_dropped_and_the_rest_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tasks.db"
    stored(path, a_task("a"), a_task("b"))
    connection = sqlite3.connect(path)
    connection.execute("UPDATE tasks SET status = x'00' WHERE id = 'a'")
    connection.commit()
    connection.close()
    assert reopened(path) == (a_task("b"),)
    assert "task.id=a: its record is dropped" in caplog.text


def test_every_flipped_bit_in_a_sample_loses_rows_but_never_invents_any(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    tasks = tuple(a_task(f"t{n}") for n in range(20))
    stored(path, *tasks)
    original = path.read_bytes()
    for position in range(0, len(original), 397):
        damaged = bytearray(original)
        damaged[position] ^= 1 << (position % 8)
        for file in tmp_path.glob("tasks.db*"):
            file.unlink()
        path.write_bytes(damaged)
        try:
            found = reopened(path)
        except StateLost:
            continue  # the format's own number was hit
        assert all(task in tasks for task in found), position


def test_a_database_of_a_later_version_is_refused_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    stored(path, a_task("a"))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StateLost, match="start the newer version"):
        StateDb.open(path)
