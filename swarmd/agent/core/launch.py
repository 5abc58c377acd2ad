"""From a task to the command, environment and bounds of its process."""

from __future__ import annotations

import re
from collections.abc import Mapping

from swarmd.model import defaults
from swarmd.model.record import Record
from swarmd.model.spec import ContainerSpec, GenericResource, LogDriver, PortConfig
from swarmd.model.states import Protocol
from swarmd.model.task import Task
from swarmd.model.template import TemplateContext, TemplateError, expand_container

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOG_BYTES_MAX = 10_000_000
LOG_FILES_MAX = 3
LOG_BYTES_MIN = 1_000
LOG_DRIVERS = ("", "json-file", "local")
NO_LOG = "none"

_SIZE = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_SIGNALS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ABRT": 6, "KILL": 9, "USR1": 10, "USR2": 12, "ALRM": 14,
    "TERM": 15, "CONT": 18, "STOP": 19, "WINCH": 28, "PWR": 30,
}  # fmt: skip
SIGNAL_MAX = 64


class Unfit(ValueError):
    """The spec cannot be run as a process; the message says why and what to do."""


class LogPolicy(Record, frozen=True):
    """How much of a task's output is kept; no files means none."""

    max_bytes: int = LOG_BYTES_MAX
    max_files: int = LOG_FILES_MAX


class Launch(Record, frozen=True):
    """What a process task is, with all templates expanded."""

    argv: tuple[str, ...]
    env: Mapping[str, str]  # as the spec has it; the surroundings are added on start
    directory: str
    hostname: str
    stop_signal: int
    grace_ns: int
    log: LogPolicy
    spec: ContainerSpec = ContainerSpec()


def launch(task: Task, context: TemplateContext) -> Launch:
    """What to run for `task`.

    Raises:
        Unfit: the spec asks for something a process cannot be or do.
    """
    spec = defaults.container(task.spec)
    try:
        expanded = expand_container(spec, context)
    except TemplateError as error:
        raise Unfit(f"a template of the task cannot be expanded: {error}") from None
    return Launch(
        argv=_command(expanded),
        env=_environment(expanded.env),
        directory=_directory(expanded.dir),
        hostname=expanded.hostname or (task.name if task.lease_ns else ""),
        stop_signal=signal_number(expanded.stop_signal),
        grace_ns=defaults.stop_grace_period_ns(task.spec),
        log=log_policy(task.log_driver or task.spec.log_driver),
        spec=expanded,
    )


def environment(
    launch: Launch,
    *,
    task: Task,
    node_id: str,
    hostname: str,
    user: str,
    home: str,
    ports: tuple[PortConfig, ...],
) -> dict[str, str]:
    """The whole environment; the spec may override everything but the marks."""
    env = {"PATH": PATH, "HOME": home, "HOSTNAME": launch.hostname or hostname}
    if user:
        env["USER"] = env["LOGNAME"] = user
    env.update(port_variables(ports))
    env.update(claims(task.assigned_generic_resources))
    env.update(launch.env)
    # The marks by which the node finds its processes where it has no cgroups.
    env["SWARMD_TASK_ID"] = task.id
    env["SWARMD_NODE_ID"] = node_id
    return env


def port_variables(ports: tuple[PortConfig, ...]) -> dict[str, str]:
    """How a task that shares its node's network learns which ports of it are its own."""
    env = {"PORT": str(ports[0].published_port)} if ports else {}
    for port in ports:
        suffix = "" if port.protocol is Protocol.TCP else f"_{port.protocol.value.upper()}"
        env[f"SWARMD_PORT_{port.target_port}{suffix}"] = str(port.published_port)
    return env


def claims(resources: tuple[GenericResource, ...]) -> dict[str, str]:
    """`DOCKER_RESOURCE_GPU=UUID1,UUID2`: how swarm tells a task which resources are its own."""
    values: dict[str, list[str]] = {}
    for claim in resources:
        named, discrete = claim.named_resource_spec, claim.discrete_resource_spec
        if named is not None:
            values.setdefault(named.kind, []).append(named.value)
        elif discrete is not None:
            values.setdefault(discrete.kind, []).append(str(discrete.value))
    return {
        "DOCKER_RESOURCE_" + re.sub(r"\W", "_", kind, flags=re.ASCII).upper(): ",".join(found)
        for kind, found in values.items()
    }


def signal_number(name: str) -> int:
    """The number of a signal given as `SIGTERM`, `TERM` or `15`; empty means SIGTERM."""
    if not name:
        return _SIGNALS["TERM"]
    if name.isdigit() and 0 < int(name) <= SIGNAL_MAX:
        return int(name)
    number = _SIGNALS.get(name.upper().removeprefix("SIG"))
    if number is None:
        raise Unfit(
            f"stop signal {name!r} is unknown; use one of {', '.join(_SIGNALS)} or a number"
        )
    return number


def log_policy(driver: LogDriver | None) -> LogPolicy:
    """How to keep the log under a driver's options `max-size` and `max-file`."""
    if driver is None:
        return LogPolicy()
    if driver.name == NO_LOG:
        return LogPolicy(max_files=0)
    if driver.name not in LOG_DRIVERS:
        raise Unfit(
            f"log driver {driver.name!r} is not available for process tasks; "
            "use json-file, local or none"
        )
    size, count = driver.options.get("max-size", ""), driver.options.get("max-file", "")
    if count and (not count.isdigit() or int(count) < 1):
        raise Unfit(f"log option max-file={count!r} is not a number of files, such as 3")
    return LogPolicy(
        max_bytes=_size_bytes(size) if size else LOG_BYTES_MAX,
        max_files=int(count) if count else LOG_FILES_MAX,
    )


def _size_bytes(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Unfit(f"log option max-size={text!r} is not a size, such as 500k or 10m")
    size = int(match[1]) * _UNITS[match[2].lower()]
    if size < LOG_BYTES_MIN:
        raise Unfit(f"log option max-size={text!r} is below the least size of {LOG_BYTES_MIN}")
    return size


def _command(spec: ContainerSpec) -> tuple[str, ...]:
    argv = (*spec.command, *spec.args)
    if argv and argv[0]:
        return argv
    if spec.image:
        raise Unfit(
            f"image {spec.image!r} cannot be run: this node runs processes, not images; give the "
            "service a command, or place it on a node with a container runtime"
        )
    raise Unfit("the task has no command; give the service one")


def _environment(items: tuple[str, ...]) -> dict[str, str]:
    env: dict[str, str] = {}
    for item in items:
        name, _, value = item.partition("=")
        if not name:
            raise Unfit(f"environment entry {item!r} has no name; write NAME=value")
        env[name] = value
    return env


def _directory(directory: str) -> str:
    if directory and not directory.startswith("/"):
        raise Unfit(f"working directory {directory!r} is not absolute; begin it with a slash")
    return directory or "/"
