"""Named volumes: directories that outlive the tasks that use them.

    <directory>/<name>/volume.json   labels, options, when it was made
    <directory>/<name>/_data         what is in it
    <directory>/.own/<task>/<n>      one without a name, which goes with its task

A volume comes into being when it is created or first used, and stays until it is removed. One with
options shows a file system of its own while a task uses it: mounted for the first, unmounted when
the last has ended. What is copied into a fresh volume is copied beside it and renamed, so that a
crash leaves no volume half filled.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from swarmd.agent import mount_calls
from swarmd.agent.volumes.options import mount_flags
from swarmd.model import mounts as rules
from swarmd.model.ids import TaskId
from swarmd.model.instant import Instant
from swarmd.model.record import Record
from swarmd.model.spec import VolumeOptions

DATA, RECORD, NEW, OWN = "_data", "volume.json", "_data.new", ".own"
Fill = Callable[[str], None]


class VolumeProblem(Exception):
    """What was asked of a volume can't be done; the message says why."""


class Volume(Record, frozen=True):
    """What is known of a volume apart from its files."""

    name: str = ""
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}  # type, o and device of the file system it shows, if any
    created_at: Instant = Instant(0)


class VolumeStore:
    """The volumes below one directory."""

    def __init__(self, directory: Path, *, now: Callable[[], int]) -> None:
        self._directory = directory
        self._now = now
        self._users: dict[str, set[TaskId]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def path(self, name: str) -> Path:
        """Where the files of a volume are."""
        return self._directory / name / DATA

    async def create(
        self, name: str, *, labels: Mapping[str, str], options: Mapping[str, str]
    ) -> Volume:
        """The volume, made unless it is there.

        Raises:
            VolumeProblem: it is there and has other options, or it can't be made.
        """
        wrong = rules.name_problem(name) or rules.driver_problem("", options)
        if wrong:
            raise VolumeProblem(wrong)
        async with self._turn(name):
            return await asyncio.to_thread(self._create, name, labels, options)

    async def use(
        self, task_id: TaskId, name: str, given: VolumeOptions, *, fill: Fill | None = None
    ) -> str:
        """Make a volume ready for a task, which holds it until `release`; returns its path.

        Args:
            given: labels and options for the case that the volume has yet to be made.
            fill: puts into a directory what an empty volume is to begin with.

        Raises:
            VolumeProblem
        """
        async with self._turn(name):
            self._users.setdefault(name, set()).add(task_id)
            options = given.driver_config.options if given.driver_config is not None else {}
            volume = await asyncio.to_thread(self._create, name, given.labels, options)
            await asyncio.to_thread(self._make_ready, volume, fill)
            return _within(self.path(name), given.subpath, name)

    async def own(self, task_id: TaskId, number: int, *, fill: Fill | None = None) -> str:
        """A volume without a name, which `forget` deletes; returns its path.

        Raises:
            VolumeProblem
        """
        path = self._directory / OWN / task_id / str(number)
        if not path.exists():
            await asyncio.to_thread(_make_own, path, fill)
        return str(path)

    async def forget(self, task_id: TaskId) -> None:
        """Delete the volumes that were a task's own, and let go of the others."""
        self.release(task_id)
        path = self._directory / OWN / task_id
        if path.exists():
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)

    def hold(self, task_id: TaskId, names: tuple[str, ...]) -> None:
        """Note that a task which is running already uses volumes."""
        for name in names:
            self._users.setdefault(name, set()).add(task_id)

    def release(self, task_id: TaskId) -> None:
        """A task uses its volumes no more."""
        for name, users in list(self._users.items()):
            users.discard(task_id)
            if users:
                continue
            del self._users[name]
            data = str(self.path(name))
            if os.path.ismount(data):
                mount_calls.unmount(data)

    def users(self, name: str) -> tuple[TaskId, ...]:
        return tuple(sorted(self._users.get(name, ())))

    def all(self) -> tuple[Volume, ...]:
        """By name; blocks."""
        if not self._directory.exists():
            return ()
        names = sorted(path.name for path in self._directory.iterdir() if path.name != OWN)
        found = [self._read(name) for name in names]
        return tuple(volume for volume in found if volume is not None)

    def find(self, name: str) -> Volume | None:
        """The volume of that name, if there is one; blocks."""
        return self._read(name)

    async def remove(self, name: str, *, force: bool = False) -> bool:
        """Delete a volume and what is in it; False when there is none of the name.

        Raises:
            VolumeProblem: a task uses it.
        """
        async with self._turn(name):
            users = self.users(name)
            if users:
                raise VolumeProblem(f"volume {name} is used by task {users[0]}")
            return await asyncio.to_thread(self._remove, name)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _create(self, name: str, labels: Mapping[str, str], options: Mapping[str, str]) -> Volume:
        present = self._read(name)
        if present is not None:
            if options and dict(options) != dict(present.options):
                raise VolumeProblem(
                    f"volume {name} is there with other options: {_text(present.options)} and not "
                    f"{_text(options)}; use another name, or remove it first"
                )
            return present
        volume = Volume(
            name=name, labels=dict(labels), options=dict(options), created_at=Instant(self._now())
        )
        directory = self._directory / name
        try:
            self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            directory.mkdir(mode=0o711, exist_ok=True)
            new = directory / f"{RECORD}.new"
            new.write_bytes(msgspec.json.encode(volume))
            new.rename(directory / RECORD)
        except OSError as error:
            raise VolumeProblem(f"volume {name} can't be made: {error.strerror}") from None
        return volume

    def _make_ready(self, volume: Volume, fill: Fill | None) -> None:
        data = self.path(volume.name)
        try:
            if volume.options:
                data.mkdir(mode=0o755, exist_ok=True)
                if not os.path.ismount(data):
                    flags, rest = mount_flags(volume.options.get("o", ""))
                    kind, device = volume.options["type"], volume.options["device"]
                    mount_calls.mount(device, str(data), kind, flags, rest)
            if not data.exists():
                new = data.with_name(NEW)
                shutil.rmtree(new, ignore_errors=True)
                new.mkdir(mode=0o755)
                new.chmod(0o755)
                if fill is not None:
                    fill(str(new))
                new.rename(data)
            elif fill is not None and not any(data.iterdir()):
                fill(str(data))
        except OSError as error:
            raise VolumeProblem(
                f"volume {volume.name} can't be made ready: {error.strerror or error}"
            ) from None

    def _remove(self, name: str) -> bool:
        directory = self._directory / name
        if rules.name_problem(name) or not directory.exists():
            return False
        data = directory / DATA
        if os.path.ismount(data):
            mount_calls.unmount(str(data))
        try:
            # What it is goes last, so that a removal that was cut short can be asked for again.
            if data.exists():
                shutil.rmtree(data)
            shutil.rmtree(directory)
        except OSError as error:
            raise VolumeProblem(f"volume {name} can't be removed: {error.strerror}") from None
        return True

    def _read(self, name: str) -> Volume | None:
        try:
            return msgspec.json.decode((self._directory / name / RECORD).read_bytes(), type=Volume)
        except OSError:
            return None
        except msgspec.MsgspecError as error:
            raise VolumeProblem(f"the record of volume {name} is damaged: {error}") from None


def _make_own(path: Path, fill: Fill | None) -> None:
    new = path.with_name(f"{path.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o755, parents=True)
        if fill is not None:
            fill(str(new))
        new.rename(path)
    except OSError as error:
        raise VolumeProblem(f"a volume can't be made: {error.strerror or error}") from None


def _within(data: Path, subpath: str, name: str) -> str:
    """The path of a directory inside a volume, which links of the volume can't lead out of."""
    if not subpath:
        return str(data)
    try:
        return mount_calls.path_within(str(data), subpath)
    except OSError as error:
        raise VolumeProblem(f"subpath {subpath} of volume {name}: {error.strerror}") from None


def _text(options: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(options.items())) or "none"
