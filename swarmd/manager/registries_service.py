"""`swarmd.v1.Registries`: the swarm's logins to registries, which no answer ever shows.

A login is an internal secret, so it lies in the encrypted journal and goes to the nodes that have
to pull with it, and to no others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from swarmd.manager import credential_helper
from swarmd.manager.control.core import SubmitsTransactions
from swarmd.manager.login_renewal import LoginRenewal
from swarmd.model import reference
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.registry_login import (
    HELPER,
    NOBODY,
    USERNAME,
    Credentials,
    login_id,
    login_secret,
    registry_of_login,
)
from swarmd.model.secret import Secret
from swarmd.rpc.call import Call
from swarmd.rpc.pb import registries as pb
from swarmd.store.changes import Create, Delete, Kind, Transaction, Update
from swarmd.store.view import View

REGISTRIES = "swarmd.v1.Registries"
FIELD_BYTES_MAX = 16 * 1024
LOGINS_MAX = 1000


class RegistriesService:
    """Reads and writes one manager's replica.

    Args:
        renewal: asks programs that tell logins.
        read_barrier: returns once the replica holds everything acknowledged before the call.
    """

    def __init__(
        self,
        view: View,
        writer: SubmitsTransactions,
        renewal: LoginRenewal,
        *,
        read_barrier: Callable[[], Awaitable[object]],
    ) -> None:
        self._view = view
        self._writer = writer
        self._renewal = renewal
        self._read_barrier = read_barrier

    async def Login(self, call: Call, request: pb.LoginRequest) -> pb.LoginResponse:
        registry = _registry(request.registry)
        credentials = Credentials(request.username, request.password, request.identity_token)
        if request.helper:
            _check_helper(request.helper, credentials)
            credentials = await self._renewal.told(request.helper, registry)
        _check(credentials)
        await self._read_barrier()
        wanted = login_secret(registry, credentials, helper=request.helper)
        old = self._find(registry)
        if old is None:
            if len(self._logins()) >= LOGINS_MAX:
                raise Rejection(
                    Code.RESOURCE_EXHAUSTED,
                    f"the swarm is logged in to {LOGINS_MAX} registries; log out of one first",
                )
            action: Create | Update = Create(wanted, f"logged in to {registry} by a user")
        else:
            new = replace(old, spec=wanted.spec)
            reason = f"logged in to {registry} again by a user"
            action = Update(new, base=old.version, reason=reason)
        await self._writer.submit(Transaction((action,)))
        self._renewal.problems.pop(registry, None)
        return pb.LoginResponse(login=self._message(registry, self._find(registry) or wanted))

    async def List(
        self, call: Call, request: pb.ListRegistriesRequest
    ) -> pb.ListRegistriesResponse:
        await self._read_barrier()
        logins = sorted(self._logins().items())
        return pb.ListRegistriesResponse(
            logins=[self._message(registry, secret) for registry, secret in logins]
        )

    async def Logout(self, call: Call, request: pb.LogoutRequest) -> pb.LogoutResponse:
        registry = _registry(request.registry)
        await self._read_barrier()
        old = self._find(registry)
        if old is None:
            raise Rejection(Code.NOT_FOUND, f"the swarm is not logged in to {registry}")
        delete = Delete(Kind.SECRET, old.id, reason=f"logged out of {registry} by a user")
        await self._writer.submit(Transaction((delete,)))
        return pb.LogoutResponse()

    def _find(self, registry: str) -> Secret | None:
        found = self._view.find(Kind.SECRET, login_id(registry))
        return found if isinstance(found, Secret) and found.internal else None

    def _message(self, registry: str, secret: Secret) -> pb.RegistryLogin:
        labels = secret.spec.labels
        helper = labels.get(HELPER, "")
        message = pb.RegistryLogin(
            registry=registry,
            username=labels.get(USERNAME, ""),
            helper=helper,
            problem=self._renewal.problems.get(registry, "") if helper else "",
        )
        message.created_at.FromNanoseconds(secret.created_at)
        message.updated_at.FromNanoseconds(secret.updated_at)
        return message

    def _logins(self) -> dict[str, Secret]:
        by_registry = {registry_of_login(secret): secret for secret in self._view.secrets()}
        by_registry.pop("", None)
        return by_registry


def _registry(text: str) -> str:
    """The registry as names of images have it, from what people write."""
    host = text.removeprefix("https://").removeprefix("http://").rstrip("/")
    if host in ("", "index.docker.io", "registry-1.docker.io", "index.docker.io/v1"):
        return reference.DOCKER_HUB
    try:
        found = reference.parse(f"{host}/image")
    except reference.BadReference:
        raise invalid(f"{text[:80]!r} is no registry; write registry.example.com:5000") from None
    if found.registry != host or found.path != "image":
        raise invalid(f"{text[:80]!r} is no registry; write registry.example.com:5000")
    return host


def _check_helper(helper: str, credentials: Credentials) -> None:
    if credentials != NOBODY:
        raise invalid("give a helper that tells the login, or the login itself; not both")
    if not credential_helper.is_name(helper):
        raise invalid(f"{helper[:80]!r} is no helper; for docker-credential-pass write pass")


def _check(credentials: Credentials) -> None:
    token = credentials.identity_token
    if not token and not (credentials.username and credentials.password):
        raise invalid("a login needs a user name and a password, or an identity token")
    if ":" in credentials.username:
        raise invalid("a user name for a registry can't hold a colon")
    for field in (credentials.username, credentials.password, token):
        if len(field.encode()) > FIELD_BYTES_MAX or "\0" in field or "\n" in field:
            raise invalid("the user name or the password is too long, or not of one line")
