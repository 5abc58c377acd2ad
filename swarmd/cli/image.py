"""`swarmd image`: the images of a node.

Every node has its own; a node without an image that a task needs pulls it, unless the image is in
no registry: then it is loaded on each node that is to run it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from swarmd.cli.image_write import ELSEWHERE, is_elsewhere
from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.listing import options
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.rpc.pb import images as pb

PORTION_BYTES = 256 * 1024
LOAD_S_MAX = 1800.0
SHORT_ID = 12
SERVICE = "swarmd.v1.Images"


@click.group(
    cls=LazyGroup,
    entries={
        "ls": Entry("swarmd.cli.image:ls", "List the images of this node"),
        "pull": Entry("swarmd.cli.image_write:pull", "Fetch images from their registries"),
        "save": Entry("swarmd.cli.image:save", "Write images into an archive"),
        "load": Entry("swarmd.cli.image:load", "Take in an archive of `docker save`"),
        "import": Entry("swarmd.cli.image:import_", "Make an image of a root filesystem"),
        "prune": Entry("swarmd.cli.image_write:prune", "Remove images that no service needs"),
        "rm": Entry("swarmd.cli.image_write:rm", "Remove images"),
    },
)
def image() -> None:
    """Images of this node."""


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Print ids only.")
@options(ELSEWHERE)
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
@click.pass_obj
def ls(
    target: Target, /, quiet: bool, nodes: tuple[str, ...], all_nodes: bool, output: str
) -> None:
    """List the images of this node, or through a manager those of others."""
    from swarmd.cli import images_client, render
    from swarmd.cli.client import Client, run
    from swarmd.cli.words import age, size

    elsewhere = is_elsewhere(nodes, all_nodes=all_nodes)

    async def work(client: Client) -> list[images_client.Placed]:
        if elsewhere:
            return await images_client.images_of(client, nodes)
        return await images_client.own_images(client)

    found = run(target, work)
    if quiet:
        for short in dict.fromkeys(_short(row.image.id) for row in found):
            click.echo(short)
    elif output == render.JSON:
        render.json_lines([_document(row.image, row.node) for row in found])
    else:
        now = target.clock.now()
        columns = ["IMAGE", *(["NODE"] if elsewhere else []), "ID", "CREATED", "SIZE"]
        rows = [
            (
                image.name,
                *([node] if node else []),
                _short(image.id),
                age(now - image.created_at.ToNanoseconds()),
                size(image.size_bytes),
            )
            for image, node in found
        ]
        render.table(columns, rows, wrap="IMAGE")


def _document(image: pb.Image, node: str) -> dict[str, Any]:
    document = {
        "Name": image.name,
        "ID": image.id,
        "Digest": image.digest,
        "Size": image.size_bytes,
    }
    return {**document, "Node": node} if node else document


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="File [standard output].")
@click.argument("names", nargs=-1, required=True, metavar="IMAGE...")
@click.pass_obj
def save(target: Target, /, output: str | None, names: tuple[str, ...]) -> None:
    """Write images of this node into an archive, for `image load` and `docker load`.

    \b
    swarmd image save -o web.tar web:2
    swarmd image save web:2 | ssh w1 swarmd image load
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.saving import write_whole
    from swarmd.rpc.pb import images as pb

    if output is None and sys.stdout.isatty():
        raise click.UsageError("an archive is no text: name a file with --output, or use a pipe")

    async def work(client: Client) -> None:
        request = pb.SaveImagesRequest(names=names)
        answers = client.stub(SERVICE).Save(request, timeout_s=LOAD_S_MAX)
        await write_whole((answer.data async for answer in answers), output)

    run(target, work)


@click.command()
@click.option("-i", "--input", "source", type=click.File("rb"), help="File [standard input].")
@click.option("--name", default="", help="For an image the archive has no name for.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
@click.argument("file", type=click.File("rb"), required=False)
@click.pass_obj
def load(
    target: Target, /, source: BinaryIO | None, file: BinaryIO | None, name: str, quiet: bool
) -> None:
    """Take in the images of an archive, packed or not.

    \b
    docker save web:2 | swarmd image load
    swarmd image load web.tar
    """
    if source is not None and file is not None:
        raise click.UsageError("give the archive once, as an argument or with --input")
    archive = source or file or sys.stdin.buffer
    if archive.isatty():
        raise click.UsageError("an archive is expected in a file or on standard input")
    answer = _call(target, lambda stub: stub.Load(_portions(archive, name), timeout_s=LOAD_S_MAX))
    if not quiet:
        for item in answer.images:
            click.echo(f"Loaded image: {item.name}")


@click.command("import")
@click.option(
    "-c", "--change", multiple=True, metavar="INSTRUCTION", help='As in CMD ["sh"], ENV A=b.'
)
@click.argument("file", type=click.File("rb"))
@click.argument("name")
@click.pass_obj
def import_(target: Target, /, file: BinaryIO, name: str, change: tuple[str, ...]) -> None:
    """Make an image of the root filesystem in a tar, packed or not; - is standard input.

    \b
    docker export box | swarmd image import --change 'CMD ["/bin/sh"]' - box:1
    """
    from swarmd.rpc.pb import images as pb

    if file.isatty():
        raise click.UsageError("a tar is expected in a file or on standard input")

    async def portions() -> AsyncIterator[pb.ImportImageRequest]:
        yield pb.ImportImageRequest(name=name, changes=change)
        while data := file.read(PORTION_BYTES):
            yield pb.ImportImageRequest(data=data)

    answer = _call(target, lambda stub: stub.Import(portions(), timeout_s=LOAD_S_MAX))
    click.echo(answer.image.id)


async def _portions(archive: BinaryIO, name: str) -> AsyncIterator[pb.LoadImagesRequest]:
    from swarmd.rpc.pb import images as pb

    yield pb.LoadImagesRequest(name=name)
    while data := archive.read(PORTION_BYTES):
        yield pb.LoadImagesRequest(data=data)


def _call(target: Target, ask: Any) -> Any:
    """The answer of this node's daemon to one call."""
    from swarmd.cli.client import Client, run

    async def work(client: Client) -> Any:
        return await ask(client.stub(SERVICE))

    return run(target, work)


def _short(digest: str) -> str:
    return digest.partition(":")[2][:SHORT_ID]
