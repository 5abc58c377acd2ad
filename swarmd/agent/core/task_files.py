"""The files of a task that come from secrets and configs: where each lies, and what is in it.

Names that are not absolute are meant from /run/secrets for secrets; for configs from the root of a
container, and from /run/configs for a process, which shares the node's root. What is in a file with
templating is expanded for the task that gets it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import TypeVar

from swarmd.agent.core.launch import Unfit
from swarmd.model.record import Record
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import ContainerSpec, FileTarget
from swarmd.model.template import TemplateContext, TemplateError, expand

SECRETS = "/run/secrets"
MODE = 0o444
GOLANG = "golang"
ID_MAX = 2**32 - 2


class TaskFile(Record, frozen=True):
    """A file as the task sees it."""

    target: str  # absolute
    data: bytes
    uid: int = 0
    gid: int = 0
    mode: int = MODE

    def __repr__(self) -> str:
        return f"TaskFile({self.target!r}, {len(self.data)} bytes hidden)"


class Missing(Exception):
    """A secret or config is not on the node; the message is a phrase that names it."""


def task_files(
    spec: ContainerSpec,
    context: TemplateContext,
    *,
    secrets: Mapping[str, Secret],
    configs: Mapping[str, Config],
    configs_directory: str = "/",
) -> tuple[TaskFile, ...]:
    """The files for a task whose spec, with its templates expanded, is `spec`.

    Raises:
        Missing: one of them is not among `secrets` and `configs`, which are by id.
        Unfit: one of them can't be made for this task, ever.
    """
    found_secrets = {
        row.secret_name: _get(secrets, row.secret_id, f"secret {row.secret_name}")
        for row in spec.secrets
    }
    found_configs = {
        row.config_name: _get(configs, row.config_id, f"config {row.config_name}")
        for row in spec.configs
    }
    by_file = _Contents(spec, context, found_secrets, found_configs)
    files = [
        _file(row.file, by_file.secret(row.file.name), base=SECRETS, kind="secret")
        for row in spec.secrets
        if row.file is not None
    ]
    files += [
        _file(row.file, by_file.config(row.file.name), base=configs_directory, kind="config")
        for row in spec.configs
        if row.file is not None
    ]
    seen: set[str] = set()
    for file in files:
        if file.target in seen:
            raise Unfit(f"two secrets or configs have the target {file.target}; choose another")
        seen.add(file.target)
    return tuple(files)


class _Contents:
    """What is in the files, by the names that templates of other files know them by."""

    def __init__(
        self,
        spec: ContainerSpec,
        context: TemplateContext,
        secrets: Mapping[str, Secret],
        configs: Mapping[str, Config],
    ) -> None:
        self._context = context
        self._secrets = {r.file.name: secrets[r.secret_name] for r in spec.secrets if r.file}
        self._configs = {r.file.name: configs[r.config_name] for r in spec.configs if r.file}
        self._env = dict(item.partition("=")[::2] for item in spec.env)

    def secret(self, name: str) -> bytes:
        return self._expanded(self._secrets[name], f"secret {name}")

    def config(self, name: str) -> bytes:
        return self._expanded(self._configs[name], f"config {name}")

    def _expanded(self, record: Secret | Config, what: str) -> bytes:
        driver = record.spec.templating.name if record.spec.templating else ""
        if not driver:
            return record.spec.data
        if driver != GOLANG:
            raise Unfit(f"{what} asks for templating {driver!r}; only {GOLANG} is known")
        try:
            text = record.spec.data.decode()
        except UnicodeDecodeError:
            raise Unfit(f"{what} is a template, but no text in UTF-8") from None
        functions: dict[str, Callable[[str], str]] = {
            "secret": lambda name: _text(self._secrets, name, "secret"),
            "config": lambda name: _text(self._configs, name, "config"),
            "env": lambda name: _of(self._env, name, "environment variable"),
        }
        try:
            return expand(text, self._context, functions).encode()
        except TemplateError as error:
            raise Unfit(f"{what} can't be expanded: {error}") from None


def _text(records: Mapping[str, Secret] | Mapping[str, Config], name: str, kind: str) -> str:
    record = records.get(name)
    if record is None:
        raise TemplateError(f"the task has no {kind} with the target {name!r}")
    try:
        return record.spec.data.decode()
    except UnicodeDecodeError:
        raise TemplateError(f"{kind} {name} is no text in UTF-8") from None


def _of(values: Mapping[str, str], name: str, kind: str) -> str:
    if name not in values:
        raise TemplateError(f"the task has no {kind} {name!r}")
    return values[name]


R = TypeVar("R", Secret, Config)


def _get(records: Mapping[str, R], file_id: str, what: str) -> R:
    found = records.get(file_id)
    if found is None:
        raise Missing(what)
    return found


def _file(target: FileTarget, data: bytes, *, base: str, kind: str) -> TaskFile:
    what = f"{kind} {target.name}"
    if ".." in target.name.split("/"):
        raise Unfit(f"{what}: its target must not contain '..'")
    path = posixpath.normpath(posixpath.join(base, target.name))
    if path in ("/", base):
        raise Unfit(f"{what}: its target is a directory")
    return TaskFile(
        target=path,
        data=data,
        uid=_account(target.uid, what),
        gid=_account(target.gid, what),
        mode=target.mode or MODE,
    )


def _account(text: str, what: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or int(text) > ID_MAX:
        raise Unfit(f"{what} is to belong to {text!r}; give the owner as a number")
    return int(text)
