"""The calls of `swarmd.v1.Images` that managers may make, too: of any node, by errands."""

from __future__ import annotations

from collections.abc import Callable

from swarmd.agent.executors.node import NodeExecutor
from swarmd.model.errors import Code, Rejection
from swarmd.model.reference import Reference, parse
from swarmd.model.registry_login import NOBODY, Credentials, decode_credentials
from swarmd.rpc.call import Call
from swarmd.rpc.pb import images as pb

from .executor_access import image_cleaner, image_message, image_puller, image_store
from .image_problems import explained


class NodeImages:
    """Answers for one node; whoever reaches it may ask everything.

    Args:
        executor: finds what runs the node's tasks; raises a `Rejection` where nothing does.
    """

    def __init__(self, executor: Callable[[], NodeExecutor]) -> None:
        self._executor = executor

    async def List(self, call: Call, request: pb.ListImagesRequest) -> pb.ListImagesResponse:
        store = image_store(self._executor())
        if not store.may_have_images:
            return pb.ListImagesResponse()
        with explained():
            images = await store.images()
        return pb.ListImagesResponse(images=map(image_message, images))

    async def Fetch(self, call: Call, request: pb.PullImageRequest) -> pb.FetchImageResponse:
        puller = image_puller(self._executor())
        with explained():
            name, logins = asked_for(request)
            image = await puller.pull(name, logins)
        return pb.FetchImageResponse(image=image_message(image))

    async def Remove(self, call: Call, request: pb.RemoveImageRequest) -> pb.RemoveImageResponse:
        store = image_store(self._executor())
        with explained():
            removed = await store.remove(parse(request.name))
        if not removed:
            raise Rejection(Code.NOT_FOUND, f"this node has no image {request.name}")
        return pb.RemoveImageResponse()

    async def Prune(self, call: Call, request: pb.PruneImagesRequest) -> pb.PruneImagesResponse:
        cleaner = image_cleaner(self._executor())
        with explained():
            removed = await cleaner.prune(earlier=request.all)
        return pb.PruneImagesResponse(names=[parse(name).familiar for name in removed])


def asked_for(request: pb.PullImageRequest) -> tuple[Reference, tuple[Credentials, ...]]:
    """Which image is to be pulled, and as whom to ask for it; nobody is left out.

    Raises:
        BadReference, BadCredentials
    """
    logins = (
        Credentials(request.username, request.password),
        decode_credentials(request.registry_auth),
    )
    return parse(request.name), tuple(login for login in logins if login != NOBODY)
