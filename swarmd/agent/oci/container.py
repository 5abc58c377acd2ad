"""What a container is, before it is put into the words of the runtime.

A task's spec and its image each say what to run, as whom and where; what the spec leaves open, the
image decides, and what both leave open, Docker's habits.
"""

from __future__ import annotations

from collections.abc import Mapping

from swarmd.agent.core import launch as launching
from swarmd.agent.core.mounts import Placed
from swarmd.agent.images.manifest import RunConfig
from swarmd.agent.oci import capabilities
from swarmd.agent.oci.cgroups import Cgroups
from swarmd.agent.oci.devices import DeviceNode
from swarmd.agent.oci.users import ImageAccount
from swarmd.model import defaults
from swarmd.model.host_access import HostAccess
from swarmd.model.record import Record
from swarmd.model.spec import ContainerSpec, PortConfig, ResourceRequirements
from swarmd.model.task import Task
from swarmd.model.template import TemplateContext, TemplateError, expand_container

SHORT_ID = 12
# From here on the kernel can change all mounts of a tree at once.
DEEP_READ_ONLY_SINCE = (5, 12)


class FileMount(Record, frozen=True):
    """A file or directory of the node that the container sees."""

    source: str
    target: str
    read_only: bool = False


class NodeFacts(Record, frozen=True):
    """What containers depend on of their node's kernel."""

    kernel: tuple[int, int]
    capabilities: tuple[str, ...]
    cgroups: Cgroups = Cgroups()


class Given(Record, frozen=True):
    """What one container gets of its node, found there."""

    devices: tuple[DeviceNode, ...] = ()
    init: str = ""
    apparmor: str = ""


class Container(Record, frozen=True):
    """Everything a container is made from, with all templates expanded."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    directory: str
    hostname: str
    account: ImageAccount
    capabilities: tuple[str, ...]
    resources: ResourceRequirements
    cgroup: str
    spec: ContainerSpec
    files: tuple[FileMount, ...] = ()
    mounts: tuple[Placed, ...] = ()
    deep_read_only: bool = True  # the kernel can make what is mounted below read-only, too
    architecture: str = "x86_64"
    network_namespace: str = ""  # where there is one made for it; empty: a new one
    kernel: tuple[int, int] = (5, 0)
    cgroups: Cgroups = Cgroups()
    devices: tuple[DeviceNode, ...] = ()
    init: str = ""  # a program of the node that becomes the first process; empty: none
    apparmor: str = ""  # the node's profile for containers; empty where there is no AppArmor
    labels: Mapping[str, str] = {}

    @property
    def access(self) -> HostAccess:
        return self.spec.host_access or HostAccess()


def expanded(task: Task, context: TemplateContext) -> ContainerSpec:
    """The container spec with its templates filled in.

    Raises:
        launching.Unfit: a template cannot be.
    """
    try:
        return expand_container(defaults.container(task.spec), context)
    except TemplateError as error:
        raise launching.Unfit(f"a template of the task cannot be expanded: {error}") from None


def command(spec: ContainerSpec, image: RunConfig) -> tuple[str, ...]:
    """The command line: a command of the spec replaces the image's and its arguments.

    Raises:
        launching.Unfit: neither names a program.
    """
    if spec.command:
        argv = (*spec.command, *spec.args)
    else:
        argv = (*(image.entrypoint or ()), *(spec.args or image.cmd or ()))
    if not argv or not argv[0]:
        raise launching.Unfit(
            f"image {spec.image!r} names no program to run; give the service a command"
        )
    return argv


def environment(
    spec: ContainerSpec,
    image: RunConfig,
    *,
    account: ImageAccount,
    hostname: str,
    surroundings: Mapping[str, str],
) -> tuple[str, ...]:
    """Variables of the image, then of the spec, which win; before them a few of the node.

    Args:
        surroundings: what the task is told of the resources that are its own.
    """
    merged = {"PATH": launching.PATH, "HOSTNAME": hostname, **surroundings}
    if spec.tty:
        merged["TERM"] = "xterm"
    for item in (*(image.env or ()), *spec.env):
        name, _, value = item.partition("=")
        if not name:
            raise launching.Unfit(f"environment entry {item!r} has no name; write NAME=value")
        merged[name] = value
    merged.setdefault("HOME", account.home)
    return tuple(f"{name}={value}" for name, value in merged.items())


def container(
    task: Task,
    spec: ContainerSpec,
    image: RunConfig,
    *,
    account: ImageAccount,
    hostname: str,
    cgroup: str,
    files: tuple[FileMount, ...],
    mounts: tuple[Placed, ...],
    node: NodeFacts,
    given: Given,
    ports: tuple[PortConfig, ...],
    network_namespace: str,
    architecture: str,
    node_id: str,
) -> Container:
    """The container of `task`, whose expanded spec is `spec`.

    Args:
        ports: those of the node that lead to it.
        network_namespace: a path; empty for the node's own.

    Raises:
        launching.Unfit
    """
    access = spec.host_access or HostAccess()
    lacking = capabilities.lacking(spec.capability_add, node.capabilities)
    if lacking:
        raise launching.Unfit(f"capability {lacking[0]} can't be given: the node has not got it")
    return Container(
        argv=command(spec, image),
        env=environment(
            spec,
            image,
            account=account,
            hostname=hostname,
            surroundings={
                **launching.claims(task.assigned_generic_resources),
                **(launching.port_variables(ports) if access.network else {}),
            },
        ),
        directory=spec.dir or image.working_dir or "/",
        hostname=hostname,
        account=account,
        capabilities=capabilities.effective(
            add=(capabilities.ALL,) if access.privileged else spec.capability_add,
            drop=() if access.privileged else spec.capability_drop,
            available=node.capabilities,
        ),
        resources=task.spec.resources or ResourceRequirements(),
        cgroup=cgroup,
        spec=spec,
        files=files,
        mounts=mounts,
        deep_read_only=node.kernel >= DEEP_READ_ONLY_SINCE,
        architecture=architecture,
        network_namespace=network_namespace,
        kernel=node.kernel,
        cgroups=node.cgroups,
        devices=given.devices,
        init=given.init,
        apparmor=given.apparmor,
        labels=labels(task, spec, node_id=node_id),
    )


def labels(task: Task, spec: ContainerSpec, *, node_id: str) -> dict[str, str]:
    """Labels of the container: the spec's, and those by which tools know a task."""
    return {
        **spec.labels,
        "com.docker.swarm.node.id": node_id,
        "com.docker.swarm.service.id": task.service_id,
        "com.docker.swarm.service.name": task.service_name,
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": task.id,
        "com.docker.swarm.task.name": task.name,
    }
