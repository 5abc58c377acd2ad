"""Logins of the swarm: kept as secrets nobody sees, renewed in place, forgotten on request."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.manager.credential_helper import HelperFailed
from swarmd.manager.login_renewal import LoginRenewal
from swarmd.manager.registries_service import RegistriesService
from swarmd.model.errors import Code, Rejection
from swarmd.model.registry_login import NOBODY, Credentials, credentials_of, login_id_for
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

        self.kept: dict[str, Credentials | HelperFailed] = {}
        self.renewal = LoginRenewal(self.store, self.writer, ask=self.ask)
        self.service = RegistriesService(
            self.store, self.writer, self.renewal, read_barrier=barrier
        )

    def ask(self, helper: str, registry: str) -> Credentials:
        found = self.kept.get(f"{helper} {registry}", NOBODY)
        if isinstance(found, HelperFailed):
            raise found
        return found

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


async def test_a_helper_tells_a_login_and_again_when_it_has_changed() -> None:
    scene = Scene()
    by_helper = {"username": "", "password": "", "helper": "pass"}
    with pytest.raises(Rejection, match=r"docker-credential-pass .*knows no login to reg\.test"):
        await scene.login("reg.test", **by_helper)
    scene.kept["pass reg.test"] = Credentials("me", "of today")
    await scene.login("reg.test", **by_helper)
    await scene.login("other.test", "by hand")
    written = len(scene.writer.entries)
    await scene.renewal.look()
    assert len(scene.writer.entries) == written  # nothing has changed
    scene.kept["pass reg.test"] = Credentials("you", "of tomorrow")
    await scene.renewal.look()
    secret = scene.secret("reg.test/app")
    assert secret is not None
    assert credentials_of(secret) == Credentials("you", "of tomorrow")
    other = scene.secret("other.test/app")
    assert other is not None
    assert credentials_of(other) == Credentials("me", "by hand")

    # One that fails is told of, and the login stays as it was for as long as it is good.
    scene.kept["pass reg.test"] = HelperFailed("docker-credential-pass is not installed")
    await scene.renewal.look()
    rows = (await scene.service.List(CALL, pb.ListRegistriesRequest())).logins
    assert [(row.registry, row.username, row.helper, row.problem) for row in rows] == [
        ("other.test", "me", "", ""),
        ("reg.test", "you", "pass", "on the leader, docker-credential-pass is not installed"),
    ]
    assert scene.secret("reg.test/app") == secret
    await scene.login("reg.test", "by hand")  # the helper is forgotten
    scene.kept["pass reg.test"] = Credentials("you", "of next week")
    await scene.renewal.look()
    rows = (await scene.service.List(CALL, pb.ListRegistriesRequest())).logins
    assert [(row.username, row.problem) for row in rows] == [("me", ""), ("me", "")]


@pytest.mark.parametrize("fields", [{"helper": "../x"}, {"helper": "a b"}, {"password": "pw"}])
async def test_a_helper_is_a_name_and_tells_the_login_alone(fields: dict[str, str]) -> None:
    given = {"username": "", "password": "", "helper": "pass", **fields}
    with pytest.raises(Rejection) as refused:
        await Scene().login("reg.test", **given)
    assert refused.value.code is Code.INVALID_ARGUMENT
