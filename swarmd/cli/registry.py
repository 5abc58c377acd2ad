"""`swarmd registry`: the swarm's logins to registries.

The swarm keeps them among its secrets and hands them to the nodes that have to pull with them, so
that a task which moves next year can still be started.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.lazy import Entry, LazyGroup
from swarmd.cli.target import Target

if TYPE_CHECKING:
    from swarmd.cli.client import Client

SERVICE = "swarmd.v1.Registries"
IMAGES = "swarmd.v1.Images"
CALL_S_MAX = 60.0


@click.group(
    cls=LazyGroup,
    entries={
        "login": Entry("swarmd.cli.registry:login", "Log the swarm in to a registry"),
        "ls": Entry("swarmd.cli.registry:ls", "List the registries the swarm is logged in to"),
        "logout": Entry("swarmd.cli.registry:logout", "Forget the login to a registry"),
    },
)
def registry() -> None:
    """Logins of the swarm to registries."""


@click.command()
@click.option("-u", "--username", default="", help="Who to be for the registry.")
@click.option("-p", "--password", default="", help="Others can see it; see --password-stdin.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--from-docker", is_flag=True, help="Take over the login of `docker login`.")
@click.option(
    "--helper",
    default="",
    metavar="NAME",
    help="docker-credential-NAME of the managers tells the login, whenever it changes.",
)
@click.option("--no-check", is_flag=True, help="Do not ask the registry whether it is right.")
@click.argument("server", default="docker.io", metavar="[REGISTRY]")
@click.pass_obj
def login(target: Target, /, server: str, no_check: bool, helper: str, **flags: Any) -> None:
    """Log the swarm in to a registry [docker.io]; again, when the password has changed.

    Where passwords are good for hours only, a program on each manager is asked every five minutes.

    \b
    swarmd registry login --username me --password-stdin registry.example.com < password
    swarmd registry login --helper ecr-login 123.dkr.ecr.eu-west-1.amazonaws.com
    """
    from swarmd.cli.client import run
    from swarmd.rpc.pb import images, registries

    if helper and any(flags.values()):
        raise click.UsageError("--helper tells user name and password; leave them out")
    name, password, token = ("", "", "") if helper else _login(server, **flags)

    async def work(client: Client) -> None:
        if not (no_check or helper):
            check = images.CheckLoginRequest(
                registry="" if server == "docker.io" else server,
                username=name,
                password=password,
                identity_token=token,
            )
            await client.stub(IMAGES).CheckLogin(check, timeout_s=CALL_S_MAX)
        request = registries.LoginRequest(
            registry=server,
            username=name,
            password=password,
            identity_token=token,
            helper=helper,
        )
        answer = await client.stub(SERVICE).Login(request, timeout_s=CALL_S_MAX)
        click.echo(f"the swarm is logged in to {answer.login.registry}")

    run(target, work)


def _login(
    server: str, *, username: str, password: str, password_stdin: bool, from_docker: bool
) -> tuple[str, str, str]:
    """User name, password and identity token, asked for where they were not given."""
    from swarmd.cli.docker_logins import login_to
    from swarmd.cli.errors import CliError

    if from_docker:
        found = login_to(server)
        if not (found.username or found.identity_token):
            raise CliError(f"docker is not logged in to {server} on this machine")
        return found.username, found.password, found.identity_token
    if password and password_stdin:
        raise click.UsageError("give the password once, with --password or --password-stdin")
    if password_stdin:
        if not username:
            raise click.UsageError("--password-stdin needs --username")
        password = sys.stdin.readline().rstrip("\n")
    username = username or click.prompt("Username")
    password = password or click.prompt("Password", hide_input=True)
    return username, password, ""


@click.command()
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
@click.pass_obj
def ls(target: Target, /, output: str) -> None:
    """List the registries the swarm is logged in to; passwords are never shown."""
    from swarmd.cli import render
    from swarmd.cli.client import run
    from swarmd.cli.documents import time_text
    from swarmd.cli.words import age
    from swarmd.model.instant import Instant
    from swarmd.rpc.pb import registries

    async def work(client: Client) -> None:
        request = registries.ListRegistriesRequest()
        answer = await client.stub(SERVICE).List(request, timeout_s=CALL_S_MAX)
        if output == render.JSON:
            render.json_lines(
                [
                    {
                        "Registry": item.registry,
                        "Username": item.username,
                        "Helper": item.helper,
                        "Problem": item.problem,
                        "CreatedAt": time_text(Instant(item.created_at.ToNanoseconds())),
                        "UpdatedAt": time_text(Instant(item.updated_at.ToNanoseconds())),
                    }
                    for item in answer.logins
                ]
            )
            return
        now = target.clock.now()
        render.table(
            ("REGISTRY", "USERNAME", "CHANGED", "HELPER"),
            [
                (
                    item.registry,
                    item.username,
                    age(now - item.updated_at.ToNanoseconds()),
                    item.helper,
                )
                for item in answer.logins
            ],
            wrap="REGISTRY",
        )
        for item in answer.logins:
            if item.problem:
                click.echo(f"{item.registry}: {item.problem}", err=True)

    run(target, work)


@click.command()
@click.argument("server", default="docker.io", metavar="[REGISTRY]")
@click.pass_obj
def logout(target: Target, /, server: str) -> None:
    """Forget the login to a registry; what was pulled with it stays."""
    from swarmd.cli.client import run
    from swarmd.rpc.pb import registries

    async def work(client: Client) -> None:
        request = registries.LogoutRequest(registry=server)
        await client.stub(SERVICE).Logout(request, timeout_s=CALL_S_MAX)
        click.echo(f"the swarm is logged out of {server}")

    run(target, work)
