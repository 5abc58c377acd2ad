"""What services refer to: it is there, it is what it was, and who follows it has the latest."""

from __future__ import annotations

from collections.abc import Iterator

from swarmd.model import file_versions as versions
from swarmd.model.secret import Config, Secret
from swarmd.model.service import Service
from swarmd.model.spec import ContainerSpec
from swarmd.store.changes import Committed, Kind
from swarmd.store.references import config_ids, network_ids, secret_ids
from swarmd.store.store import Store

_KINDS = {Kind.SERVICE, Kind.SECRET, Kind.CONFIG, Kind.NETWORK}


def reference_problems(store: Store, committed: Committed) -> Iterator[str]:
    """What an entry has left of references that should not be; `store` is as it has left it."""
    if not {change.kind for change in committed.changes} & _KINDS:
        return
    for service in store.services():
        yield from _missing(service, store)
    for change in committed.changes:
        old, new = change.old, change.new
        if isinstance(new, Secret | Config):
            if isinstance(old, Secret | Config) and old.spec.data != new.spec.data:
                yield f"{change.kind.value} {new.spec.name} is not what it was"
            if old is None and not committed.restored:
                yield from _left_behind(new, store)


def _missing(service: Service, store: Store) -> Iterator[str]:
    name = service.spec.name
    for file_id in secret_ids(service):
        if store.find_secret(file_id) is None:
            yield f"{name} refers to secret {file_id}, which is no more"
    for file_id in config_ids(service):
        if store.find_config(file_id) is None:
            yield f"{name} refers to config {file_id}, which is no more"
    for network_id in network_ids(service):
        if store.find_network(network_id) is None:
            yield f"{name} refers to network {network_id}, which is no more"


def _left_behind(made: Secret | Config, store: Store) -> Iterator[str]:
    """Services that follow the family of a new version and do not refer to it."""
    if versions.number(made.spec.name) == 1:
        return
    family = versions.family(made.spec.name)
    for service in store.services():
        for name, file_id in _followed(service, made):
            if versions.family(name) == family and file_id != made.id:
                yield f"{service.spec.name} follows {family} and was left with {name}"


def _followed(service: Service, made: Secret | Config) -> Iterator[tuple[str, str]]:
    container = service.spec.task_template.container_spec or ContainerSpec()
    if isinstance(made, Secret):
        yield from ((row.secret_name, row.secret_id) for row in container.secrets if row.latest)
    else:
        yield from ((row.config_name, row.config_id) for row in container.configs if row.latest)
