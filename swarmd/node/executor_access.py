"""The way from a daemon's calls to the executor of its node, its images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarmd.agent.executors.node import NodeExecutor
from swarmd.agent.images.cleaner import Cleaner
from swarmd.agent.images.puller import Puller
from swarmd.agent.images.store import Image, ImageStore
from swarmd.agent.volumes import VolumeStore
from swarmd.model.errors import failed_precondition
from swarmd.model.reference import parse
from swarmd.rpc.pb import images as pb

if TYPE_CHECKING:
    from .daemon import Daemon


class ExecutorAccess:
    """Finds what calls work on, or says why there is nothing."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def executor(self) -> NodeExecutor:
        member = self._daemon.member
        if member is None:
            raise failed_precondition(
                "this node is not part of a swarm; `swarmd init` or `swarmd join` first"
            )
        return member.agent.executor

    def volumes(self) -> VolumeStore:
        return self.executor().volumes

    def store(self) -> ImageStore:
        return image_store(self.executor())

    def puller(self) -> Puller:
        return image_puller(self.executor())


def image_store(executor: NodeExecutor) -> ImageStore:
    """The images of a node.

    Raises:
        Rejection: it can have none.
    """
    if executor.images is None:
        raise failed_precondition(f"this node can't use images: {executor.why_no_images}")
    return executor.images


def image_cleaner(executor: NodeExecutor) -> Cleaner:
    """What removes images of a node; raises as `image_store` does."""
    image_store(executor)
    if executor.cleaner is None:
        raise AssertionError("whoever has images can remove them")
    return executor.cleaner


def image_puller(executor: NodeExecutor) -> Puller:
    """What pulls images for a node; raises as `image_store` does."""
    image_store(executor)
    if executor.puller is None:
        raise AssertionError("whoever has images can pull them")
    return executor.puller


def image_message(image: Image) -> pb.Image:
    message = pb.Image(
        name=parse(image.name).familiar,
        digest=image.digest,
        id=image.config_digest,
        size_bytes=image.size_bytes,
    )
    message.created_at.FromNanoseconds(image.created_ns)
    message.used_at.FromNanoseconds(image.used_ns)
    return message
