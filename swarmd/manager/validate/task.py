"""Task templates: resources, restart policy, and the command itself."""

from __future__ import annotations

import re

from swarmd.manager.validate.container import check_surroundings, runs_as_process
from swarmd.manager.validate.health import check_health
from swarmd.manager.validate.host_access import check_host_access, check_privileges
from swarmd.manager.validate.limits import (
    FORCE_UPDATE,
    MEMORY_BYTES,
    NANO_CPUS,
    PIDS,
    RESTART_ATTEMPTS,
    RESTART_DELAY,
    RESTART_MAX_DELAY,
    RESTART_WINDOW,
    STOP_GRACE_PERIOD,
    SWAPPINESS,
)
from swarmd.manager.validate.names import check_labels
from swarmd.manager.validate.placement import check_generic
from swarmd.model import defaults
from swarmd.model.errors import Code, Rejection, invalid
from swarmd.model.instant import format_duration
from swarmd.model.spec import (
    ContainerSpec,
    ResourceRequirements,
    Resources,
    RestartPolicy,
    TaskSpec,
)

EXECUTORS = ("", "process", "containerd")
SIGNALS = re.compile(
    r"ABRT|ALRM|BUS|CHLD|CONT|FPE|HUP|ILL|INT|IO|KILL|PIPE|PROF|PWR|QUIT|SEGV|STOP|SYS|TERM|TRAP|"
    r"TSTP|TTIN|TTOU|URG|USR1|USR2|VTALRM|WINCH|XCPU|XFSZ|RTMIN(?:\+\d{1,2})?|RTMAX(?:-\d{1,2})?"
)
SIGNAL_NUMBER_MAX = 64

_HOST = r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_PART}(?:/{_PART})*(?::\w[\w.-]{{0,127}})?(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
IMAGE_LENGTH_MAX = 512


def check_resources(requirements: ResourceRequirements | None) -> None:
    """Refuse amounts too small to run anything, or negative."""
    if requirements is None:
        return
    _check_amounts(requirements.limits, within="resources.limits")
    _check_amounts(requirements.reservations, within="resources.reservations")
    if requirements.reservations is not None and requirements.reservations.pids:
        raise invalid("resources.reservations.pids cannot be reserved; set a limit instead")
    _check_swap(requirements)
    check_generic(requirements)


def _check_amounts(amounts: Resources | None, *, within: str) -> None:
    if amounts is None:
        return
    NANO_CPUS.check(amounts.nano_cpus, within=within)
    MEMORY_BYTES.check(amounts.memory_bytes, within=within)
    PIDS.check(amounts.pids, within=within)


def _check_swap(requirements: ResourceRequirements) -> None:
    SWAPPINESS.check(requirements.memory_swappiness, within="resources")
    swap = requirements.swap_bytes
    if swap is None:
        return
    if swap < -1:
        raise invalid(f"resources.swap_bytes is {swap}; write an amount, or -1 for no limit")
    if requirements.limits is None or not requirements.limits.memory_bytes:
        raise invalid("resources.swap_bytes comes on top of a memory limit; set that as well")


def check_restart_policy(policy: RestartPolicy | None) -> None:
    if policy is None:
        return
    RESTART_DELAY.check(policy.delay_ns)
    RESTART_WINDOW.check(policy.window_ns)
    RESTART_ATTEMPTS.check(policy.max_attempts)
    RESTART_MAX_DELAY.check(policy.max_delay_ns)
    delay_ns = defaults.RESTART_DELAY_NS if policy.delay_ns is None else policy.delay_ns
    if policy.max_delay_ns and not delay_ns:
        raise invalid("restart.max_delay needs a restart.delay to grow from, and that is 0")
    if policy.max_delay_ns and policy.max_delay_ns < delay_ns:
        raise invalid(
            f"restart.max_delay is {format_duration(policy.max_delay_ns)}, "
            f"less than the restart.delay of {format_duration(delay_ns)}"
        )


def check_container(spec: TaskSpec) -> None:
    """Refuse a task without something to run, or whose surroundings cannot be made."""
    container = spec.container_spec
    if spec.attachment is not None:
        raise Rejection(
            Code.UNIMPLEMENTED,
            "task.attachment is for what nodes run by themselves, not for services; say what to "
            "run, an image or a command",
        )
    if container is None:
        raise invalid("task.runtime is missing: say what to run, an image or a command")
    _check_executor(container)
    _check_program(container)
    _check_env(container.env)
    check_surroundings(container)
    check_privileges(container)
    check_host_access(spec, container)
    _check_swap_user(spec, container)
    check_health(container.healthcheck)
    check_labels("container", container.labels)
    STOP_GRACE_PERIOD.check(container.stop_grace_period_ns)
    _check_signal(container.stop_signal)
    if container.dir and not container.dir.startswith(("/", "{{")):
        raise invalid(f"container.dir {container.dir!r} is not an absolute path")
    FORCE_UPDATE.check(spec.force_update)


def _check_swap_user(spec: TaskSpec, container: ContainerSpec) -> None:
    wanted = spec.resources or ResourceRequirements()
    asked = wanted.swap_bytes is not None or wanted.memory_swappiness is not None
    if asked and runs_as_process(container):
        raise invalid(
            "resources.swap_bytes and memory_swappiness need a container; a process has no swap "
            "beyond its memory limit"
        )


def _check_executor(container: ContainerSpec) -> None:
    if container.executor in EXECUTORS:
        return
    raise invalid(
        f"container.executor {container.executor!r} is unknown; use containerd or process, "
        "or leave it out"
    )


def _check_program(container: ContainerSpec) -> None:
    for field, words in (("command", container.command), ("args", container.args)):
        if any("\0" in word for word in words):
            raise invalid(f"container.{field} contains a NUL character, which no program can get")
    if container.command and not container.command[0]:
        raise invalid("container.command begins with an empty word: name the program to run")
    if container.image:
        if len(container.image) > IMAGE_LENGTH_MAX or not _IMAGE.fullmatch(container.image):
            raise invalid(
                f"container.image {container.image[:80]!r} is not a valid image reference; "
                "write for example nginx:1.27 or registry.example.com/team/app:2"
            )
    elif container.executor == "process":
        if not (container.command or container.args):
            raise invalid("container.command is missing: a process service needs a command to run")
    elif container.executor == "containerd" or not container.command:
        raise invalid(
            "container.image is missing: name an image, or a command for the process executor"
        )


def _check_env(env: tuple[str, ...]) -> None:
    for item in env:
        name, _, _ = item.partition("=")
        if not name:
            raise invalid(f"container.env entry {item[:80]!r} has no name; write NAME=value")
        if "\0" in item:
            raise invalid(f"container.env entry {name[:80]!r} contains a NUL character")


def _check_signal(signal: str) -> None:
    if not signal:
        return
    name = signal.upper().removeprefix("SIG")
    if name.isdecimal():
        known = 1 <= int(name) <= SIGNAL_NUMBER_MAX
    else:
        known = SIGNALS.fullmatch(name) is not None
    if not known:
        raise invalid(
            f"container.stop_signal {signal!r} is not a signal; "
            "write for example SIGTERM or SIGQUIT"
        )
