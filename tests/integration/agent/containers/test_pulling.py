"""Images pulled from a real registry on the loopback, and containers started from them."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swarmd.agent.describe import node_platform
from swarmd.agent.images.manifest import INDEXES, MANIFESTS
from swarmd.agent.images.problems import BadImage, NoSuchImage
from swarmd.agent.images.puller import Puller
from swarmd.model.reference import parse
from swarmd.model.registry_login import Credentials
from swarmd.model.states import TaskState
from tests.support import images
from tests.support.containers import (
    ContainerWorker,
    a_container,
    a_container_worker,
    an_id,
    needs_containers,
)
from tests.support.registry import PASSWORD, PROGRAM, USER, LocalRegistry, a_registry
from tests.support.token_service import a_token_service

pytestmark = [
    needs_containers,
    pytest.mark.skipif(
        PROGRAM is None, reason="no docker-registry; apt-get install docker-registry"
    ),
]


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[ContainerWorker]:
    async with a_container_worker(tmp_path) as running:
        running.files.assign(complete=True)  # or they wait for the swarm's logins
        yield running


def pushed(registry: LocalRegistry, tmp_path: Path, name: str = "team/app") -> str:
    layers = [
        images.busybox_layer(),
        *(images.layer([images.a_file(f"f{n}", bytes([n]) * 100_000)]) for n in range(5)),
    ]
    archive = images.oci_archive(tmp_path / "pushed.tar", "docker.io/library/x:1", layers)
    return registry.push(archive, name, "1", node_platform())


async def test_a_task_pulls_the_image_its_node_lacks(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    with a_registry(tmp_path) as registry:
        pushed(registry, tmp_path)
        output = await worker.run_to_end("sh", "-c", "ls /f*", image=f"{registry.host}/team/app:1")
    assert output.split() == [f"/f{n}" for n in range(5)]
    assert not list((worker.directory / "downloads").iterdir())


async def test_an_image_is_pulled_by_digest_and_found_by_it_without_its_registry(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    with a_registry(tmp_path) as registry:
        digest = pushed(registry, tmp_path)
        name = f"{registry.host}/team/app@{digest}"
        await worker.run_to_end("true", image=name)
    await worker.run_to_end("true", image=name)


async def test_of_an_index_the_image_for_this_node_is_pulled(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    with a_registry(tmp_path) as registry:
        digest = pushed(registry, tmp_path)
        own = {"architecture": images.ARCHITECTURE, "os": "linux"}
        index = {
            "schemaVersion": 2,
            "mediaType": INDEXES[0],
            "manifests": [
                {"mediaType": MANIFESTS[0], "digest": digest, "size": 1, "platform": own},
            ],
        }
        registry.push_manifest("team/app", "many", json.dumps(index).encode(), INDEXES[0])
        await worker.run_to_end("true", image=f"{registry.host}/team/app:many")


async def test_a_private_registry_answers_to_credentials_only(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    puller = worker.node_executor.puller
    assert puller is not None
    with a_registry(tmp_path, private=True) as registry:
        pushed(registry, tmp_path)
        name = parse(f"{registry.host}/team/app:1")
        with pytest.raises(NoSuchImage, match="does not show it to anybody"):
            await puller.pull(name, ())
        with pytest.raises(NoSuchImage, match=f"does not show it to {USER}"):
            await puller.pull(name, (Credentials(USER, "wrong"),))
        assert (
            await puller.pull(name, (Credentials(USER, "wrong"), Credentials(USER, PASSWORD)))
        ).name == str(name)


async def test_a_registry_that_wants_tokens_gets_them_for_the_repository_alone(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    puller = worker.node_executor.puller
    assert puller is not None
    with a_registry(tmp_path) as registry:
        pushed(registry, tmp_path)
    with (
        a_token_service(tmp_path, username=USER, password=PASSWORD) as tokens,
        a_registry(tmp_path, tokens=tokens) as registry,
    ):
        name = parse(f"{registry.host}/team/app:1")
        with pytest.raises(NoSuchImage, match="does not show it to anybody"):
            await puller.pull(name, ())
        with pytest.raises(NoSuchImage, match=f"does not show it to {USER}"):
            await puller.pull(name, (Credentials(USER, "wrong"),))
        image = await puller.pull(name, (Credentials(USER, PASSWORD),))
        assert image.name == str(name)
        # Tokens for pulling are good for minutes; what buys them is kept.
        with pytest.raises(NoSuchImage, match="does not show it to anybody"):
            await puller.pull(name, (Credentials(identity_token="another"),))
        await puller.pull(name, (Credentials(identity_token=tokens.identity_token),))
        assert set(tokens.scopes) == {"repository:team/app:pull"}


async def test_a_task_pulls_with_the_credentials_of_its_spec(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    document = json.dumps({"username": USER, "password": PASSWORD}).encode()
    with a_registry(tmp_path, private=True) as registry:
        pushed(registry, tmp_path)
        await worker.run_to_end(
            "true",
            image=f"{registry.host}/team/app:1",
            registry_auth=urlsafe_b64encode(document).decode(),
        )


async def test_a_tag_that_is_missing_rejects_the_task(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    task_id = an_id()
    with a_registry(tmp_path) as registry:
        pushed(registry, tmp_path)
        worker.assign(a_container(task_id, "true", image=f"{registry.host}/team/app:2"))
        status = await worker.ends(task_id)
    assert status.state == TaskState.REJECTED
    assert status.err == f"no such image: {registry.host}/team/app:2"


async def test_a_registry_that_is_down_delays_the_task_and_says_so(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    task_id = an_id()
    with a_registry(tmp_path) as registry:
        pushed(registry, tmp_path)
    worker.assign(a_container(task_id, "true", image=f"{registry.host}/team/app:1"))
    await worker.says(task_id, f"{registry.host} cannot be reached")
    assert worker.status(task_id).state == TaskState.PREPARING


async def test_what_is_damaged_in_the_store_of_a_registry_is_not_run(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    def altered(blob: Path) -> None:
        data = blob.read_bytes()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def shortened(blob: Path) -> None:
        blob.write_bytes(blob.read_bytes()[:-100])

    damages = {
        "altered": (altered, "sent something else than sha256:"),
        "shortened": (shortened, "bytes of sha256:"),
        "removed": (Path.unlink, "lacks sha256:"),
    }
    with a_registry(tmp_path) as registry:
        expected = {}
        tasks = []
        for word, (damage, sentence) in damages.items():
            layers = [images.layer([images.a_file(word, word.encode() * 1000)])]
            archive = images.docker_archive(tmp_path / f"{word}.tar", "x:1", layers)
            registry.push(archive, f"team/{word}", "1", node_platform())
            hexadecimal = images.digest(layers[0]).removeprefix("sha256:")
            (blob,) = tmp_path.glob(f"registry/docker/registry/v2/blobs/*/*/{hexadecimal}/data")
            damage(blob)
            task_id = an_id()
            expected[task_id] = sentence
            tasks.append(a_container(task_id, "true", image=f"{registry.host}/team/{word}:1"))
        worker.assign(*tasks)
        for task_id, sentence in expected.items():
            status = await worker.ends(task_id)
            assert status.state is TaskState.REJECTED, status
            assert sentence in status.err
    assert not list((worker.directory / "downloads").iterdir())


async def test_an_image_for_other_machines_is_refused_with_what_it_is_for(
    worker: ContainerWorker, tmp_path: Path
) -> None:
    puller: Puller | None = worker.node_executor.puller
    assert puller is not None
    layers = [images.layer([images.a_file("x")])]
    archive = images.docker_archive(
        tmp_path / "other.tar", "x:1", layers, images.a_config(layers, architecture="s390x")
    )
    with a_registry(tmp_path) as registry:
        registry.push(archive, "team/other", "1", node_platform())
        with pytest.raises(BadImage, match="made for linux/s390x"):
            await puller.pull(parse(f"{registry.host}/team/other:1"), ())
