"""What a service refers to: references well formed, and naming what exists.

The first half looks at a spec alone, the second at a spec in a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

from msgspec.structs import replace

from swarmd.manager.validate.limits import Limit
from swarmd.model import defaults
from swarmd.model.errors import Code, Rejection, failed_precondition, invalid
from swarmd.model.network import Network, is_node_local
from swarmd.model.secret import Config, Secret
from swarmd.model.spec import (
    ConfigReference,
    ContainerSpec,
    NetworkAttachmentConfig,
    SecretReference,
    ServiceSpec,
)
from swarmd.orchestrator.allocator.pool import AddressPool
from swarmd.orchestrator.allocator.wanted import needs_ingress
from swarmd.store.references import networks_of
from swarmd.store.view import View

FILE_MODE = Limit("file mode", 0, 0o7777)
REFERENCES = Limit("references", 0, 500)
Reference = SecretReference | ConfigReference


def check_references(container: ContainerSpec | None) -> None:
    """Refuse references without an id, a name or a target, and two for one file."""
    if container is None:
        return
    names: dict[str, str] = {}
    for kind, references in (("secret", container.secrets), ("config", container.configs)):
        REFERENCES.check(len(references), within=f"container.{kind}s")
        for reference in references:
            _check_reference(kind, reference, names)


def _check_reference(kind: str, reference: Reference, names: dict[str, str]) -> None:
    reference_id, name = _id_of(reference), _name_of(reference)
    if not reference_id or not name:
        raise invalid(f"malformed {kind} reference {name or reference_id!r}: give its id and name")
    runtime = isinstance(reference, ConfigReference) and reference.runtime is not None
    file = reference.file
    if runtime and file is not None:
        raise invalid(f"malformed {kind} reference {name}: it has two targets, a file and runtime")
    if runtime:
        return
    if file is None or not file.name:
        raise invalid(f"malformed {kind} reference {name}: no file target was given")
    FILE_MODE.check(file.mode, within=f"{kind} {name}")
    if ".." in file.name.split("/"):
        raise invalid(f"{kind} {name}: its target {file.name[:80]!r} must not contain '..'")
    for word in (file.uid, file.gid):
        if word and not word.isdecimal():
            raise invalid(
                f"{kind} {name} is to belong to {word[:80]!r}; give its owner as a number"
            )
    other = names.setdefault(f"{kind}:{file.name}", name)
    if other is not name:
        raise invalid(
            f"{kind}s {other} and {name} have the same file name {file.name}; choose another target"
        )


def check_spec_networks(spec: ServiceSpec) -> None:
    """Refuse networks named without a target, or twice."""
    seen = set()
    for attachment in networks_of(spec):
        if not attachment.target:
            raise invalid("networks contains one without a target: give its id or name")
        if attachment.target in seen:
            raise invalid(f"networks names {attachment.target} twice; name each network once")
        seen.add(attachment.target)
        for address in attachment.addresses:
            _check_address(address, attachment.target)


def _check_address(text: str, target: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise invalid(
            f"networks asks for {text[:80]!r} on {target}, which is no address; write it as in "
            "10.10.0.9"
        ) from None


# --- in a cluster


def refers(spec: ServiceSpec) -> bool:
    """Whether other objects have to exist for the service to make sense."""
    container = spec.task_template.container_spec
    return bool(networks_of(spec)) or bool(
        container is not None and (container.secrets or container.configs)
    )


def resolved(spec: ServiceSpec, view: View) -> ServiceSpec:
    """`spec` with networks named by their ids, as everything behind the API expects.

    Raises:
        Rejection: INVALID_ARGUMENT for networks that don't exist or are the swarm's own.
    """
    if not networks_of(spec):
        return spec
    task = spec.task_template
    return replace(
        spec,
        task_template=replace(task, networks=_resolved(task.networks, view)),
        networks=_resolved(spec.networks, view),
    )


def _resolved(
    wanted: Sequence[NetworkAttachmentConfig], view: View
) -> tuple[NetworkAttachmentConfig, ...]:
    found = [
        (attachment, view.find_network(attachment.target) or _by_name(attachment.target, view))
        for attachment in wanted
    ]
    missing = [attachment.target for attachment, network in found if network is None]
    if missing:
        raise invalid(f"network(s) not found: {', '.join(missing)}; `swarmd network ls` lists them")
    for _, network in found:
        if network is not None and network.spec.ingress:
            raise invalid(
                f"service cannot use the ingress network {network.spec.name} by name; publish a "
                "port to be reached through it"
            )
    ids = [network.id for _, network in found if network is not None]
    if len(set(ids)) < len(ids):
        raise invalid("networks names one network twice, by its id and by its name; name it once")
    return tuple(
        replace(attachment, target=network.id)
        for attachment, network in found
        if network is not None
    )


def _by_name(name: str, view: View) -> Network | None:
    return view.find_network_by_name(name)


def check_referenced(spec: ServiceSpec, view: View) -> None:
    """Refuse a spec whose secrets, configs or ingress network don't exist, or are too small."""
    container = spec.task_template.container_spec or ContainerSpec()
    _check_exist("secret", container.secrets, view.find_secret)
    _check_exist("config", container.configs, view.find_config)
    if needs_ingress(spec) and view.find_ingress_network() is None:
        raise failed_precondition(
            "service needs the ingress network, but no ingress network is present; create one "
            "with `swarmd network create --ingress ingress`"
        )
    for attachment in networks_of(spec):
        network = view.find_network(attachment.target)
        if network is not None and not is_node_local(network):
            _check_room(spec, network)


def _check_exist(
    kind: str,
    references: Iterable[Reference],
    find: Callable[[str], Secret | Config | None],
) -> None:
    missing = []
    for reference in references:
        found = find(_id_of(reference))
        if found is None or found.spec.name != _name_of(reference):
            missing.append(_name_of(reference))
    if missing:
        raise invalid(f"{kind}(s) not found: {', '.join(missing)}")


def _check_room(spec: ServiceSpec, network: Network) -> None:
    """Refuse a service that could never fit; whether it fits now changes all the time."""
    configs = network.ipam.configs if network.ipam else ()
    pools = [AddressPool(config.subnet, config.range) for config in configs]
    size = sum(pool.size for pool in pools if pool.version == 4)
    wanted = defaults.replicas(spec) if spec.mode.replicated is not None else 0
    if wanted > size:
        raise Rejection(
            Code.RESOURCE_EXHAUSTED,
            f"service {spec.name} needs {wanted} addresses on network {network.spec.name}, which "
            f"has {size}; make a network with a larger subnet",
        )


def _id_of(reference: Reference) -> str:
    return reference.secret_id if isinstance(reference, SecretReference) else reference.config_id


def _name_of(reference: Reference) -> str:
    if isinstance(reference, SecretReference):
        return reference.secret_name
    return reference.config_name
