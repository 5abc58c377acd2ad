"""Secrets and configs: create, read, label, renew and remove them.

The two differ in words, checks and in what a reader may see; what is done with them is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from swarmd.manager.control.core import Calls, in_use_by, read_spec, require
from swarmd.manager.control.file_versions import check_family, new_version
from swarmd.manager.control.filters import EitherName, NamedAs
from swarmd.manager.validate import secret as validate
from swarmd.model.errors import Code, Rejection, invalid, not_found, out_of_sequence
from swarmd.model.ids import ConfigId, SecretId
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.rpc.call import Call
from swarmd.rpc.convert.secret import CONFIG, CONFIG_SPEC, SECRET_SPEC, secret_to_pb
from swarmd.rpc.convert.table import Mapping
from swarmd.rpc.pb import control
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update
from swarmd.store.view import View

File = Secret | Config


class FileKind(NamedTuple):
    """What tells secrets and configs apart.

    `to_pb` leaves out what no answer may hold. `check_update` compares the spec there is with the
    one wanted, of which only labels may differ.
    """

    kind: Kind
    spec_mapping: Mapping[Any, Any]
    to_pb: Callable[[Any], Any]
    make: Callable[[str, Any], File]
    present: Callable[[View], tuple[File, ...]]
    users: Callable[[View, str], tuple[Service, ...]]
    check: Callable[[Any], None]
    check_update: Callable[[Any, Any], None]
    check_version: Callable[[Any], None]

    @property
    def word(self) -> str:
        return self.kind.value


SECRETS = FileKind(
    kind=Kind.SECRET,
    spec_mapping=SECRET_SPEC,
    to_pb=secret_to_pb,
    make=lambda secret_id, spec: Secret(id=SecretId(secret_id), spec=spec),
    present=View.secrets,
    users=View.services_using_secret,
    check=validate.check_secret_spec,
    check_update=validate.check_secret_update,
    check_version=validate.check_secret_version,
)
CONFIGS = FileKind(
    kind=Kind.CONFIG,
    spec_mapping=CONFIG_SPEC,
    to_pb=CONFIG.to_pb,
    make=lambda config_id, spec: Config(id=ConfigId(config_id), spec=spec),
    present=View.configs,
    users=View.services_using_config,
    check=validate.check_config_spec,
    check_update=validate.check_config_update,
    check_version=validate.check_config_version,
)


class FileCalls(Calls):
    async def CreateSecret(
        self, call: Call, request: control.CreateSecretRequest
    ) -> control.CreateSecretResponse:
        return control.CreateSecretResponse(secret=await self._create_file(SECRETS, request))

    async def CreateConfig(
        self, call: Call, request: control.CreateConfigRequest
    ) -> control.CreateConfigResponse:
        return control.CreateConfigResponse(config=await self._create_file(CONFIGS, request))

    async def GetSecret(
        self, call: Call, request: control.GetSecretRequest
    ) -> control.GetSecretResponse:
        return control.GetSecretResponse(secret=await self._get_file(SECRETS, request.secret_id))

    async def GetConfig(
        self, call: Call, request: control.GetConfigRequest
    ) -> control.GetConfigResponse:
        return control.GetConfigResponse(config=await self._get_file(CONFIGS, request.config_id))

    async def ListSecrets(
        self, call: Call, request: control.ListSecretsRequest
    ) -> control.ListSecretsResponse:
        """Without those that belong to the swarm itself."""
        return control.ListSecretsResponse(secrets=await self._list_files(SECRETS, request.filters))

    async def ListConfigs(
        self, call: Call, request: control.ListConfigsRequest
    ) -> control.ListConfigsResponse:
        return control.ListConfigsResponse(configs=await self._list_files(CONFIGS, request.filters))

    async def UpdateSecret(
        self, call: Call, request: control.UpdateSecretRequest
    ) -> control.UpdateSecretResponse:
        """Only labels change, unless a new version is asked for: that is a secret of its own."""
        updated = await self._update_file(SECRETS, request.secret_id, request)
        return control.UpdateSecretResponse(secret=updated)

    async def UpdateConfig(
        self, call: Call, request: control.UpdateConfigRequest
    ) -> control.UpdateConfigResponse:
        """Only labels change, unless a new version is asked for: that is a config of its own."""
        updated = await self._update_file(CONFIGS, request.config_id, request)
        return control.UpdateConfigResponse(config=updated)

    async def RemoveSecret(
        self, call: Call, request: control.RemoveSecretRequest
    ) -> control.RemoveSecretResponse:
        await self._remove_file(SECRETS, request.secret_id)
        return control.RemoveSecretResponse()

    async def RemoveConfig(
        self, call: Call, request: control.RemoveConfigRequest
    ) -> control.RemoveConfigResponse:
        await self._remove_file(CONFIGS, request.config_id)
        return control.RemoveConfigResponse()

    async def _create_file(self, what: FileKind, request: Any) -> Any:
        require(request, "spec")
        spec = read_spec(what.spec_mapping, request.spec)
        what.check(spec)
        check_family(what.word, spec.name, what.present(self._view))
        made = what.make(self._env.ids.new(), spec)
        await self._env.writer.submit(Transaction((Create(made, "created by a user"),)))
        return self._stored_file(what, made)

    async def _get_file(self, what: FileKind, file_id: str) -> Any:
        _require_id(what, file_id)
        await self._synchronize()
        return what.to_pb(self._found_file(what, file_id))

    async def _list_files(self, what: FileKind, filters: Any) -> list[Any]:
        await self._synchronize()
        chosen = EitherName(
            names=filters.names,
            name_prefixes=tuple(filters.name_prefixes),
            id_prefixes=tuple(filters.id_prefixes),
            labels=filters.labels,
        )
        return [
            what.to_pb(file)
            for file in what.present(self._view)
            if not (isinstance(file, Secret) and file.internal)
            and chosen.match(NamedAs(file.id, file.spec.name, file.spec.labels))
        ]

    async def _update_file(self, what: FileKind, file_id: str, request: Any) -> Any:
        _require_id(what, file_id)
        require(request, f"{what.word}_version", "spec")
        index = getattr(request, f"{what.word}_version").index
        spec = read_spec(what.spec_mapping, request.spec)
        await self._synchronize()
        old = self._found_file(what, file_id)
        if request.new_version:
            what.check_version(spec)
            async with self._references:
                present: Any = what.present(self._view)
                made = await new_version(self._env, old, spec, index=index, present=present)
            return self._stored_file(what, made)
        what.check_update(old.spec, spec)
        if old.version != index:
            raise out_of_sequence()
        new = replace(old, spec=replace(old.spec, labels=spec.labels))
        await self._env.writer.submit(
            Transaction((Update(new, base=old.version, reason="updated by a user"),))
        )
        return self._stored_file(what, new)

    async def _remove_file(self, what: FileKind, file_id: str) -> None:
        _require_id(what, file_id)
        await self._synchronize()
        async with self._references:
            file: Any = self._view.find(what.kind, file_id)
            if file is None:
                raise Rejection(Code.NOT_FOUND, f"could not find {what.word} {file_id}")
            users = what.users(self._view, file_id)
            if users:
                raise in_use_by(what.word, file.spec.name, users)
            remove = Delete(what.kind, file_id, reason="removed by a user")
            await self._env.writer.submit(Transaction((remove,)))

    def _found_file(self, what: FileKind, file_id: str) -> Any:
        file = self._view.find(what.kind, file_id)
        if file is None:
            raise not_found(what.word, file_id)
        return file

    def _stored_file(self, what: FileKind, file: File) -> Any:
        """The file as stored, or as it was written if somebody has removed it since."""
        return what.to_pb(self._view.find(what.kind, file.id) or file)


def _require_id(what: FileKind, file_id: str) -> None:
    if not file_id:
        raise invalid(f"{what.word} ID must be provided")
