"""Reading the things that services refer to, and those of clients' own making.

Networks, secrets, configs, extensions and resources: each found by id and by its unique name, which
is compared without regard to case.
"""

from __future__ import annotations

from typing import TypeVar

from swarmd.model.custom import Extension, Resource
from swarmd.model.errors import not_found
from swarmd.model.network import Network
from swarmd.model.secret import Config, Secret
from swarmd.store.tables import Table

T = TypeVar("T")
_INGRESS = 1


class Catalogue:
    """A part of the `View`; `find_` may return None, `get_` rejects."""

    def __init__(self) -> None:
        self._networks: Table[Network] = Table(
            {
                "name": lambda row: row.spec.name.lower(),
                "ingress": lambda row: _INGRESS if row.spec.ingress else None,
            }
        )
        self._secrets: Table[Secret] = Table({"name": lambda row: row.spec.name.lower()})
        self._configs: Table[Config] = Table({"name": lambda row: row.spec.name.lower()})
        self._extensions: Table[Extension] = Table({"name": lambda row: row.name.lower()})
        self._resources: Table[Resource] = Table(
            {"name": lambda row: row.name.lower(), "kind": lambda row: row.kind}
        )

    def networks(self) -> tuple[Network, ...]:
        return self._networks.all()

    def find_network(self, network_id: str) -> Network | None:
        return self._networks.find(network_id)

    def get_network(self, network_id: str) -> Network:
        return _present(self._networks.find(network_id), "network", network_id)

    def find_network_by_name(self, name: str) -> Network | None:
        return _named(self._networks, name)

    def find_ingress_network(self) -> Network | None:
        """The network through which published ports reach tasks; there is one at most."""
        return next(iter(self._networks.by("ingress", _INGRESS)), None)

    def secrets(self) -> tuple[Secret, ...]:
        return self._secrets.all()

    def find_secret(self, secret_id: str) -> Secret | None:
        return self._secrets.find(secret_id)

    def get_secret(self, secret_id: str) -> Secret:
        return _present(self._secrets.find(secret_id), "secret", secret_id)

    def find_secret_by_name(self, name: str) -> Secret | None:
        return _named(self._secrets, name)

    def configs(self) -> tuple[Config, ...]:
        return self._configs.all()

    def find_config(self, config_id: str) -> Config | None:
        return self._configs.find(config_id)

    def get_config(self, config_id: str) -> Config:
        return _present(self._configs.find(config_id), "config", config_id)

    def find_config_by_name(self, name: str) -> Config | None:
        return _named(self._configs, name)

    def extensions(self) -> tuple[Extension, ...]:
        return self._extensions.all()

    def find_extension(self, extension_id: str) -> Extension | None:
        return self._extensions.find(extension_id)

    def get_extension(self, extension_id: str) -> Extension:
        return _present(self._extensions.find(extension_id), "extension", extension_id)

    def find_extension_by_name(self, name: str) -> Extension | None:
        return _named(self._extensions, name)

    def resources(self) -> tuple[Resource, ...]:
        return self._resources.all()

    def find_resource(self, resource_id: str) -> Resource | None:
        return self._resources.find(resource_id)

    def get_resource(self, resource_id: str) -> Resource:
        return _present(self._resources.find(resource_id), "resource", resource_id)

    def find_resource_by_name(self, name: str) -> Resource | None:
        return _named(self._resources, name)

    def resources_of_kind(self, kind: str) -> tuple[Resource, ...]:
        return self._resources.by("kind", kind)


def _present(row: T | None, kind: str, identifier: str) -> T:
    if row is None:
        raise not_found(kind, identifier)
    return row


def _named(table: Table[T], name: str) -> T | None:
    return next(iter(table.by("name", name.lower())), None)
