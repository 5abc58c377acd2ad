"""Secrets: create, read, label and remove them. No answer holds a secret's data."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.manager.control.core import Calls, in_use_by, read_spec, require
from swarmd.manager.control.file_versions import check_family, new_version
from swarmd.manager.control.filters import EitherName, NamedAs
from swarmd.manager.validate.secret import (
    check_secret_spec,
    check_secret_update,
    check_secret_version,
)
from swarmd.model.errors import Code, Rejection, invalid, out_of_sequence
from swarmd.model.ids import SecretId
from swarmd.model.secret import Secret, SecretSpec
from swarmd.rpc.call import Call
from swarmd.rpc.convert.secret import SECRET_SPEC, secret_to_pb
from swarmd.rpc.pb import control, objects
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update


class SecretCalls(Calls):
    async def CreateSecret(
        self, call: Call, request: control.CreateSecretRequest
    ) -> control.CreateSecretResponse:
        require(request, "spec")
        spec: SecretSpec = read_spec(SECRET_SPEC, request.spec)
        check_secret_spec(spec)
        check_family("secret", spec.name, self._view.secrets())
        secret = Secret(id=SecretId(self._env.ids.new()), spec=spec)
        await self._env.writer.submit(Transaction((Create(secret, "created by a user"),)))
        return control.CreateSecretResponse(secret=self._stored_secret(secret))

    async def GetSecret(
        self, call: Call, request: control.GetSecretRequest
    ) -> control.GetSecretResponse:
        secret_id = _require_id(request.secret_id)
        await self._synchronize()
        return control.GetSecretResponse(secret=secret_to_pb(self._view.get_secret(secret_id)))

    async def ListSecrets(
        self, call: Call, request: control.ListSecretsRequest
    ) -> control.ListSecretsResponse:
        """Without those that belong to the swarm itself."""
        await self._synchronize()
        wanted = request.filters
        chosen = EitherName(
            names=wanted.names,
            name_prefixes=tuple(wanted.name_prefixes),
            id_prefixes=tuple(wanted.id_prefixes),
            labels=wanted.labels,
        )
        return control.ListSecretsResponse(
            secrets=[
                secret_to_pb(secret)
                for secret in self._view.secrets()
                if not secret.internal
                and chosen.match(NamedAs(secret.id, secret.spec.name, secret.spec.labels))
            ]
        )

    async def UpdateSecret(
        self, call: Call, request: control.UpdateSecretRequest
    ) -> control.UpdateSecretResponse:
        """Only labels change, unless a new version is asked for: that is a secret of its own."""
        secret_id = _require_id(request.secret_id)
        require(request, "secret_version", "spec")
        spec: SecretSpec = read_spec(SECRET_SPEC, request.spec)
        await self._synchronize()
        old = self._view.get_secret(secret_id)
        if request.new_version:
            check_secret_version(spec)
            async with self._references:
                made = await new_version(
                    self._env,
                    old,
                    spec,
                    index=request.secret_version.index,
                    present=self._view.secrets(),
                )
            return control.UpdateSecretResponse(secret=self._stored_secret(made))
        check_secret_update(old.spec, spec)
        if old.version != request.secret_version.index:
            raise out_of_sequence()
        new = replace(old, spec=replace(old.spec, labels=spec.labels))
        await self._env.writer.submit(
            Transaction((Update(new, base=old.version, reason="updated by a user"),))
        )
        return control.UpdateSecretResponse(secret=self._stored_secret(new))

    async def RemoveSecret(
        self, call: Call, request: control.RemoveSecretRequest
    ) -> control.RemoveSecretResponse:
        secret_id = _require_id(request.secret_id)
        await self._synchronize()
        async with self._references:
            secret = self._view.find_secret(secret_id)
            if secret is None:
                raise Rejection(Code.NOT_FOUND, f"could not find secret {secret_id}")
            users = self._view.services_using_secret(secret_id)
            if users:
                raise in_use_by("secret", secret.spec.name, users)
            remove = Delete(Kind.SECRET, secret_id, reason="removed by a user")
            await self._env.writer.submit(Transaction((remove,)))
        return control.RemoveSecretResponse()

    def _stored_secret(self, secret: Secret) -> objects.Secret:
        """The secret as stored, or as it was written if somebody has removed it since."""
        return secret_to_pb(self._view.find_secret(secret.id) or secret)


def _require_id(secret_id: str) -> str:
    if not secret_id:
        raise invalid("secret ID must be provided")
    return secret_id
