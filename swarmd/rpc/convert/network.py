"""Networks, and places in them, to messages and back.

A place in a network holds the whole network on the wire and its id in our records; whoever sends
tasks to nodes fills in the rest.
"""

from __future__ import annotations

from collections import OrderedDict

from swarmd.model.network import IPAMConfig, IPAMOptions, Network, NetworkAttachment, NetworkSpec
from swarmd.rpc.convert import words
from swarmd.rpc.convert.codecs import ITEMS, LABELS, SCALAR, TIME, VERSION, always, each, optional
from swarmd.rpc.convert.spec import DRIVER
from swarmd.rpc.convert.table import Mapping, field
from swarmd.rpc.pb import objects, specs, types

NETWORKS_KEPT_MAX = 1024

IPAM = Mapping(
    IPAMOptions,
    types.IPAMOptions,
    field("driver", "driver", optional(DRIVER)),
    field(
        "configs",
        "configs",
        each(
            Mapping(
                IPAMConfig,
                types.IPAMConfig,
                field("family", "family", words.ADDRESS_FAMILY),
                field("subnet", "subnet", SCALAR),
                field("range", "range", SCALAR),
                field("gateway", "gateway", SCALAR),
                field("reserved", "reserved", LABELS),
            )
        ),
    ),
)
NETWORK_SPEC = Mapping(
    NetworkSpec,
    specs.NetworkSpec,
    field("name", "annotations.name", SCALAR),
    field("labels", "annotations.labels", LABELS),
    field("driver_config", "driver_config", optional(DRIVER)),
    field("ipv6_enabled", "ipv6_enabled", SCALAR),
    field("internal", "internal", SCALAR),
    field("ipam", "ipam", optional(IPAM)),
    field("attachable", "attachable", SCALAR),
    field("ingress", "ingress", SCALAR),
    field("config_from", "network", SCALAR),
    present=("annotations",),
)
NETWORK = Mapping(
    Network,
    objects.Network,
    field("id", "id", SCALAR),
    field("version", "meta.version", VERSION),
    field("created_at", "meta.created_at", TIME),
    field("updated_at", "meta.updated_at", TIME),
    field("spec", "spec", always(NETWORK_SPEC)),
    field("driver_state", "driver_state", optional(DRIVER)),
    field("ipam", "ipam", optional(IPAM)),
)
NETWORK_ATTACHMENT = Mapping(
    NetworkAttachment,
    objects.NetworkAttachment,
    field("network_id", "network.id", SCALAR),
    field("addresses", "addresses", ITEMS),
    field("aliases", "aliases", ITEMS),
    field("driver_opts", "driver_attachment_opts", LABELS),
)


class NetworkBytes:
    """The serialized form of networks, by identity of the record, the latest ones kept."""

    def __init__(self, kept_max: int = NETWORKS_KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._kept: OrderedDict[str, tuple[Network, bytes]] = OrderedDict()

    def of(self, network: Network) -> bytes:
        found = self._kept.get(network.id)
        if found is not None and found[0] is network:
            self._kept.move_to_end(network.id)
            return found[1]
        data: bytes = NETWORK.to_pb(network).SerializeToString()
        self._kept[network.id] = (network, data)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return data


network_to_bytes = NetworkBytes().of
