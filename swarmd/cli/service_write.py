"""`swarmd service update`, `scale` and `rm`."""

from __future__ import annotations

import shlex
from typing import Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.listing import options
from swarmd.cli.service_options import DRY_RUN, IMAGE, SHARED, UPDATE, WAITING, changes
from swarmd.cli.target import Target


@click.command(context_settings={"allow_interspersed_args": False})
@options(SHARED, UPDATE, IMAGE, WAITING)
@DRY_RUN
@click.option("--rollback", is_flag=True, help="Go back to the previous spec instead.")
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.argument("words", nargs=-1, metavar="[-- COMMAND [ARG...]]")
@click.pass_obj
def update(target: Target, /, service: str, words: tuple[str, ...], **flags: Any) -> None:
    """Change a service; its tasks are replaced as its update settings say.

    Words after the service replace the command of a process, or the arguments of an image.

    \b
    swarmd service update --image nginx:1.28 --update-order start-first web
    swarmd service update --env-add LEVEL=debug --env-rm COLOR web
    swarmd service update web -- python3 -m http.server 80
    """
    from msgspec.structs import replace

    from swarmd.cli import whatif
    from swarmd.cli.changes import apply
    from swarmd.cli.client import Client, run
    from swarmd.cli.errors import CliError
    from swarmd.cli.lookup import find_service
    from swarmd.cli.outcome import conclude
    from swarmd.cli.pinning import changed_image
    from swarmd.cli.progress import Awaited
    from swarmd.cli.references import Known, by_id, known_references, with_ids
    from swarmd.cli.supposed import service_updated
    from swarmd.model.spec import ContainerSpec, ServiceSpec

    if words and words[0] == "--":
        words = words[1:]
    elif words and words[0].startswith("-"):
        raise click.UsageError(
            f"{words[0]} stands behind the service; flags go before it, as in "
            f"`swarmd service update {shlex.join(words)} {service}`"
        )
    if words and flags["args"] is not None:
        raise click.UsageError("give arguments with --args or behind the service, not both")
    try:
        wanted = changes(flags)
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def changed(spec: ServiceSpec, known: Known, image: dict[str, Any]) -> ServiceSpec:
        asked = replace(wanted, container={**wanted.container, **image})
        try:
            spec = with_ids(apply(spec, by_id(asked, known)), known)
        except ValueError as error:
            raise CliError(f"{service}: {error}") from None
        if not words:
            return spec
        container = spec.task_template.container_spec or ContainerSpec()
        field: dict[str, Any] = {"args": words}
        if not container.image:
            field = {"command": words, "args": ()}
        task = replace(spec.task_template, container_spec=replace(container, **field))
        return replace(spec, task_template=task)

    async def work(client: Client) -> None:
        found = find_service(await client.services(), service)
        if flags["dry_run"]:
            spec = found.previous_spec
            if not flags["rollback"]:
                spec = changed(found.spec, await known_references(client, wanted), {})
            if spec is None:
                raise CliError(f"service {service} has no previous spec to go back to")
            supposed = [service_updated(found.id, spec)]
            whatif.show(await whatif.simulate(client, supposed), flags["output"])
            return
        if flags["rollback"]:
            updated = await client.roll_back_service(found.id)
        else:
            known = await known_references(client, wanted)
            image = await changed_image(client, found.spec, flags)
            updated = await client.update_service(
                found.id, lambda spec: changed(spec, known, image)
            )
        item = Awaited(updated, rolling_back=flags["rollback"])
        await conclude(client, [item], target.clock, flags)

    run(target, work)


@click.command()
@options(WAITING)
@DRY_RUN
@click.argument("scales", nargs=-1, required=True, metavar="SERVICE=REPLICAS...")
@click.pass_obj
def scale(target: Target, /, scales: tuple[str, ...], **flags: Any) -> None:
    """Change the number of tasks of services.

    \b
    swarmd service scale web=5 api=2
    """
    from swarmd.cli import whatif
    from swarmd.cli.changes import scaled
    from swarmd.cli.client import Client, run
    from swarmd.cli.errors import CliError
    from swarmd.cli.lookup import find_service
    from swarmd.cli.outcome import conclude
    from swarmd.cli.progress import Awaited
    from swarmd.cli.supposed import service_scaled
    from swarmd.model.spec import ServiceSpec

    wanted = dict(_scale(word) for word in scales)

    async def work(client: Client) -> None:
        services = await client.services()
        found = [(find_service(services, word), count) for word, count in wanted.items()]
        if flags["dry_run"]:
            supposed = [service_scaled(service.id, count) for service, count in found]
            whatif.show(await whatif.simulate(client, supposed), flags["output"])
            return
        awaited = []
        for service, replicas in found:

            def change(spec: ServiceSpec, replicas: int = replicas) -> ServiceSpec:
                try:
                    return scaled(spec, replicas)
                except ValueError as error:
                    raise CliError(f"{spec.name}: {error}") from None

            awaited.append(Awaited(await client.update_service(service.id, change)))
        await conclude(client, awaited, target.clock, flags)

    run(target, work)


def _scale(word: str) -> tuple[str, int]:
    name, _, count = word.rpartition("=")
    if not name or not count.isdecimal():
        raise click.UsageError(f"{word!r} is not SERVICE=REPLICAS, as in web=5")
    return name, int(count)


@click.command()
@click.argument(
    "services", nargs=-1, required=True, metavar="SERVICE...", shell_complete=service_names
)
@click.pass_obj
def rm(target: Target, /, services: tuple[str, ...]) -> None:
    """Remove services and their tasks."""
    from swarmd.cli.client import Client, run
    from swarmd.cli.each import each_or_fail
    from swarmd.cli.lookup import find_service

    async def work(client: Client) -> None:
        present = await client.services()

        async def remove(word: str) -> str:
            await client.remove_service(find_service(present, word).id)
            return word

        await each_or_fail(services, remove)

    run(target, work)
