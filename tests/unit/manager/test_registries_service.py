"""Logins of the swarm: kept as secrets nobody sees, renewed in place, forgotten on request."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.manager.registries_service import RegistriesService
from swarmd.model.errors import Code, Rejection
from swarmd.model.registry_login import Credentials, credentials_of, login_id_for
from swarmd.model.secret import Secret
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import registries as pb
from swarmd.store.changes import Kind
from tests.support.manager import a_manager

CALL = Call(Peer(local=True), "a method")


class Scene:
    def __init__(self) -> None:
        self.store, self.writer = a_manager("n1")

        async def barrier() -> None:
            await asyncio.sleep(0)

        self.service = RegistriesService(self.store, self.writer, read_barrier=barrier)

    async def login(self, registry: str, password: str = "pw", **fields: str) -> str:
        request = pb.LoginRequest(
            registry=registry, **{"username": "me", "password": password, **fields}
        )
        return (await self.service.Login(CALL, request)).login.registry

    async def listed(self) -> list[tuple[str, str]]:
        answer = await self.service.List(CALL, pb.ListRegistriesRequest())
        return [(row.registry, row.username) for row in answer.logins]

    def secret(self, image: str) -> Secret | None:
        found = self.store.find(Kind.SECRET, login_id_for(image) or "")
        return found if isinstance(found, Secret) else None


async def test_a_login_is_a_secret_of_the_swarms_own_which_logging_in_again_changes() -> None:
    scene = Scene()
    await scene.login("reg.test:5000", "old")
    first = scene.secret("reg.test:5000/app")
    assert first is not None
    assert first.internal
    await scene.login("reg.test:5000", "new")
    second = scene.secret("reg.test:5000/app")
    assert second is not None
    assert second.version > first.version
    assert credentials_of(second) == Credentials("me", "new")
    assert await scene.listed() == [("reg.test:5000", "me")]
    await scene.service.Logout(CALL, pb.LogoutRequest(registry="reg.test:5000"))
    assert scene.secret("reg.test:5000/app") is None
    with pytest.raises(Rejection, match=r"not logged in to reg\.test:5000"):
        await scene.service.Logout(CALL, pb.LogoutRequest(registry="reg.test:5000"))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("https://reg.test/", "reg.test"),
        ("localhost:5000", "localhost:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("nodots", None),
        ("reg.test/team", None),
        ("a b", None),
    ],
)
async def test_a_registry_is_called_what_names_of_images_call_it(
    given: str, kept: str | None
) -> None:
    if kept is None:
        with pytest.raises(Rejection, match="is no registry"):
            await Scene().login(given)
    else:
        assert await Scene().login(given) == kept


@pytest.mark.parametrize(
    "fields",
    [
        {"password": ""},
        {"username": ""},
        {"username": "a:b"},
        {"password": "x" * 20_000},
        {"password": "a\nb"},
    ],
)
async def test_a_login_that_is_none_is_refused_and_not_repeated(fields: dict[str, str]) -> None:
    scene = Scene()
    with pytest.raises(Rejection) as refused:
        await scene.login("reg.test", **fields)
    assert refused.value.code is Code.INVALID_ARGUMENT
    assert "x" * 100 not in refused.value.message
    assert await scene.listed() == []


async def test_a_token_alone_is_a_login() -> None:
    scene = Scene()
    await scene.login("reg.test", username="", password="", identity_token="t")
    secret = scene.secret("reg.test/app")
    assert secret is not None
    assert credentials_of(secret) == Credentials(identity_token="t")
