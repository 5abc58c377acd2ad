"""The calls of `swarmd.v1.Images` for which a registry is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any

from swarmd.agent.images.fetching import Fetch
from swarmd.agent.images.problems import Unreachable
from swarmd.agent.images.registry import Registry
from swarmd.agent.images.store import Image
from swarmd.model import reference
from swarmd.model.reference import Reference
from swarmd.model.registry_login import (
    NOBODY,
    Credentials,
    credentials_of,
    decode_credentials,
    login_id,
)
from swarmd.model.secret import Secret
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb
from swarmd.runtime.supervise import Supervisor
from swarmd.runtime.timeouts import timeout
from swarmd.store.changes import Kind

from .executor_access import ExecutorAccess, image_message
from .image_problems import explained
from .node_images import asked_for

if TYPE_CHECKING:
    from .daemon import Daemon

PROGRESS_S = 0.2
# A service is created all the same if its registry takes longer to name a digest.
RESOLVE_S = 10.0


class RegistryCalls:
    """Pulls for one daemon; on a manager with the swarm's logins."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._access = ExecutorAccess(daemon)
        self._pulls = Supervisor("pulls")

    async def Pull(
        self, call: Call, request: pb.PullImageRequest
    ) -> AsyncIterator[pb.PullImageResponse]:
        puller = self._access.puller()
        with explained():
            name, given = asked_for(request)
            logins = self._logins(name, *given)
            outcome: asyncio.Future[Image] = asyncio.get_running_loop().create_future()
            pulling = self._pulls.spawn(_into(outcome, puller.pull(name, logins)), name=str(name))
            try:
                said = None
                while not (await asyncio.wait({outcome}, timeout=PROGRESS_S))[0]:
                    progress = _progress(puller.progress(name))
                    if progress is not None and progress != said:
                        yield progress
                        said = progress
                yield pb.PullImageResponse(image=image_message(outcome.result()))
            finally:
                pulling.cancel()

    async def Resolve(self, call: Call, request: pb.ResolveImageRequest) -> pb.ResolveImageResponse:
        puller = self._access.puller()
        with explained():
            name = reference.parse(request.name)
            logins = self._logins(name, decode_credentials(request.registry_auth))
            if await self._is_loaded(name):
                return pb.ResolveImageResponse()
            try:
                async with timeout(RESOLVE_S):
                    digest = await puller.resolve(name, logins)
            except TimeoutError:
                raise Unreachable(
                    f"{name.registry} named no digest within {RESOLVE_S:g} s"
                ) from None
        return pb.ResolveImageResponse(digest=digest)

    async def CheckLogin(self, call: Call, request: pb.CheckLoginRequest) -> pb.CheckLoginResponse:
        login = Credentials(request.username, request.password, request.identity_token)
        with explained():
            registry = request.registry or reference.DOCKER_HUB
            reference.parse(f"{registry}/image")
            asked = Registry(Reference(registry=registry, path=""), login)
            await asyncio.to_thread(asked.check_login)
        return pb.CheckLoginResponse()

    async def _is_loaded(self, name: Reference) -> bool:
        """Whether somebody has given this node the image by hand, as one does without registry."""
        store = self._access.store()
        if not store.may_have_images:
            return False
        image = await store.find(name)
        return image is not None and image.is_loaded

    def _logins(self, name: Reference, *own: Credentials) -> tuple[Credentials, ...]:
        """As whom to ask, one after the other: as the caller says, or as the swarm."""
        given = tuple(login for login in own if login != NOBODY)
        member = self._daemon.member
        manager = member.managing.manager if member is not None else None
        if given or manager is None:
            return given
        secret = manager.store.find(Kind.SECRET, login_id(name.registry))
        return (credentials_of(secret),) if isinstance(secret, Secret) and secret.internal else ()


def _progress(fetch: Fetch | None) -> pb.PullImageResponse | None:
    if fetch is None:
        return None
    return pb.PullImageResponse(
        bytes_done=fetch.bytes_done,
        bytes_total=fetch.bytes_total,
        unpacking=fetch.is_complete,
        silence=fetch.silence,
    )


async def _into(outcome: asyncio.Future[Image], work: Coroutine[Any, Any, Image]) -> None:
    """Leave the result, or what went wrong, to whoever waits."""
    try:
        outcome.set_result(await work)
    except Exception as error:
        outcome.set_exception(error)
