"""Commands that many tests of the command line begin with."""

from __future__ import annotations

from typing import Any

from swarmd.model.spec import ServiceSpec
from tests.support.daemon import Daemon

SERVER = ("--process", "--", "python3", "-m", "http.server")


def create(daemon: Daemon, name: str = "web", *flags: str) -> str:
    """What `service create` of a small server prints."""
    return daemon.ok("service", "create", "--name", name, *flags, *SERVER)


def failing(daemon: Daemon, *words: str, code: int = 1) -> str:
    """What a command that must fail prints on stderr."""
    result = daemon.run(*words)
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.stderr


def names_of(decorators: list[Any]) -> set[str]:
    """The flags that decorators give a command."""

    def nothing() -> None:
        """A command of no concern."""

    for decorate in decorators:
        decorate(nothing)
    return {max(param.opts, key=len) for param in nothing.__click_params__}  # type: ignore[attr-defined]


def spec_of(daemon: Daemon, name: str = "web") -> ServiceSpec:
    """The spec of a service as stored."""
    service = daemon.swarm.store.find_service_by_name(name)
    assert service is not None
    return service.spec
