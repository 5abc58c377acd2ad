"""The commands of `swarmd secret` and `swarmd config`, which are the same but for the noun."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.listing import INSPECTING, LISTING, Filters, chosen, options, require_known
from swarmd.cli.params import PAIR
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client
    from swarmd.model.secret import Config, Secret

# More than any of them may hold; a larger file is a mistake that needs no reading to the end.
READ_BYTES_MAX = 4 * 1024 * 1024


def file_commands(kind: str) -> dict[str, click.Command]:
    """`create`, `update`, `ls`, `inspect` and `rm` for secrets or configs."""
    return {
        "create": _create(kind),
        "update": _update(kind),
        "ls": _ls(kind),
        "inspect": _inspect(kind),
        "rm": _rm(kind),
    }


def _create(kind: str) -> click.Command:
    @click.command("create", help=f"Create a {kind} from a file, or from standard input with -.")
    @click.option("-l", "--label", multiple=True, type=PAIR, help=f"Label of the {kind}.")
    @click.option("--template-driver", metavar="DRIVER", help="golang: tasks see it expanded.")
    @click.argument("name")
    @click.argument("file", default="-", metavar="[FILE|-]")
    @click.pass_obj
    def create(target: Target, /, name: str, file: str, **flags: Any) -> None:
        from swarmd.cli import objects_client
        from swarmd.cli.client import run
        from swarmd.model.secret import ConfigSpec, SecretSpec
        from swarmd.model.spec import Driver

        driver = flags["template_driver"]
        fields: dict[str, Any] = {
            "name": name,
            "labels": dict(flags["label"]),
            "data": _content(file),
            "templating": Driver(name=driver) if driver else None,
        }

        async def work(client: Client) -> None:
            made: Secret | Config
            if kind == "secret":
                made = await objects_client.create_secret(client, SecretSpec(**fields))
            else:
                made = await objects_client.create_config(client, ConfigSpec(**fields))
            click.echo(made.id)

        run(target, work)

    return create


def _update(kind: str) -> click.Command:
    @click.command(
        "update",
        help=f"Make a new version of a {kind}; services that follow the latest are updated.",
    )
    @click.option("-l", "--label", multiple=True, type=PAIR, help="Label instead of those it has.")
    @click.argument("name")
    @click.argument("file", default="-", metavar="[FILE|-]")
    @click.pass_obj
    def update(target: Target, /, name: str, file: str, label: tuple[tuple[str, str], ...]) -> None:
        from swarmd.cli import objects_client
        from swarmd.cli.client import run
        from swarmd.cli.errors import CliError
        from swarmd.model import file_versions
        from swarmd.model.secret import ConfigSpec, SecretSpec

        data, labels = _content(file), dict(label)

        async def work(client: Client) -> None:
            made: Secret | Config | None = None
            if kind == "secret":
                for secret in file_versions.members(await objects_client.secrets(client), name)[
                    -1:
                ]:
                    spec = SecretSpec(data=data, labels=labels)
                    made = await objects_client.new_secret_version(client, secret, spec)
            else:
                for config in file_versions.members(await objects_client.configs(client), name)[
                    -1:
                ]:
                    wanted = ConfigSpec(data=data, labels=labels)
                    made = await objects_client.new_config_version(client, config, wanted)
            if made is None:
                raise CliError(f"no such {kind}: {name}", hint=f"`swarmd {kind} ls` lists them")
            click.echo(made.spec.name)

        run(target, work)

    return update


def _content(file: str) -> bytes:
    from swarmd.cli.errors import CliError

    try:
        if file == "-":
            return sys.stdin.buffer.read(READ_BYTES_MAX)
        with Path(file).open("rb") as opened:
            return opened.read(READ_BYTES_MAX)
    except OSError as error:
        raise CliError(f"{file} can't be read: {error.strerror}") from None


def _ls(kind: str) -> click.Command:
    @click.command("ls", help=f"List {kind}s. Filters: id, name, label.")
    @options(LISTING)
    @click.pass_obj
    def ls(target: Target, /, output: str, quiet: bool, filters: Filters) -> None:
        from swarmd.cli import render, words
        from swarmd.cli.client import run
        from swarmd.cli.documents import time_text

        require_known(filters, "id", "name", "label")

        async def work(client: Client) -> None:
            found = [
                row
                for row in await _present(kind, client)
                if chosen(filters, id=row.id, name=row.spec.name, label=row.spec.labels)
            ]
            found.sort(key=lambda row: (row.spec.name, row.id))
            if quiet:
                for row in found:
                    click.echo(row.id)
            elif output == render.JSON:
                render.json_lines(
                    [
                        {
                            "ID": row.id,
                            "Name": row.spec.name,
                            "CreatedAt": time_text(row.created_at),
                            "UpdatedAt": time_text(row.updated_at),
                        }
                        for row in found
                    ]
                )
            else:
                now = target.clock.now()
                render.table(
                    ("ID", "NAME", "CREATED", "UPDATED"),
                    [
                        (
                            words.short(row.id),
                            row.spec.name,
                            words.age(now - row.created_at),
                            words.age(now - row.updated_at),
                        )
                        for row in found
                    ],
                    wrap="NAME",
                )

        run(target, work)

    return ls


def _inspect(kind: str) -> click.Command:
    hidden = "; what is in it is never shown" if kind == "secret" else ""

    @click.command("inspect", help=f"Show {kind}s in full{hidden}.")
    @options(INSPECTING)
    @click.argument("names", nargs=-1, required=True, metavar=f"{kind.upper()}...")
    @click.pass_obj
    def inspect(target: Target, /, names: tuple[str, ...], output: str) -> None:
        from swarmd.cli import render
        from swarmd.cli.client import run
        from swarmd.cli.documents import file_document

        async def work(client: Client) -> None:
            present = await _present(kind, client)
            found = [_find(kind, present, name) for name in names]
            if output == "json":
                render.as_json([file_document(row) for row in found])
                return
            for row in found:
                document = file_document(row)
                labels = row.spec.labels.items()
                render.fields(
                    {
                        "ID": row.id,
                        "Name": row.spec.name,
                        "Created": document["CreatedAt"],
                        "Updated": document["UpdatedAt"],
                        "Labels": ", ".join(f"{key}={value}" for key, value in labels),
                    }
                )
                if row.spec.data:
                    click.echo(f"\n{row.spec.data.decode(errors='replace')}")

        run(target, work)

    return inspect


def _rm(kind: str) -> click.Command:
    @click.command("rm", help=f"Remove {kind}s that no service uses.")
    @click.argument("names", nargs=-1, required=True, metavar=f"{kind.upper()}...")
    @click.pass_obj
    def rm(target: Target, /, names: tuple[str, ...]) -> None:
        from swarmd.cli import objects_client
        from swarmd.cli.client import run
        from swarmd.cli.each import each_or_fail

        async def work(client: Client) -> None:
            present = await _present(kind, client)

            async def remove(name: str) -> str:
                found = _find(kind, present, name)
                if kind == "secret":
                    await objects_client.remove_secret(client, found.id)
                else:
                    await objects_client.remove_config(client, found.id)
                return name

            await each_or_fail(names, remove)

        run(target, work)

    return rm


async def _present(kind: str, client: Client) -> list[Secret] | list[Config]:
    from swarmd.cli import objects_client

    if kind == "secret":
        return await objects_client.secrets(client)
    return await objects_client.configs(client)


def _find(kind: str, present: list[Secret] | list[Config], name: str) -> Secret | Config:
    from swarmd.cli.lookup import find

    rows: list[Any] = list(present)
    found: Secret | Config = find(kind, rows, name, lambda row: row.spec.name)
    return found
