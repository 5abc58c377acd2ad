"""Configs: create, read, label and remove them."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.manager.control.core import Calls, in_use_by, read_spec, require
from swarmd.manager.control.file_versions import check_family, new_version
from swarmd.manager.control.filters import EitherName, NamedAs
from swarmd.manager.validate.secret import (
    check_config_spec,
    check_config_update,
    check_config_version,
)
from swarmd.model.errors import Code, Rejection, invalid, out_of_sequence
from swarmd.model.ids import ConfigId
from swarmd.model.secret import Config, ConfigSpec
from swarmd.rpc.call import Call
from swarmd.rpc.convert.secret import CONFIG, CONFIG_SPEC
from swarmd.rpc.pb import control, objects
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update


class ConfigCalls(Calls):
    async def CreateConfig(
        self, call: Call, request: control.CreateConfigRequest
    ) -> control.CreateConfigResponse:
        require(request, "spec")
        spec: ConfigSpec = read_spec(CONFIG_SPEC, request.spec)
        check_config_spec(spec)
        check_family("config", spec.name, self._view.configs())
        config = Config(id=ConfigId(self._env.ids.new()), spec=spec)
        await self._env.writer.submit(Transaction((Create(config, "created by a user"),)))
        return control.CreateConfigResponse(config=self._stored_config(config))

    async def GetConfig(
        self, call: Call, request: control.GetConfigRequest
    ) -> control.GetConfigResponse:
        config_id = _require_id(request.config_id)
        await self._synchronize()
        return control.GetConfigResponse(config=CONFIG.to_pb(self._view.get_config(config_id)))

    async def ListConfigs(
        self, call: Call, request: control.ListConfigsRequest
    ) -> control.ListConfigsResponse:
        await self._synchronize()
        wanted = request.filters
        chosen = EitherName(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        return control.ListConfigsResponse(
            configs=[
                CONFIG.to_pb(config)
                for config in self._view.configs()
                if chosen.match(NamedAs(config.id, config.spec.name, config.spec.labels))
            ]
        )

    async def UpdateConfig(
        self, call: Call, request: control.UpdateConfigRequest
    ) -> control.UpdateConfigResponse:
        """Only labels change, unless a new version is asked for: that is a config of its own."""
        config_id = _require_id(request.config_id)
        require(request, "config_version", "spec")
        spec: ConfigSpec = read_spec(CONFIG_SPEC, request.spec)
        await self._synchronize()
        old = self._view.get_config(config_id)
        if request.new_version:
            check_config_version(spec)
            async with self._references:
                made = await new_version(
                    self._env,
                    old,
                    spec,
                    index=request.config_version.index,
                    present=self._view.configs(),
                )
            return control.UpdateConfigResponse(config=self._stored_config(made))
        check_config_update(old.spec, spec)
        if old.version != request.config_version.index:
            raise out_of_sequence()
        new = replace(old, spec=replace(old.spec, labels=spec.labels))
        await self._env.writer.submit(
            Transaction((Update(new, base=old.version, reason="updated by a user"),))
        )
        return control.UpdateConfigResponse(config=self._stored_config(new))

    async def RemoveConfig(
        self, call: Call, request: control.RemoveConfigRequest
    ) -> control.RemoveConfigResponse:
        config_id = _require_id(request.config_id)
        await self._synchronize()
        async with self._references:
            config = self._view.find_config(config_id)
            if config is None:
                raise Rejection(Code.NOT_FOUND, f"could not find config {config_id}")
            users = self._view.services_using_config(config_id)
            if users:
                raise in_use_by("config", config.spec.name, users)
            remove = Delete(Kind.CONFIG, config_id, reason="removed by a user")
            await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveConfigResponse()

    def _stored_config(self, config: Config) -> objects.Config:
        """The config as stored, or as it was written if somebody has removed it since."""
        return CONFIG.to_pb(self._view.find_config(config.id) or config)


def _require_id(config_id: str) -> str:
    if not config_id:
        raise invalid("config ID must be provided")
    return config_id
