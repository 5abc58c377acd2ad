"""`swarmd service history`, `diff` and `rollback`: the specs a service has had.

A version is the number in the first column of `history`. `diff` and `rollback` also take
`previous`, and `diff` takes `current`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.completion import service_names
from swarmd.cli.listing import options
from swarmd.cli.service_options import WAITING
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.model.service import PastSpec, Service

CURRENT, PREVIOUS = "current", "previous"


@click.command()
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.pass_obj
def history(target: Target, /, service: str, output: str) -> None:
    """List the versions of a service's spec, the present one first, and what each changed."""
    from swarmd.cli import render, words
    from swarmd.cli.client import Client, run
    from swarmd.cli.documents import time_text
    from swarmd.cli.spec_diff import differences, summary

    async def work(client: Client) -> None:
        found = await _service(client, service)
        known = _versions(found)
        rows: list[dict[str, Any]] = []
        for position, (version, until) in enumerate(known):
            older = known[position + 1][0] if position + 1 < len(known) else None
            changed = "" if older is None else summary(differences(older.spec, version.spec))
            rows.append({"Version": version.spec_version, "Until": until, "Changed": changed})
        if output == render.JSON:
            render.json_lines(
                [{**row, "Until": time_text(row["Until"]) if row["Until"] else ""} for row in rows]
            )
            return
        now = target.clock.now()
        render.table(
            ("VERSION", "REPLACED", "CHANGED"),
            [
                (
                    str(row["Version"]),
                    _since(position, row["Until"], now, words.age),
                    row["Changed"],
                )
                for position, row in enumerate(rows)
            ],
            wrap="CHANGED",
        )

    run(target, work)


@click.command()
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.argument("before", metavar="[FROM]", default=PREVIOUS)
@click.argument("after", metavar="[TO]", default=CURRENT)
@click.pass_obj
def diff(target: Target, /, service: str, before: str, after: str) -> None:
    """Show what differs between two versions of a service's spec.

    \b
    swarmd service diff web              the previous one and the present one
    swarmd service diff web 118          version 118 and the present one
    swarmd service diff web 118 204
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.spec_diff import differences, lines

    async def work(client: Client) -> None:
        found = await _service(client, service)
        left, right = _version(found, before), _version(found, after)
        for line in lines(differences(left.spec, right.spec)):
            click.echo(line)

    run(target, work)


@click.command()
@options(WAITING)
@click.option("--to", "version", default=PREVIOUS, metavar="VERSION", help="See `history`.")
@click.argument("service", metavar="SERVICE", shell_complete=service_names)
@click.pass_obj
def rollback(target: Target, /, service: str, version: str, **flags: Any) -> None:
    """Go back to an earlier spec, the previous one if not said otherwise; shows what changes.

    \b
    swarmd service rollback web
    swarmd service rollback --to 118 web
    """
    from swarmd.cli.client import Client, run
    from swarmd.cli.outcome import conclude
    from swarmd.cli.progress import Awaited
    from swarmd.cli.spec_diff import differences, lines

    async def work(client: Client) -> None:
        found = await _service(client, service)
        if version == PREVIOUS:
            updated = await client.roll_back_service(found.id)
        else:
            past = _version(found, version)
            updated = await client.roll_back_to(found.id, past.spec_version)
        if not flags["quiet"] and not flags["detach"] and flags["output"] == "text":
            for line in lines(differences(found.spec, updated.spec)):
                click.echo(line)
        item = Awaited(updated, rolling_back=True)
        await conclude(client, [item], target.clock, flags)

    run(target, work)


async def _service(client: Any, word: str) -> Service:
    """The service with its history, which lists leave out."""
    from swarmd.cli.lookup import find_service

    found: Service = await client.service(find_service(await client.services(), word).id)
    return found


def _versions(service: Service) -> list[tuple[PastSpec, int]]:
    """All known versions, latest first, each with when it was replaced; 0: not yet, or unknown."""
    from swarmd.model import versions
    from swarmd.model.service import PastSpec

    present = PastSpec(spec=service.spec, spec_version=service.spec_version)
    return [(version, version.replaced_at) for version in (present, *versions.past(service))]


def _version(service: Service, word: str) -> PastSpec:
    from swarmd.cli.errors import CliError

    known = [version for version, _ in _versions(service)]
    if word == CURRENT:
        return known[0]
    if word == PREVIOUS:
        if service.previous_spec is not None:
            previous = [v for v in known if v.spec_version == service.previous_spec_version]
            return previous[0]
        if len(known) > 1:
            return known[1]
        raise CliError(f"{service.spec.name} has had no other spec yet")
    for version in known:
        if word == str(version.spec_version):
            return version
    numbers = ", ".join(str(version.spec_version) for version in known)
    raise CliError(
        f"{service.spec.name} has no version {word}; it has {numbers}",
        hint=f"`swarmd service history {service.spec.name}` says what they are",
    )


def _since(position: int, until: int, now: int, age: Any) -> str:
    if position == 0:
        return "present"
    return str(age(now - until)) if until else ""
