"""What services need of images: now, and to be rolled back."""

from __future__ import annotations

from msgspec.structs import replace

from swarmd.manager.wanted_images import WantedImagesService
from swarmd.model.ids import ServiceId
from swarmd.model.service import PastSpec, Service
from swarmd.model.spec import ContainerSpec, Mount, ServiceSpec, TaskSpec
from swarmd.model.states import MountType
from swarmd.rpc.call import Call, Peer
from swarmd.rpc.pb import images as pb
from swarmd.store.changes import Create
from tests.support.manager import a_manager


def a_spec(image: str, name: str = "web") -> ServiceSpec:
    return ServiceSpec(name=name, task_template=TaskSpec(container_spec=ContainerSpec(image=image)))


async def test_current_images_are_told_from_those_for_rolling_back() -> None:
    store, writer = a_manager()
    web = Service(
        id=ServiceId("s1"),
        spec=a_spec("web:3"),
        previous_spec=a_spec("web:2"),
        history=(PastSpec(spec=a_spec("web:1")), PastSpec(spec=a_spec("api:1"))),
    )
    api = replace(web, id=ServiceId("s2"), spec=a_spec("api:1", "api"))
    mounting = ContainerSpec(mounts=(Mount(type=MountType.IMAGE, source="site:1", target="/s"),))
    spec = ServiceSpec(name="process", task_template=TaskSpec(container_spec=mounting))
    process = Service(id=ServiceId("s3"), spec=spec)
    writer.write(*(Create(service) for service in (web, api, process)))
    service = WantedImagesService(store)
    answer = await service.List(Call(Peer(local=True), "x"), pb.ListWantedImagesRequest())
    assert list(answer.current) == ["api:1", "site:1", "web:3"]
    assert list(answer.earlier) == ["web:1", "web:2"]
