"""The image of a service as it is stored: by digest, and with the login its nodes may need.

The digest is what the registry has under the name at this moment, so that all nodes run the same,
today and when a task moves. It is looked up by the daemon that the command talks to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from swarmd.model import reference
from swarmd.rpc.errors import RpcError
from swarmd.rpc.pb import images as pb

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.spec import ServiceSpec

IMAGES = "swarmd.v1.Images"
RESOLVE_S_MAX = 30.0


async def image_fields(
    client: Client, image: str, *, resolve: bool, with_login: bool
) -> dict[str, Any]:
    """The fields of a container spec that say which image it is and who may pull it.

    Args:
        resolve: have the digest looked up; if that fails, say so and go on without.
        with_login: send along what `docker login` has left on this machine.

    Raises:
        CliError: that can't be read.
    """
    from swarmd.cli.docker_logins import registry_auth

    login = registry_auth(image) if with_login else ""
    fields = {"registry_auth": login} if login else {}
    return {**fields, "image": await _pinned(client, image, login) if resolve else image}


async def located(client: Client, spec: ServiceSpec, flags: dict[str, Any]) -> ServiceSpec:
    """A new service's spec with its image as it is to be stored."""
    container = spec.task_template.container_spec
    if container is None or not container.image:
        return spec
    fields = await image_fields(
        client,
        container.image,
        resolve=not flags["no_resolve_image"],
        with_login=flags["with_registry_auth"],
    )
    task = replace(spec.task_template, container_spec=replace(container, **fields))
    return replace(spec, task_template=task)


async def changed_image(
    client: Client, present: ServiceSpec, flags: dict[str, Any]
) -> dict[str, Any]:
    """What an update says about the image of a service; nothing unless a flag concerns it."""
    container = present.task_template.container_spec
    image = flags["image"] or (container.image if container is not None else "")
    if not image or not (flags["image"] or flags["with_registry_auth"]):
        return {}
    return await image_fields(
        client,
        image,
        resolve=bool(flags["image"]) and not flags["no_resolve_image"],
        with_login=flags["with_registry_auth"],
    )


async def _pinned(client: Client, image: str, login: str) -> str:
    try:
        if reference.parse(image).digest:
            return image
    except reference.BadReference:
        return image  # the manager says what is wrong with it
    request = pb.ResolveImageRequest(name=image, registry_auth=login)
    try:
        answer = await client.stub(IMAGES).Resolve(request, timeout_s=RESOLVE_S_MAX)
    except RpcError as error:
        click.echo(
            f"{image} is not pinned to a digest, so nodes may come to run different versions of "
            f"it: {error.message}",
            err=True,
        )
        return image
    return f"{image}@{answer.digest}" if answer.digest else image
