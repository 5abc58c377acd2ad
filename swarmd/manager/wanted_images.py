"""`swarmd.v1.WantedImages`: what nodes ask before they delete images."""

from __future__ import annotations

from swarmd.model.mounts import images_of
from swarmd.model.service import Service
from swarmd.model.spec import ServiceSpec
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb
from swarmd.store.view import View

WANTED_IMAGES = "swarmd.v1.WantedImages"


class WantedImagesService:
    """Answers from one manager's replica, which may lag a moment behind: nodes keep the images of
    the tasks they have whatever the answer is."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def List(
        self, call: Call, request: pb.ListWantedImagesRequest
    ) -> pb.ListWantedImagesResponse:
        current: dict[str, None] = {}
        earlier: dict[str, None] = {}
        for service in self._view.services():
            current.update(dict.fromkeys(_images(service.spec)))
            for spec in past_specs(service):
                earlier.update(dict.fromkeys(_images(spec)))
        return pb.ListWantedImagesResponse(
            current=sorted(current),
            earlier=sorted(image for image in earlier if image not in current),
        )


def past_specs(service: Service) -> tuple[ServiceSpec, ...]:
    """What a service can be rolled back to."""
    previous = (service.previous_spec,) if service.previous_spec is not None else ()
    return (*previous, *(past.spec for past in service.history))


def _images(spec: ServiceSpec) -> tuple[str, ...]:
    container = spec.task_template.container_spec
    return images_of(container) if container is not None else ()
